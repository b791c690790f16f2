"""Second-order recursive filters (biquads)."""

import math

import torch
from jaxtyping import Float
from torch import Tensor

from drumblender.dsp.kernels import served, served_on_cuda
from drumblender.dsp.precision import in_full_precision, widen
from drumblender.types import Audio

Coefficients = tuple[Float[Tensor, "batch 3"], Float[Tensor, "batch 3"]]


def lowpass_coefficients(
    freq_hz: Float[Tensor, "batch"], q: Float[Tensor, "batch"], sample_rate: float
) -> Coefficients:
    """Numerator and denominator of a second-order low-pass, by the bilinear transform.

    Examples:
        >>> b, a = lowpass_coefficients(torch.tensor([1000.0]), torch.tensor([0.707]), 48000)
        >>> round((b.sum() / a.sum()).item(), 3)  # gain at 0 Hz
        1.0
    """
    k, scale, denominator = _bilinear(freq_hz, q, sample_rate)
    gain = k * k * scale
    return torch.stack([gain, 2 * gain, gain], dim=-1), denominator


def highpass_coefficients(
    freq_hz: Float[Tensor, "batch"], q: Float[Tensor, "batch"], sample_rate: float
) -> Coefficients:
    """Numerator and denominator of a second-order high-pass, by the bilinear transform.

    Examples:
        >>> b, a = highpass_coefficients(torch.tensor([1000.0]), torch.tensor([0.707]), 48000)
        >>> round(abs(b.sum() / a.sum()).item(), 3)  # gain at 0 Hz
        0.0
    """
    _, scale, denominator = _bilinear(freq_hz, q, sample_rate)
    return torch.stack([scale, -2 * scale, scale], dim=-1), denominator


@in_full_precision
def biquad(
    audio: Audio,
    b: Float[Tensor, "#batch 3"],
    a: Float[Tensor, "#batch 3"],
    *,
    clamp: bool = False,
) -> Audio:
    """Filter each sound from rest: ``y[n] = b0 x[n] + b1 x[n-1] + b2 x[n-2] - a1 y[n-1] - a2 y[n-2]``.

    Differentiable in all three tensors. A compiled recursion in double precision on the CPU, on CUDA with
    Triton a parallel scan.

    Args:
        audio: What is filtered.
        b: Numerator of each filter; one row filters all.
        a: Denominator of each filter, with ``a0`` equal to 1; one row filters all.
        clamp: Limit what leaves the filter to [-1, 1]; the recursion goes on unlimited, and samples beyond
            pass no gradient.

    Examples:
        >>> impulse = torch.tensor([[1.0, 0.0, 0.0, 0.0]])
        >>> biquad(impulse, b=torch.tensor([[1.0, 0.0, 0.0]]), a=torch.tensor([[1.0, -0.5, 0.0]])).tolist()
        [[1.0, 0.5, 0.25, 0.125]]
    """
    limit = 1.0 if clamp else math.inf
    if served(audio, b, a):
        from drumblender.dsp.kernels.filters import Biquad  # numba is slow to import

        return Biquad.apply(audio, b.expand(len(audio), 3), a.expand(len(audio), 3), limit)
    if audio.numel() and served_on_cuda(audio, b, a):
        from drumblender.dsp.kernels.filters_cuda import Biquad

        return Biquad.apply(audio, b.expand(len(audio), 3), a.expand(len(audio), 3), clamp)
    return biquad_plain(audio, b, a, clamp=clamp)


def biquad_plain(
    audio: Audio, b: Float[Tensor, "#batch 3"], a: Float[Tensor, "#batch 3"], *, clamp: bool = False
) -> Audio:
    """What :func:`biquad` computes, without a loop over samples: any device, any derivative, any exporter.

    ``1 + c1 z^-L + c2 z^-2L`` times its mirror image ``1 - c1 z^-L + c2 z^-2L`` is a polynomial in ``z^-2L``
    (Graeffe). So each pass of the mirror image doubles the lag of the recursion that is still to do, until it
    reaches back behind the first sample.
    """
    y, count = widen(audio), audio.shape[-1]
    (b0, b1, b2), (_, c1, c2) = (widen(side)[..., None].unbind(dim=1) for side in (b, a))
    y = b0 * y + b1 * _delayed(y, 1) + b2 * _delayed(y, 2)
    lag = 1
    while lag < count:
        y = y - c1 * _delayed(y, lag) + c2 * _delayed(y, 2 * lag)
        c1, c2 = 2 * c2 - c1 * c1, c2 * c2
        lag *= 2
    return (y.clamp(-1, 1) if clamp else y).to(audio.dtype)


def _delayed(x: Tensor, lag: int) -> Tensor:
    lag = min(lag, x.shape[-1])
    return torch.nn.functional.pad(x[..., : x.shape[-1] - lag], (lag, 0))


def _bilinear(freq_hz: Tensor, q: Tensor, sample_rate: float) -> tuple[Tensor, Tensor, Tensor]:
    k = torch.tan(math.pi * freq_hz / sample_rate)
    scale = 1 / (1 + k / q + k * k)
    a1, a2 = 2 * (k * k - 1) * scale, (1 - k / q + k * k) * scale
    return k, scale, torch.stack([torch.ones_like(a1), a1, a2], dim=-1)
