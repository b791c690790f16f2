"""Change of sample rate with a windowed sinc: a long one for synths, a short one for recordings."""

import math
from functools import lru_cache

import torch
from jaxtyping import Float
from torch import Tensor, nn

from drumblender.dsp.kernels import served
from drumblender.dsp.precision import in_full_precision
from drumblender.dsp.tables import frames_of, table

_MAX_TABLE = 1 << 22  # weights held at once: 16 MB


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

    Examples:
        >>> kaiser_resample(torch.randn(2, 44100), 44100, 16000).shape
        torch.Size([2, 16000])
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
    """One windowed sinc for each output phase, the samples it reaches back, and the input samples a step.

    Examples:
        >>> kernel, reach, step = resampling_kernel(48000, 16000)
        >>> kernel.shape == (2 * reach + step, 1), step
        (True, 3)
    """
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


def hann_resample(
    audio: Float[Tensor, "batch samples"], from_rate: int, to_rate: int
) -> Float[Tensor, "batch resampled"]:
    """Another sample rate by a Hann-windowed sinc, 6 zero crossings wide, rolled off at 0.99 of Nyquist.

    The numbers of ``torchaudio.transforms.Resample`` for any pair of rates. The length is that of the sound,
    rounded up.

    Examples:
        >>> hann_resample(torch.randn(2, 44100), 44100, 16000).shape
        torch.Size([2, 16000])
    """
    if min(from_rate, to_rate) < 1:
        raise ValueError(f"Sample rates are at least 1, got {from_rate=} and {to_rate=}.")
    if from_rate == to_rate:
        return audio
    divisor = math.gcd(from_rate, to_rate)
    if (from_rate // divisor) * (to_rate // divisor) <= _MAX_TABLE:
        return _hann_table(from_rate, to_rate, audio.dtype, audio.device)(audio)
    return _hann_unrelated(audio, from_rate, to_rate)


@lru_cache(maxsize=16)
def _hann_table(from_rate: int, to_rate: int, dtype: torch.dtype, device: torch.device) -> nn.Module:
    # torchaudio takes half a second to import.
    from torchaudio.transforms import Resample

    # Without a type it makes the weights in double precision, and rounds them to single.
    return Resample(from_rate, to_rate, dtype=dtype if dtype == torch.float64 else None).to(device)


def _hann_unrelated(audio: Tensor, from_rate: int, to_rate: int) -> Tensor:
    """The same sum for rates like 44100 and 47999, whose table of weights would take gigabytes.

    Each output sample gets its own few weights instead of one row of a table.
    """
    width, rolloff = 6, 0.99
    base = min(from_rate, to_rate) * rolloff
    reach = math.ceil(width * from_rate / base)
    num_samples = audio.shape[-1]
    taps = torch.arange(-reach, reach + 1)
    blocks = []
    for place in torch.arange(math.ceil(num_samples * to_rate / from_rate)).split(_MAX_TABLE // len(taps)):
        numerator = place * from_rate  # exact: input position = numerator / to_rate
        index = (numerator // to_rate)[:, None] + taps
        offset = taps - (numerator % to_rate)[:, None].double() / to_rate
        time = (offset * (base / from_rate)).clamp(-width, width)
        weight = torch.sinc(time) * torch.cos(time * (torch.pi / width / 2)) ** 2 * (base / from_rate)
        weight = (weight * ((index >= 0) & (index < num_samples))).to(audio)
        blocks.append((audio[:, index.clamp(0, num_samples - 1)] * weight).sum(dim=-1))
    return torch.cat(blocks, dim=-1)
