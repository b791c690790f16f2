"""Change of sample rate with a Kaiser-windowed sinc."""

import math
from functools import lru_cache

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor
from torch.autograd.function import once_differentiable

from drumblender.dsp.kernels.threads import parallel_for
from drumblender.dsp.precision import in_full_precision
from drumblender.dsp.sharing import plain_array


@in_full_precision
def kaiser_resample(
    x: Float[Tensor, "*batch samples"],
    sr_in: int,
    sr_out: int,
    width: int = 32,
    beta: float = 14.0,
    rolloff: float = 0.9475937167399596,
    *,
    num_samples: int | None = None,
    dtype: torch.dtype | None = None,
) -> Float[Tensor, "*batch resampled"]:
    """Resample along the last axis; the rule is that of torchaudio's ``sinc_interp_kaiser``.

    Args:
        x: Signals.
        sr_in: Their sample rate, a whole number of Hz.
        sr_out: The wanted rate, a whole number of Hz.
        width: Zero crossings of the sinc on either side.
        beta: Shape of the Kaiser window.
        rolloff: Cutoff as a share of the lower Nyquist frequency.
        num_samples: Cut the result after so many samples; there are ``ceil(samples * sr_out / sr_in)``.
        dtype: Type of the result, by default that of ``x``.

    Raises:
        ValueError: A rate is not above 0.
    """
    if min(sr_in, sr_out) < 1:
        raise ValueError(f"Sample rates are whole numbers of Hz above 0, got {sr_in=}, {sr_out=}.")
    dtype = dtype or x.dtype
    if sr_in == sr_out:
        return (x if num_samples is None else x[..., :num_samples]).to(dtype)
    kernel, reach, step = resampling_kernel(sr_in, sr_out, width, beta, rolloff)
    count = -(-x.shape[-1] * kernel.shape[1] // step)
    count = count if num_samples is None else min(count, num_samples)
    if x.device.type == "cpu":
        rows = _Resample.apply(x.reshape(-1, x.shape[-1]), kernel, reach, step, count, dtype)
        return rows.view(*x.shape[:-1], count)
    return _plain_resample(x, kernel, reach, step)[..., :count].to(dtype)


@lru_cache(maxsize=16)
def resampling_kernel(
    sr_in: int,
    sr_out: int,
    width: int = 32,
    beta: float = 14.0,
    rolloff: float = 0.9475937167399596,
) -> tuple[Float[Tensor, "taps phases"], int, int]:
    """One windowed sinc for each output phase, the samples it reaches back, and the input samples a step."""
    divisor = math.gcd(sr_in, sr_out)
    step, phases = sr_in // divisor, sr_out // divisor
    cutoff = min(step, phases) * rolloff
    reach = math.ceil(width * step / cutoff)
    taps = torch.arange(-reach, reach + step, dtype=torch.float64)[:, None] / step
    delay = torch.arange(phases, dtype=torch.float64) / phases
    crossings = (cutoff * (taps - delay)).clamp(-width, width)
    shape = torch.special.i0(beta * (1 - (crossings / width) ** 2).sqrt())
    window = (
        shape / torch.special.i0(torch.tensor(beta, dtype=torch.float32)).double()
    )  # as torchaudio has it
    return torch.sinc(crossings) * window * (cutoff / step), reach, step


def _plain_resample(x: Tensor, kernel: Tensor, reach: int, step: int) -> Tensor:
    """The formula in torch, for every device: one matrix product over all phases."""
    padded = torch.nn.functional.pad(x, (reach, reach + step))
    return (padded.unfold(-1, kernel.shape[0], step) @ kernel.to(x)).flatten(-2)


class _Resample(torch.autograd.Function):
    """In numpy and compiled loops throughout, which leave torch's thread teams alone."""

    @staticmethod
    def forward(ctx, x, kernel, reach, step, count, dtype):
        from drumblender.dsp.kernels.resample_cpu import resample_forward

        taps, phases = kernel.shape
        steps = -(-count // phases)
        ctx.kernel, ctx.reach, ctx.step = kernel.numpy(), reach, step
        ctx.like, ctx.width = x.detach(), max(x.shape[1] + reach, (steps - 1) * step + taps)
        padded = np.zeros((len(x), ctx.width))
        padded[:, reach : reach + x.shape[1]] = plain_array(x)
        out = np.empty((len(x), steps * phases))
        arrays = padded, np.ascontiguousarray(ctx.kernel.T), step, out
        parallel_for(lambda start, stop: resample_forward(*arrays, start, stop), len(x))
        return torch.from_numpy(out[:, :count].astype(_numpy_type(dtype)))

    @staticmethod
    @once_differentiable
    def backward(ctx, grad):
        from drumblender.dsp.kernels.resample_cpu import resample_backward

        phases, num_samples = ctx.kernel.shape[1], ctx.like.shape[1]
        given = np.zeros((len(grad), -(-grad.shape[1] // phases) * phases))
        given[:, : grad.shape[1]] = plain_array(grad)
        padded = np.zeros((len(grad), ctx.width))
        arrays = given, ctx.kernel, ctx.step, padded
        parallel_for(lambda start, stop: resample_backward(*arrays, start, stop), len(grad))
        heard = padded[:, ctx.reach : ctx.reach + num_samples].astype(_numpy_type(ctx.like.dtype))
        return torch.from_numpy(heard), None, None, None, None, None


def _numpy_type(dtype: torch.dtype) -> np.dtype:
    return torch.empty(0, dtype=dtype).numpy().dtype
