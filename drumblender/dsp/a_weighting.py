"""The A curve of IEC 61672, and a filter that follows it; and the band-pass that went by its name."""

from math import pi

import torch
from jaxtyping import Float
from torch import Tensor

from drumblender.dsp.loudness import CORNERS_HZ, LIFT_DB
from drumblender.dsp.precision import in_full_precision
from drumblender.dsp.spectra import power, stft
from drumblender.dsp.tables import placed, table
from drumblender.types import Audio

_LIBROSA_DB = 2.0 - LIFT_DB  # librosa rounds the lift
_LENGTH_S = 0.25  # of the filter: 4 Hz between what it can tell apart


def a_weighting_db(freq_hz: Float[Tensor, "..."]) -> Float[Tensor, "..."]:
    """Decibels that the A curve adds at each frequency (IEC 61672-1:2013, eq. E.6); -inf at 0 Hz.

    >>> a_weighting_db(torch.tensor([100.0, 1000.0])).round().abs().tolist()
    [19.0, 0.0]
    """
    f1, f2, f3, f4 = CORNERS_HZ
    square = freq_hz.double().square()
    response = f4**2 * square.square()
    response = response / ((square + f1**2) * (square + f4**2))
    response = response / ((square + f2**2) * (square + f3**2)).sqrt()
    return (20 * torch.log10(response) + LIFT_DB).to(freq_hz.dtype)


@table
def a_curve_fir(sample_rate: int) -> Float[Tensor, "taps"]:
    """Linear-phase filter with the magnitudes of :func:`a_weighting_db`, a quarter of a second long.

    Float64 on the CPU; the tensor is shared, do not write to it. The number of taps is odd.

    Raises:
        ValueError: ``sample_rate`` below 1000.

    Examples:
        >>> taps = a_curve_fir(16000)
        >>> len(taps) % 2, round(torch.fft.rfft(taps, 16000).abs()[1000].item(), 2)  # 0 dB at 1 kHz
        (1, 1.0)
    """
    if sample_rate < 1000:
        raise ValueError(f"The A curve needs at least 1000 samples a second, got {sample_rate=}.")
    reach = int(_LENGTH_S * sample_rate / 2)
    size = 8 * reach
    freq_hz = torch.arange(size // 2 + 1, dtype=torch.float64) * (sample_rate / size)
    response = torch.fft.irfft(10 ** (a_weighting_db(freq_hz) / 20), n=size).roll(reach)[: 2 * reach + 1]
    place = torch.arange(-reach, reach + 1, dtype=torch.float64) / (reach + 1)
    return response * (0.5 + 0.5 * torch.cos(pi * place))


@in_full_precision
def a_curve_weight(audio: Audio, sample_rate: int) -> Audio:
    """Filter with :func:`a_curve_fir`, without delay; silence is assumed before and after.

    Examples:
        >>> low = torch.sin(2 * torch.pi * 100 / 16000 * torch.arange(16000))
        >>> quieter = a_curve_weight(low, 16000)[4000:12000].abs().max() / low.abs().max()
        >>> round(20 * quieter.log10().item())
        -19
    """
    taps = placed(a_curve_fir(sample_rate), audio)
    size = audio.shape[-1] + len(taps) - 1
    points = 1 << (size - 1).bit_length()
    product = torch.fft.rfft(audio, points) * torch.fft.rfft(taps, points)
    return torch.fft.irfft(product, points)[..., len(taps) // 2 :][..., : audio.shape[-1]]


@in_full_precision
def a_weighted_power_db(
    audio: Audio, sample_rate: float, *, n_fft: int = 1024, hop_length: int = 256, floor_db: float = -50.0
) -> Float[Tensor, "batch frames"]:
    """Level of frames by the A curve on their spectra: the mean over bins of weighted power, in decibels.

    As torch's DDSP measures it: frames around every hop without a window, so that a tone spreads over the
    bins; the curve is librosa's, which ends at -80 dB. A sine of amplitude 1 at 1 kHz has the level
    ``10 log10(n_fft / 4)`` about. Differentiable; frames at the floor pass no gradient.

    Args:
        audio: Sound of more than half a frame.
        sample_rate: Samples per second.
        n_fft: Samples of a frame.
        hop_length: Samples from frame to frame.
        floor_db: Levels below count as this.

    Examples:
        >>> tone = torch.sin(2 * torch.pi * 1000 / 16000 * torch.arange(16000))
        >>> a_weighted_power_db(torch.stack([tone, tone / 10]), 16000)[:, 30].round().tolist()
        [27.0, 7.0]
    """
    freq_hz = torch.arange(n_fft // 2 + 1, dtype=torch.float64) * (sample_rate / n_fft)
    curve_db = (a_weighting_db(freq_hz) + _LIBROSA_DB).clamp(min=-80)
    spectra = power(stft(audio, n_fft, hop_length, audio.new_ones(n_fft)))
    mean = spectra @ (10 ** (curve_db / 10) / len(curve_db)).to(audio)
    return 10 * mean.clamp(min=10 ** (floor_db / 10)).log10()


@torch.no_grad()
def bandpass_weight(
    audio: Audio, sample_rate: int, low_hz: float = 20.6, high_hz: float = 7500.0, order: int = 6
) -> Audio:
    """The band-pass that Neural Guitar calls A-weighting: Butterworth, causal, 0 dB where A is -22.

    Double precision, from rest; not differentiable.

    Raises:
        ValueError: Band edges that are not in order below Nyquist.

    Examples:
        >>> low = torch.sin(2 * torch.pi * 100 / 16000 * torch.arange(16000))
        >>> loudest = bandpass_weight(low, 16000)[8000:].abs().max()
        >>> round(abs(20 * loudest.log10().item()), 1)  # where the A curve takes 19 dB off
        0.0
    """
    if not 0 < low_hz < high_hz < sample_rate / 2:
        raise ValueError(f"Needs 0 < low_hz < high_hz < {sample_rate / 2}, got {low_hz} and {high_hz}.")
    from scipy import signal  # slow to import

    sections = signal.butter(order, [low_hz, high_hz], btype="bandpass", fs=sample_rate, output="sos")
    filtered = signal.sosfilt(sections, audio.double().numpy(force=True), axis=-1)
    return torch.from_numpy(filtered).to(audio)
