"""The energy of a sound over time: its envelope through a window, and the moment it is centred on."""

import torch
from jaxtyping import Float
from torch import Tensor

from drumblender.dsp.checks import check_some
from drumblender.dsp.kernels import served
from drumblender.dsp.moments import analysis_window
from drumblender.dsp.precision import in_full_precision, widen
from drumblender.dsp.tables import placed, table


@in_full_precision
def amplitude_envelope(audio: Float[Tensor, "... samples"], window: int) -> Float[Tensor, "... samples"]:
    """Energy around each sample: its square and its neighbours', through a periodic Hann window.

    Args:
        audio: Silence is assumed before and after.
        window: Length of the window in samples; of an even one, the longer half reaches forward.

    Raises:
        ValueError: A window below 1, or no sounds or samples.

    Examples:
        >>> amplitude_envelope(torch.tensor([0.0, 0.0, 0.0, 2.0, 0.0, 0.0]), window=4).round(decimals=3).abs()
        tensor([0., 2., 4., 2., 0., 0.])
    """
    if window < 1:
        raise ValueError(f"A window takes at least 1 sample, got {window=}.")
    check_some(audio)
    size = audio.shape[-1]
    wide = widen(audio)
    # A correlation is a convolution with the window turned round; an FFT of this length does not wrap.
    points = size + window - 1
    turned = placed(analysis_window("hann", window, audio.dtype), wide).flip(0)
    product = torch.fft.rfft(wide.square(), points) * torch.fft.rfft(turned, points)
    ahead = window - 1 - (window - 1) // 2
    return torch.fft.irfft(product, points)[..., ahead : ahead + size].to(audio.dtype)


@in_full_precision
def temporal_centroid_ms(
    audio: Float[Tensor, "... samples"], *, sample_rate: float, window: int
) -> Float[Tensor, "..."]:
    """The mean time of :func:`amplitude_envelope` in milliseconds; 0 for silence.

    The envelope is linear in the squared samples, so its sum and its first moment are dot products with
    weights that depend on the lengths alone: no convolution is needed.

    Examples:
        >>> click = torch.nn.functional.one_hot(torch.tensor(480), 4800).float()
        >>> round(temporal_centroid_ms(click, sample_rate=48000, window=1).item(), 3)
        10.0
    """
    weights = _moment_weights(audio.shape[-1], window, audio.dtype)
    if served(audio):
        from drumblender.dsp.kernels.energy import WeightedEnergy  # numba is slow to import

        sums = WeightedEnergy.apply(audio.reshape(-1, audio.shape[-1]), weights).view(*audio.shape[:-1], 2)
    else:
        energy = widen(audio).square()[..., None, :]
        sums = (energy * placed(weights, energy)).sum(dim=-1)
    total, first = sums.unbind(dim=-1)
    return (first / (total + 1e-8) / sample_rate * 1000).to(audio.dtype)


@table
def _moment_weights(size: int, window: int, dtype: torch.dtype) -> Float[Tensor, "2 samples"]:
    """What each squared sample adds to the sum of the envelope, and to its sum weighted by the time."""
    shape = analysis_window("hann", window, dtype).double()
    ones = torch.stack([torch.ones(size, dtype=torch.float64), torch.arange(size, dtype=torch.float64)])
    behind = (window - 1) // 2  # the transpose of the envelope's correlation is a convolution
    points = size + window - 1
    product = torch.fft.rfft(ones, points) * torch.fft.rfft(shape, points)
    return torch.fft.irfft(product, points)[:, behind : behind + size].clamp(min=0).contiguous()
