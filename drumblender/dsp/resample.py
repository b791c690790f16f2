"""Change of sample rate with a Kaiser-windowed sinc."""

import math

import torch
from jaxtyping import Float
from torch import Tensor

from drumblender.dsp.kernels import served
from drumblender.dsp.precision import in_full_precision
from drumblender.dsp.tables import frames_of, table


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
    if served(x):
        from drumblender.dsp.kernels.resample import Resample  # numba is slow to import

        rows = Resample.apply(x.reshape(-1, x.shape[-1]), kernel, reach, step, count, dtype)
        return rows.view(*x.shape[:-1], count)
    return _resample_plain(x, kernel, reach, step)[..., :count].to(dtype)


@table
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


def _resample_plain(x: Tensor, kernel: Tensor, reach: int, step: int) -> Tensor:
    """The formula in torch, for every device: one matrix product over all phases."""
    padded = torch.nn.functional.pad(x, (reach, reach + step))
    return (frames_of(padded, kernel.shape[0], step) @ kernel.to(x)).flatten(-2)
