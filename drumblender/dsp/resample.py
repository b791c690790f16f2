"""Change of sample rate with a Kaiser-windowed sinc."""

import math
from functools import lru_cache

import torch
from jaxtyping import Float
from torch import Tensor

from drumblender.dsp.precision import in_full_precision


@in_full_precision
def kaiser_resample(
    x: Float[Tensor, "*batch samples"],
    sr_in: int,
    sr_out: int,
    width: int = 32,
    beta: float = 14.0,
    rolloff: float = 0.9475937167399596,
) -> Float[Tensor, "*batch resampled"]:
    """Resample along the last axis; the rule is that of torchaudio's ``sinc_interp_kaiser``.

    The result has ``ceil(samples * sr_out / sr_in)`` samples and the type of ``x``.

    Args:
        x: Signals.
        sr_in: Their sample rate, a whole number of Hz.
        sr_out: The wanted rate, a whole number of Hz.
        width: Zero crossings of the sinc on either side.
        beta: Shape of the Kaiser window.
        rolloff: Cutoff as a share of the lower Nyquist frequency.

    Raises:
        ValueError: A rate is not a whole number above 0.
    """
    if min(sr_in, sr_out) < 1:
        raise ValueError(f"Sample rates are whole numbers of Hz above 0, got {sr_in=}, {sr_out=}.")
    if sr_in == sr_out:
        return x
    kernel, reach, step = resampling_kernel(sr_in, sr_out, width, beta, rolloff)
    num_samples = x.shape[-1]
    padded = torch.nn.functional.pad(x, (reach, reach + step))
    frames = padded.unfold(-1, kernel.shape[0], step)  # (..., steps, kernel)
    phases = frames @ kernel.to(x)
    return phases.flatten(-2)[..., : -(-num_samples * kernel.shape[1] // step)]


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
