"""Change of sample rate with a windowed sinc: a long one for synths, a short one for recordings."""

import math
from typing import NamedTuple

import torch
from jaxtyping import Float, Int
from torch import Tensor

from drumblender.dsp.kernels import served
from drumblender.dsp.precision import in_full_precision
from drumblender.dsp.tables import frames_of, placed, table

KAISER = {"width": 32, "rolloff": 0.9475937167399596, "beta": 14.0}
"""The long sinc of the synths: a transition of 5 % of the band, what is beyond 100 dB down."""
_MOST_WEIGHTS = 1 << 22  # that are held at once: 16 MB
_FEWEST_OUTPUTS, _FEWEST_STEPS = 16384, 16  # below, a loop over weights is faster than products of matrices

Settings = tuple[int, int, int, float, float | None]
"""Rates in and out, zero crossings, roll-off and the shape of a Kaiser window."""


class Sinc(NamedTuple):
    """A windowed sinc for each place (phase) that an output can have between two inputs.

    Output ``q phases + j`` is the sum of ``rows[j]`` times the inputs from ``q step + starts[j] - reach`` on.

    Examples:
        >>> sinc = windowed_sinc(16000, 48000, width=6, rolloff=0.99)
        >>> sinc.starts.tolist(), sinc.reach, sinc.step
        ([0, 0, 0], 7, 1)
    """

    rows: Float[Tensor, "phases taps"]
    starts: Int[Tensor, "phases"]
    reach: int
    step: int


class Products(NamedTuple):
    """The weights of neighbouring outputs as matrices, over the inputs that any of a block hears.

    As many steps are taken together as make a row of inputs no shorter than what a block hears: then rows lie
    in the signal itself, one after the other, and none has to be copied. Of row ``r``, the outputs of block
    ``i`` are the inputs from ``r step + firsts[i] - reach`` on times its columns of ``weights``.

    Examples:
        >>> products = sinc_products(48000, 16000, width=6, rolloff=0.99)
        >>> products.step, tuple(products.weights.shape), products.firsts
        (192, (133, 64), [0, 96])
    """

    weights: Float[Tensor, "inputs outputs"]
    firsts: list[int]
    step: int
    block = 32  # outputs: two registers of an AVX-512


class Change(NamedTuple):
    """How a change of rate is computed: by products where there are some, else by a loop over the weights.

    Examples:
        >>> Change(windowed_sinc(16000, 48000, width=6, rolloff=0.99)).products is None
        True
    """

    sinc: Sinc
    products: Products | None = None


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
    _check_rates(sr_in, sr_out)
    dtype = dtype or x.dtype
    if sr_in == sr_out:
        return (x if num_samples is None else x[..., :num_samples]).to(dtype)
    return _resample(x, (sr_in, sr_out, width, rolloff, beta), num_samples, dtype)


@in_full_precision
def hann_resample(
    audio: Float[Tensor, "batch samples"], from_rate: int, to_rate: int
) -> Float[Tensor, "batch resampled"]:
    """Another sample rate by a Hann-windowed sinc, 6 zero crossings wide, rolled off at 0.99 of Nyquist.

    The numbers of ``torchaudio.transforms.Resample`` for any pair of rates. The length is that of the sound,
    rounded up.

    Raises:
        ValueError: A rate is not above 0.

    Examples:
        >>> hann_resample(torch.randn(2, 44100), 44100, 16000).shape
        torch.Size([2, 16000])
    """
    _check_rates(from_rate, to_rate)
    if from_rate == to_rate:
        return audio
    return _resample(audio, (from_rate, to_rate, 6, 0.99, None), None, audio.dtype)


@table
def windowed_sinc(
    sr_in: int, sr_out: int, width: int, rolloff: float, beta: float | None = None, adjoint: bool = False
) -> Sinc:
    """The weights of a change of rate, no more of them than are not 0.

    torchaudio lays all phases over the inputs of a whole step, which for 44.1 to 48 kHz are three times as
    many, and for rates without a common divisor gigabytes.

    Args:
        sr_in, sr_out: The rates.
        width: Zero crossings on either side.
        rolloff: Cutoff as a share of the lower Nyquist frequency.
        beta: Shape of a Kaiser window; None takes a Hann window.
        adjoint: The same weights the other way, from outputs to inputs: the gradient.

    Examples:
        >>> sinc = windowed_sinc(48000, 16000, width=32, rolloff=0.95, beta=14.0)
        >>> sinc.rows.shape == (1, 2 * sinc.reach + 2), sinc.step
        (True, 3)
    """
    divisor = math.gcd(sr_in, sr_out)
    inputs, outputs = sr_in // divisor, sr_out // divisor  # in the same time, which is 1 long below
    given, wanted = (outputs, inputs) if adjoint else (inputs, outputs)
    cutoff = min(inputs, outputs) * rolloff
    reach = math.ceil(width * given / cutoff)
    phase = torch.arange(wanted)
    starts = phase * given // wanted
    near = starts[:, None] + torch.arange(-reach, reach + 2)
    input_index, output_index = (phase[:, None], near) if adjoint else (near, phase[:, None])
    output_place = output_index // outputs + _share(output_index % outputs, outputs, exact=beta is not None)
    crossings = (cutoff * (input_index.double() / inputs - output_place)).clamp(-width, width)
    weights = torch.sinc(crossings) * _window(crossings / width, beta) * (cutoff / inputs)
    return Sinc(weights, starts, reach, given)


def _share(index: Tensor, whole: int, *, exact: bool) -> Tensor:
    """``index / whole``; not exact, it is rounded to float32 as torchaudio does it for recordings."""
    return index.double() / whole if exact else (index.float() / whole).double()


