"""Loudness: A-weighting, and K-weighted power."""

import math
from collections.abc import Callable

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from drumblender.dsp.filters import biquad, biquad_plain
from drumblender.dsp.kernels import served
from drumblender.dsp.precision import in_full_precision
from drumblender.dsp.tables import frames_of, placed, table
from drumblender.types import Audio

# Corners of the analogue A-weighting curve in Hz, and the dB that lift it to 0 dB at 1 kHz (IEC 61672).
CORNERS_HZ = (20.598997, 107.65265, 737.86223, 12194.217)
LIFT_DB = 1.9997
_SIDE_BY_SIDE = 8  # frames from which on filtering many at once is faster, and holds less than they are long


@table
def a_weighting_fir(sample_rate: int, num_taps: int = 101) -> Float[Tensor, "taps"]:
    """Linear-phase FIR that weights a spectrum as the ear does at low level (A curve).

    The analogue curve by the bilinear transform, then a least-squares fit of its magnitude at 512 frequencies
    (Wright and Välimäki 2020, as in auraloss). float32 on the CPU; the tensor is shared, do not write to it.

    Args:
        sample_rate: Samples per second.
        num_taps: Length of the filter; odd, so that its delay is a whole number of samples.

    Raises:
        ValueError: ``sample_rate`` below 1, or ``num_taps`` even or below 3.

    Examples:
        >>> taps = a_weighting_fir(48000)
        >>> taps.shape, torch.allclose(taps, taps.flip(0))
        (torch.Size([101]), True)
    """
    if sample_rate < 1:
        raise ValueError(f"Need at least 1 sample a second, got {sample_rate=}.")
    if num_taps < 3 or num_taps % 2 == 0:
        raise ValueError(f"num_taps must be odd and at least 3, got {num_taps}.")
    from scipy import signal  # slow to import

    f1, f2, f3, f4 = (2 * np.pi * corner for corner in CORNERS_HZ)
    zeros, poles = np.zeros(4), -np.array([f1, f1, f2, f3, f4, f4])
    numerator, denominator = signal.zpk2tf(zeros, poles, f4**2 * 10 ** (LIFT_DB / 20))
    frequencies, response = signal.freqz(
        *signal.bilinear(numerator, denominator, fs=sample_rate), worN=512, fs=sample_rate
    )
    taps = signal.firls(num_taps, frequencies, np.abs(response), fs=sample_rate)
    return torch.from_numpy(taps.astype(np.float32))


@in_full_precision
def a_weight(audio: Audio, sample_rate: int, num_taps: int = 101) -> Audio:
    """Filter with :func:`a_weighting_fir`, without delay; silence is assumed before and after.

    Examples:
        >>> tones = torch.sin(2 * torch.pi * torch.tensor([[1000], [100]]) / 16000 * torch.arange(16000))
        >>> heard = a_weight(tones, 16000).std(dim=1) / tones.std(dim=1)
        >>> round(20 * heard[0].log10().item()), bool(heard[1] < 0.2)
        (0, True)
    """
    return _centred_fir(audio, placed(a_weighting_fir(sample_rate, num_taps), audio))


def _centred_fir(audio: Audio, taps: Float[Tensor, "taps"], block: int = 64) -> Audio:
    """``conv1d`` with an odd number of symmetric taps, as one matrix product over blocks: 14 times faster."""
    reach, num_samples = len(taps) // 2, audio.shape[-1]
    fill = -num_samples % block
    padded = torch.nn.functional.pad(audio, (reach, reach + fill))
    span = block + 2 * reach
    # Row n of the matrix holds the taps from column n on.
    rows = torch.nn.functional.pad(taps, (0, block)).repeat(block)[: block * span].view(block, span)
    return (frames_of(padded, span, block) @ rows.T).flatten(1)[:, :num_samples]


