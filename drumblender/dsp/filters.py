"""Second-order recursive filters (biquads)."""

import math

import torch
from jaxtyping import Float
from torch import Tensor

from drumblender.dsp.kernels.threads import parallel_for
from drumblender.dsp.precision import in_full_precision
from drumblender.types import Audio

Coefficients = tuple[Float[Tensor, "batch 3"], Float[Tensor, "batch 3"]]


def lowpass_coefficients(
    freq_hz: Float[Tensor, "batch"], q: Float[Tensor, "batch"], sample_rate: float
) -> Coefficients:
    """Numerator and denominator of a second-order low-pass, by the bilinear transform."""
    k, scale, denominator = _bilinear(freq_hz, q, sample_rate)
    gain = k * k * scale
    return torch.stack([gain, 2 * gain, gain], dim=-1), denominator


def highpass_coefficients(
    freq_hz: Float[Tensor, "batch"], q: Float[Tensor, "batch"], sample_rate: float
) -> Coefficients:
    """Numerator and denominator of a second-order high-pass, by the bilinear transform."""
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

    Differentiable in all three tensors. On the CPU a compiled recursion in double precision.

    Args:
        audio: What is filtered.
        b: Numerator of each filter; one row filters all.
        a: Denominator of each filter, with ``a0`` equal to 1; one row filters all.
        clamp: Limit what leaves the filter to [-1, 1]; the recursion goes on unlimited, and samples beyond
            pass no gradient.
    """
    limit = 1.0 if clamp else math.inf
    if all(tensor.device.type == "cpu" for tensor in (audio, b, a)):
        return _Biquad.apply(audio, b.expand(len(audio), 3), a.expand(len(audio), 3), limit)
    return biquad_plain(audio, b, a, clamp=clamp)


def biquad_plain(
    audio: Audio, b: Float[Tensor, "#batch 3"], a: Float[Tensor, "#batch 3"], *, clamp: bool = False
) -> Audio:
    """What :func:`biquad` computes, by ``torchaudio``: any device, any precision."""
    from torchaudio.functional import lfilter  # slow to import, and only needed here

    rows = len(audio)
    return lfilter(audio, a.expand(rows, 3), b.expand(rows, 3), clamp=clamp, batching=True)


def _bilinear(freq_hz: Tensor, q: Tensor, sample_rate: float) -> tuple[Tensor, Tensor, Tensor]:
    k = torch.tan(math.pi * freq_hz / sample_rate)
    scale = 1 / (1 + k / q + k * k)
    a1, a2 = 2 * (k * k - 1) * scale, (1 - k / q + k * k) * scale
    return k, scale, torch.stack([torch.ones_like(a1), a1, a2], dim=-1)


class _Biquad(torch.autograd.Function):
    @staticmethod
    def forward(ctx, audio: Tensor, b: Tensor, a: Tensor, limit: float) -> Tensor:
        from drumblender.dsp.kernels import biquad_cpu  # numba is slow to import

        ctx.save_for_backward(audio, b, a)
        ctx.limit = limit
        out = torch.empty_like(audio, memory_format=torch.contiguous_format)
        arrays = *(t.detach().contiguous().numpy() for t in (audio, b, a)), limit, out.numpy()
        parallel_for(lambda i, j: biquad_cpu.biquad_forward(*arrays, i, j), len(audio))
        return out

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx, grad: Tensor):
        from drumblender.dsp.kernels import biquad_cpu

        saved = ctx.saved_tensors
        grads = [torch.empty_like(t, memory_format=torch.contiguous_format) for t in saved]
        inputs = (t.detach().contiguous().numpy() for t in saved)
        arrays = *inputs, ctx.limit, grad.contiguous().numpy(), *(t.numpy() for t in grads)
        parallel_for(lambda i, j: biquad_cpu.biquad_backward(*arrays, i, j), len(grad))
        return *grads, None