def _window(place: Float[Tensor, "phases taps"], beta: float | None) -> Float[Tensor, "phases taps"]:
    """Of the places from -1 to 1."""
    if beta is None:
        return (place * (torch.pi / 2)).cos() ** 2
    highest = torch.special.i0(torch.tensor(beta, dtype=torch.float32)).double()  # as torchaudio has it
    return torch.special.i0(beta * (1 - place**2).sqrt()) / highest


def dense_sinc(sinc: Sinc) -> Float[Tensor, "taps phases"]:
    """All phases over the inputs of a whole step: one matrix product makes the outputs of the step.

    Examples:
        >>> dense_sinc(windowed_sinc(2, 3, width=1, rolloff=1.0)).shape
        torch.Size([5, 3])
    """
    phases, taps = sinc.rows.shape
    dense = sinc.rows.new_zeros(phases, taps + sinc.step - 1)
    return dense.scatter(1, sinc.starts[:, None] + torch.arange(taps, device=dense.device), sinc.rows).T


@table
def sinc_products(
    sr_in: int, sr_out: int, width: int, rolloff: float, beta: float | None = None, adjoint: bool = False
) -> Products:
    """The weights of :func:`windowed_sinc` in blocks of outputs.

    Neighbouring outputs hear nearly the same inputs, so that few weights of a block are 0; in one matrix of
    all phases two thirds would be for 44.1 to 48 kHz.

    Examples:
        >>> products = sinc_products(441, 480, width=6, rolloff=0.99)
        >>> tuple(products.weights.shape), products.firsts, products.step
        ((45, 160), [0, 29, 58, 88, 117], 147)
    """
    sinc, block = windowed_sinc(sr_in, sr_out, width, rolloff, beta, adjoint), Products.block
    phases, taps = sinc.rows.shape
    together = math.ceil((taps + math.ceil(block * sinc.step / phases)) / sinc.step)
    if phases <= block:  # few steps more make all blocks alike
        alike = block // math.gcd(block, phases)
        together = alike * math.ceil(together / alike)
    output = torch.arange(together * phases)
    starts = sinc.starts[output % phases] + output // phases * sinc.step
    firsts = starts[::block]
    places = starts - firsts.repeat_interleave(block)[: len(output)]
    weights = sinc.rows.new_zeros(len(output), taps + int(places.max()))
    weights.scatter_(1, places[:, None] + torch.arange(taps), sinc.rows[output % phases])
    return Products(weights.T.contiguous(), firsts.tolist(), together * sinc.step)


def _change(settings: Settings, count: int, *, adjoint: bool = False) -> Change:
    """The faster way to ``count`` outputs of an item, whatever the batch."""
    sinc = windowed_sinc(*settings, adjoint=adjoint)
    phases, taps = sinc.rows.shape
    worth = count >= max(_FEWEST_OUTPUTS, _FEWEST_STEPS * phases)
    worth = worth and taps * max(phases, 4 * Products.block) <= _MOST_WEIGHTS
    return Change(sinc, sinc_products(*settings, adjoint=adjoint) if worth else None)


def _resample(x: Tensor, settings: Settings, num_samples: int | None, dtype: torch.dtype) -> Tensor:
    sr_in, sr_out, *_ = settings
    count = -(-x.shape[-1] * sr_out // sr_in)
    count = count if num_samples is None else min(count, num_samples)
    if served(x):
        from drumblender.dsp.kernels.resample import Resample  # numba is slow to import

        back = _change(settings, x.shape[-1], adjoint=True) if x.requires_grad else None
        rows = Resample.apply(x.reshape(-1, x.shape[-1]), _change(settings, count), back, count, dtype)
        return rows.view(*x.shape[:-1], count)
    sinc = windowed_sinc(*settings)
    sinc = sinc._replace(rows=placed(sinc.rows, x), starts=placed(sinc.starts, x, torch.int64))
    phases, taps = sinc.rows.shape
    if phases * (taps + sinc.step) <= _MOST_WEIGHTS:
        return resample_plain(x, sinc)[..., :count].to(dtype)
    return _resample_gathered(x, sinc, count).to(dtype)


def resample_plain(x: Float[Tensor, "*batch samples"], sinc: Sinc) -> Float[Tensor, "*batch resampled"]:
    """The formula in torch, for every device: one matrix product over all phases.

    Examples:
        >>> resample_plain(torch.randn(441), windowed_sinc(441, 480, width=6, rolloff=0.99)).shape[0] >= 480
        True
    """
    kernel = dense_sinc(sinc._replace(rows=sinc.rows.to(x), starts=sinc.starts.to(x.device)))
    padded = torch.nn.functional.pad(x, (sinc.reach, len(kernel) - sinc.reach))
    return (frames_of(padded, len(kernel), sinc.step) @ kernel).flatten(-2)


def _resample_gathered(x: Tensor, sinc: Sinc, count: int) -> Tensor:
    """The same sum where the matrix would take gigabytes: the inputs of each output, in blocks."""
    phases, taps = sinc.rows.shape
    padded = torch.nn.functional.pad(x, (sinc.reach, taps + sinc.step * -(-count // phases)))
    blocks = []
    for place in torch.arange(count, device=x.device).split(max(_MOST_WEIGHTS // taps, 1)):
        phase = place % phases
        first = place // phases * sinc.step + sinc.starts[phase]
        heard = padded[..., first[:, None] + torch.arange(taps, device=x.device)]
        blocks.append((heard * sinc.rows[phase]).sum(dim=-1))
    return torch.cat(blocks, dim=-1)


def _check_rates(sr_in: int, sr_out: int) -> None:
    if min(sr_in, sr_out) < 1:
        raise ValueError(f"Sample rates are whole numbers of Hz above 0, got {sr_in=}, {sr_out=}.")