@table
def k_weighting_coefficients(
    sample_rate: float,
) -> tuple[Float[Tensor, "stages 3"], Float[Tensor, "stages 3"]]:
    """Numerators and denominators of the two K-weighting stages: a high shelf, then a high-pass.

    ITU-R BS.1770 at any sample rate, by the audio EQ cookbook (Bristow-Johnson). float32 on the CPU, as the
    published features round them; the tensors are shared, do not write to them.

    Raises:
        ValueError: ``sample_rate`` not above twice the 1500 Hz of the shelf.

    Examples:
        >>> b, a = k_weighting_coefficients(48000)
        >>> b.shape, bool(b[1].sum().abs() < 1e-6)  # the high-pass lets no offset through
        (torch.Size([2, 3]), True)
    """
    if sample_rate <= 3000:
        raise ValueError(f"K-weighting needs a sample rate above 3000 Hz, got {sample_rate}.")
    gain = 10 ** (4 / 40)  # a shelf of 4 dB
    angle = 2 * math.pi * 1500 / sample_rate
    cos, slope = math.cos(angle), 2 * math.sqrt(gain) * math.sin(angle) / math.sqrt(2)
    up, down = gain + 1, gain - 1
    shelf_b = gain * np.array([up + down * cos + slope, -2 * (down + up * cos), up + down * cos - slope])
    shelf_a = np.array([up - down * cos + slope, 2 * (down - up * cos), up - down * cos - slope])
    angle = 2 * math.pi * 38 / sample_rate
    cos, alpha = math.cos(angle), math.sin(angle)  # Q = 1/2
    pass_b = np.array([(1 + cos) / 2, -(1 + cos), (1 + cos) / 2])
    pass_a = np.array([1 + alpha, -2 * cos, 1 - alpha])
    b = np.stack([shelf_b / shelf_a[0], pass_b / pass_a[0]])
    a = np.stack([shelf_a / shelf_a[0], pass_a / pass_a[0]])
    return torch.from_numpy(b.astype(np.float32)), torch.from_numpy(a.astype(np.float32))


@in_full_precision
def k_weighted_power(
    audio: Audio, sample_rate: float, *, frame_size: int, hop_length: int, clamp: bool = True
) -> Float[Tensor, "batch frames"]:
    """Mean square of every whole frame after K-weighting that starts from rest in each frame.

    Args:
        audio: Sound of at least one frame.
        sample_rate: Samples per second.
        frame_size: Samples in a frame.
        hop_length: Samples from a frame to the next.
        clamp: Limit what leaves each of the two stages to [-1, 1], as the published features do.

    Examples:
        >>> k_weighted_power(torch.randn(2, 4800), 48000, frame_size=1024, hop_length=512).shape
        torch.Size([2, 8])
    """
    b, a = k_weighting_coefficients(sample_rate)
    num_frames = (audio.shape[-1] - frame_size) // hop_length + 1
    if served(audio) and num_frames >= _SIDE_BY_SIDE:
        from drumblender.dsp.kernels.loudness import KPower  # numba is slow to import

        return KPower.apply(audio, b, a, frame_size, hop_length, 1.0 if clamp else math.inf)
    b, a = placed(b, audio), placed(a, audio)
    return k_weighted_power_plain(audio, b, a, frame_size, hop_length, clamp=clamp, filter=biquad)


def k_weighted_power_plain(
    audio: Audio,
    b: Tensor,
    a: Tensor,
    frame_size: int,
    hop_length: int,
    *,
    clamp: bool = True,
    filter: Callable[..., Audio] = biquad_plain,
) -> Float[Tensor, "batch frames"]:
    """What :func:`k_weighted_power` computes: any device, any precision."""
    frames = frames_of(audio, frame_size, hop_length)
    weighted = frames.flatten(0, 1)
    for stage_b, stage_a in zip(b.to(audio), a.to(audio), strict=True):
        weighted = filter(weighted, stage_b[None], stage_a[None], clamp=clamp)
    return weighted.square().mean(dim=-1).view(frames.shape[:2])
