"""Harmonics of one moving fundamental: a bank of sines that are locked in phase."""

import math

import torch
from jaxtyping import Float
from torch import Tensor

from drumblender.dsp.envelopes import Upsampling, upsample_frames
from drumblender.dsp.kernels import served, served_on_cuda
from drumblender.dsp.precision import in_full_precision, widen


@in_full_precision
def harmonic_bank(
    f0_hz: Float[Tensor, "#batch f0_frames"],
    amp: Float[Tensor, "#batch amp_frames harmonics"],
    *,
    num_samples: int,
    sample_rate: float,
    f0_upsampling: Upsampling = "ends",
    amp_upsampling: Upsampling = "ends",
    fade: bool = False,
) -> Float[Tensor, "batch samples"]:
    """Sum ``amp[k] sin(k phase)``, where the phase runs with the fundamental.

    The running phase is the inclusive sum of the frequency: the first sample already carries
    ``2 pi f0 / sample_rate``. A harmonic is silent in the samples where it is at or above Nyquist.
    Differentiable in both tensors. NaN in, NaN out: nothing is checked sample by sample.

    On the CPU, where there is one cosine a sample and not one a harmonic: Clenshaw's recurrence sums the
    series from ``cos(phase)`` alone, in float64. On CUDA with Triton, for amplitudes in float32, the phase is
    counted in steps of ``2 ** -32`` turns. Neither holds a tensor of harmonics times samples.

    Args:
        f0_hz: Fundamental, in Hz.
        amp: Linear amplitude of the harmonics, the fundamental first.
        num_samples: Length of the output.
        sample_rate: Samples per second.
        f0_upsampling: How the frames of the fundamental become samples.
        amp_upsampling: How those of the amplitudes do.
        fade: Also silence a harmonic in the frames where it is at or above Nyquist, so that it fades on its
            way there. Needs as many frames of both, or one of either.

    Raises:
        ValueError: No samples are asked for, a tensor is empty, or the shapes do not fit.

    Examples:
        >>> f0_hz, amp = torch.tensor([[4000.0]]), torch.ones(1, 1, 1)
        >>> tone = harmonic_bank(f0_hz, amp, num_samples=8, sample_rate=16000)
        >>> [round(sample) for sample in tone[0].tolist()]
        [1, 0, -1, 0, 1, 0, -1, 0]
    """
    if sample_rate <= 0:
        raise ValueError(f"Need more than 0, got {sample_rate=}.")
    if 0 in f0_hz.shape or 0 in amp.shape or {len(f0_hz), len(amp)} - {1, max(len(f0_hz), len(amp))}:
        raise ValueError(
            "Need f0_hz (batch, frames) and amp (batch, frames, harmonics) of one batch without an empty "
            f"axis, got {tuple(f0_hz.shape)} and {tuple(amp.shape)}."
        )
    if fade:
        amp = _silence_frames(f0_hz, amp, sample_rate)
    batch = max(len(f0_hz), len(amp))
    f0_hz, amp = f0_hz.expand(batch, -1), amp.expand(batch, -1, -1)
    methods = {"f0_upsampling": f0_upsampling, "amp_upsampling": amp_upsampling}
    if served(f0_hz, amp):
        from drumblender.dsp.kernels.harmonics import fused_harmonic_bank  # numba imports slowly

        return fused_harmonic_bank(f0_hz, amp, num_samples, sample_rate, **methods)
    if amp.dtype == torch.float32 and served_on_cuda(f0_hz, amp):
        from drumblender.dsp.kernels.harmonics_cuda import fused_harmonic_bank

        return fused_harmonic_bank(f0_hz, amp, num_samples, sample_rate, **methods)
    return harmonic_bank_plain(f0_hz, amp, num_samples=num_samples, sample_rate=sample_rate, **methods)


def harmonic_bank_plain(
    f0_hz: Float[Tensor, "batch f0_frames"],
    amp: Float[Tensor, "batch amp_frames harmonics"],
    *,
    num_samples: int,
    sample_rate: float,
    f0_upsampling: Upsampling = "ends",
    amp_upsampling: Upsampling = "ends",
) -> Float[Tensor, "batch samples"]:
    """:func:`harmonic_bank` as torch writes it down: for any device, and what the kernel is held to."""
    f0 = upsample_frames(widen(f0_hz), num_samples, f0_upsampling)[:, None]
    order = torch.arange(1, amp.shape[-1] + 1, device=f0.device, dtype=f0.dtype)[:, None]
    turns = order * (f0 / sample_rate).cumsum(dim=-1)
    phase = (2 * math.pi * (turns - turns.detach().round())).to(amp.dtype)
    amp = upsample_frames(amp.transpose(-1, -2), num_samples, amp_upsampling)
    amp = amp.masked_fill(order * f0.abs() >= sample_rate / 2, 0.0)
    return (amp * phase.sin()).sum(dim=1)


def _silence_frames(f0_hz: Tensor, amp: Tensor, sample_rate: float) -> Tensor:
    frames = {int(f0_hz.shape[1]), int(amp.shape[1])}  # to a tracer, a size is a tensor
    if frames - {1, max(frames)}:
        raise ValueError(
            f"fade compares frame with frame; f0_hz has {f0_hz.shape[1]} and amp {amp.shape[1]}."
        )
    order = torch.arange(1, amp.shape[-1] + 1, device=amp.device, dtype=f0_hz.dtype)
    above = order * f0_hz.abs()[..., None] >= sample_rate / 2
    return torch.where(above, 0.0, amp)
