"""Finds the loop filter of a string whose pitch is known: linear prediction at the lag of the loop.

Where nothing plucks it, a string repeats what it played a period ago through its loop filter, so that
``y[n] - sum_k taps_k y[n - lag - k]`` is 0. The filter that comes nearest to that is found from products of
the sound with itself at those few lags, section by section; filters of neighbouring sections are tied, for a
note that has faded to its fundamental tells of its loop no more than one gain.
"""

import math
from typing import NamedTuple

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from drumblender.dsp.all_pole import working_dtype
from drumblender.dsp.tables import placed, table
from drumblender.dsp.units import Range

_ROUNDS = 20
_STRAIGHT = 1e-6  # weight of the bends of the course, beside the share of power that is not predicted
_STILL = 1e-8  # of its slope
_EVEN = 1e-9  # of the distance from an even filter
_LONGEST_STEP = 2.0  # of a logit in a round
_SECTIONS_AT_ONCE = 64


class LoopProducts(NamedTuple):
    """Products of a string's sound with itself, all that the fit of its loop needs.

    Examples:
        >>> LoopProducts(torch.tensor([100.0]), torch.zeros(1, 8, 7, 7)).power.shape
        torch.Size([1, 8, 7, 7])
    """

    period: Float[Tensor, "batch"]
    """In samples."""

    power: Float[Tensor, "batch sections lags lags"]
    """Of the sound now, and around one period ago; relative to its power in the section."""


def loop_products(
    sound: Float[Tensor, "batch samples"],
    period: Float[Tensor, "batch"],
    free: Bool[Tensor, "samples"],
    *,
    loop_order: int,
    sections: int,
    floor_db: float = -90.0,
) -> LoopProducts:
    """Multiply a sound with itself at the lags that the loop of a string may have.

    Args:
        sound: Of the string.
        period: In samples, at least ``loop_order + 1``.
        free: Where nothing plucks.
        loop_order: Loop coefficients less one.
        sections: Parts of equal length; the filter is taken for constant in each.
        floor_db: Sections this far below the loudest tell less and less.

    Raises:
        ValueError: A period is too short, or there are more sections than samples.

    Examples:
        >>> products = loop_products(
        ...     torch.randn(2, 4000),
        ...     torch.tensor([100.0, 57.3]),
        ...     torch.ones(4000, dtype=torch.bool),
        ...     loop_order=2,
        ...     sections=8,
        ... )
        >>> products.power.shape
        torch.Size([2, 8, 7, 7])
    """
    num_samples = sound.shape[1]
    if not 1 <= sections <= num_samples:
        raise ValueError(f"A sound of {num_samples} samples has no {sections} sections.")
    if not bool((period >= loop_order + 1).all()):
        raise ValueError(f"A loop of {loop_order + 1} coefficients takes as many samples, got {period=}.")
    if working_dtype(sound.device) != torch.float64:  # what is not predicted is a billionth of the power
        sound, period, free = sound.cpu(), period.cpu(), free.cpu()
    period, size = period.double(), -(-num_samples // sections)
    longest, many = int(period.max().floor()) + loop_order + 1, _SECTIONS_AT_ONCE * size
    after = -(-sections // _SECTIONS_AT_ONCE) * many - num_samples
    padded = torch.nn.functional.pad(sound, (longest, after))
    free = torch.nn.functional.pad(free, (0, after))
    rows = []
    for item, whole in zip(padded, period.floor().int().tolist(), strict=True):
        lags = [0, *(whole + offset for offset in _offsets(loop_order))]
        parts = []
        for first in range(longest, len(item), many):  # all lags of an hour at once are gigabytes
            heard = torch.stack([item[first - lag : first - lag + many] for lag in lags], dim=-1)
            heard = heard.double() * free[first - longest : first - longest + many, None]
            heard = heard.view(-1, size, len(lags))
            parts.append(heard.mT @ heard)
        rows.append(torch.cat(parts)[:sections])
    power = torch.stack(rows)
    now = power[..., 0, 0]
    floor = now.amax(dim=1, keepdim=True) * 10 ** (floor_db / 10)
    return LoopProducts(period, power / (now + floor).clamp(min=1e-300)[..., None, None])


def fit_loop(
    products: LoopProducts, *, frames: int, gain: Range, loop_order: int, knots: int = 5
) -> Float[Tensor, "batch frames coefficients"]:
    """Loop coefficients, their gain in them, that predict best what the string plays next.

    They are positive, as those of :class:`~drumblender.synths.StringSynth`; the fraction of the delay is
    interpolated linearly and what the filter delays at the pitch is left out of it, as there
    (:func:`~drumblender.dsp.strings.fractional_delay_taps`). Logits run straight between a few knots;
    Levenberg and Marquardt's steps lead from several filters, and the best end counts. Not differentiable.

    Args:
        products: Of :func:`loop_products`.
        frames: Places to return, from the first sample to the last.
        gain: Least and greatest sum of the coefficients.
        loop_order: As of the products.
        knots: Places where the course may bend.

    Examples:
        >>> from drumblender.dsp.strings import karplus_strong
        >>> pluck = torch.nn.functional.pad(torch.rand(1, 100) - 0.5, (0, 7900))
        >>> period, loop = torch.full((1, 8000), 100.3), torch.tensor([0.2, 0.5, 0.29])
        >>> string = karplus_strong(pluck, period, loop.expand(1, 8000, 3), max_delay=200)
        >>> free = torch.arange(8000) >= 100
        >>> products = loop_products(string, period[:, 0], free, loop_order=2, sections=8)
        >>> found = fit_loop(products, frames=2, gain=Range(0, 1), loop_order=2)
        >>> found[0, 0].mul(100).round().tolist()
        [20.0, 50.0, 29.0]
    """
    starts = placed(_starts(loop_order), products.power)
    even = torch.zeros(loop_order + 2, dtype=torch.float64, device=starts.device)
    even[-1] = torch.logit(gain.normalize(torch.tensor(0.998)).clamp(0.05, 0.999))  # a string rings
    many = LoopProducts(*(value.repeat_interleave(len(starts), dim=0) for value in products))
    logits = (even + starts).repeat(len(products.period), 1, 1)
    logits, cost = _descend(many, logits, even, gain)  # straight courses from several filters
    best = cost.view(-1, len(starts)).argmin(dim=1)
    straight = logits.view(-1, len(starts), *logits.shape[1:]).take_along_dim(
        best[:, None, None, None], dim=1
    )[:, 0]
    bent, _ = _descend(products, placed(_blend(knots, 2, ends=True), logits) @ straight, even, gain)
    return _filter(placed(_blend(frames, knots, ends=True), bent) @ bent, gain)[0]


def _descend(
    products: LoopProducts, logits: Float[Tensor, "batch knots size"], even: Tensor, gain: Range
) -> tuple[Tensor, Tensor]:
    """Levenberg and Marquardt's steps; logits at the knots, and what is left."""
    count, knots, size = logits.shape
    blend = placed(_blend(products.power.shape[1], knots), logits)
    tied = placed(_ties(knots, size), logits)
    damping = torch.full((count, 1), 1e-3, dtype=torch.float64, device=logits.device)

    def measured(logits: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        predicts, slope = _prediction(products.period, blend @ logits, gain)
        left = products.power @ predicts[..., None]
        away = (logits - even).flatten(1)
        cost = (predicts[..., None] * left).sum(dim=(1, 2, 3)) + (away @ tied * away).sum(dim=1)
        return cost, (slope.mT @ left).squeeze(-1), slope.mT @ products.power @ slope

    cost, pull, curve = measured(logits)
    for _ in range(_ROUNDS):
        down = torch.einsum("rk,nrp->nkp", blend, pull).flatten(1) + (logits - even).flatten(1) @ tied
        square = torch.einsum("rk,rl,nrpq->nkplq", blend, blend, curve).reshape(count, *tied.shape) + tied
        diagonal = square.diagonal(dim1=1, dim2=2)
        damped = square + torch.diag_embed(damping * (diagonal + 1e-12))
        step = torch.linalg.solve(damped, -down).clamp(-_LONGEST_STEP, _LONGEST_STEP)
        moved = logits + step.view_as(logits)
        found = measured(moved)
        better = found[0] < cost
        logits = torch.where(better[:, None, None], moved, logits)
        cost, pull, curve = (
            torch.where(better.view(-1, *[1] * (new.ndim - 1)), new, old)
            for new, old in zip(found, (cost, pull, curve), strict=True)
        )
        damping = torch.where(better[:, None], damping / 4, damping * 6).clamp(1e-12, 1e6)
    return logits, cost


def _prediction(
    period: Float[Tensor, "batch"], logits: Float[Tensor, "batch sections size"], gain: Range
) -> tuple[Tensor, Tensor]:
    """What is 0 of a string, as weights of the sound now and around a period ago; and its slope by logits."""
    coefficients, slope = _filter(logits, gain)
    taps = torch.arange(coefficients.shape[-1], device=period.device, dtype=period.dtype)
    omega = (2 * math.pi / period)[:, None]
    turning = torch.polar(torch.ones_like(taps) * torch.ones_like(omega), -omega * taps)[:, None]
    response = (coefficients * turning).sum(dim=-1, keepdim=True)
    delay = response.angle() / omega[..., None]  # that of the filter, below 0
    delay_slope = (turning / response).imag / omega[..., None]  # by each coefficient
    offsets = torch.tensor(_offsets(len(taps) - 1), device=period.device, dtype=period.dtype)
    place = period.frac()[:, None, None] + delay + taps  # of each coefficient, in lags after the whole period
    away = place[..., None] - offsets
    weights = (1 - away.abs()).clamp(min=0)  # linear interpolation
    moves = torch.where(away.abs() < 1, -away.sign(), 0.0)  # their slope by the place
    predicted = (coefficients[..., None] * weights).sum(dim=-2)
    moved = (coefficients[..., None] * moves).sum(dim=-2)
    by_coefficient = weights.mT + moved[..., None] * delay_slope[..., None, :]
    by_logit = -by_coefficient @ slope
    first = torch.ones_like(predicted[..., :1])
    return torch.cat([first, -predicted], dim=-1), torch.nn.functional.pad(by_logit, (0, 0, 1, 0))


def _filter(
    logits: Float[Tensor, "*batch size"], gain: Range
) -> tuple[Float[Tensor, "*batch taps"], Float[Tensor, "*batch taps size"]]:
    """Coefficients of logits, whose last is the gain's, and their slope by the logits."""
    share, opened = logits[..., :-1].softmax(dim=-1), logits[..., -1:].sigmoid()
    total = gain.low + (gain.high - gain.low) * opened
    of_shares = torch.diag_embed(share) - share[..., :, None] * share[..., None, :]
    of_gain = share * (gain.high - gain.low) * opened * (1 - opened)
    return share * total, torch.cat([of_shares * total[..., None], of_gain[..., None]], dim=-1)


def _offsets(loop_order: int) -> range:
    """Lags after the whole period that the loop may read: its filter delays by 0 to ``loop_order``."""
    return range(-loop_order, loop_order + 2)


@table
def _starts(loop_order: int) -> Float[Tensor, "starts 2 size"]:
    """Logits of straight courses to start from, at both ends.

    Each delays differently: where the fraction of the delay passes a whole sample, what it predicts has a
    kink, over which no descent comes.
    """
    late = torch.linspace(-1.5, 1.5, loop_order + 1, dtype=torch.float64)
    ends = late.abs() - late.abs().mean()
    still = torch.stack([0 * late, ends, -ends, late, late / 2, -late / 2, -late])
    moving = torch.stack([torch.stack([-late, late]), torch.stack([late, -late])])
    return torch.nn.functional.pad(torch.cat([still[:, None].expand(-1, 2, -1), moving]), (0, 1))


@table
def _blend(places: int, knots: int, ends: bool = False) -> Float[Tensor, "places knots"]:
    """Weights of the knots at even places: at the middles of sections, or from end to end."""
    even = torch.arange(places, dtype=torch.float64)
    at = even / max(places - 1, 1) if ends else (even + 0.5) / places
    return (1 - (at[:, None] * (knots - 1) - torch.arange(knots)).abs()).clamp(min=0)


@table
def _ties(knots: int, size: int) -> Float[Tensor, "numbers numbers"]:
    """What bends and slopes of the course and the distance from an even filter cost, as a quadratic form."""
    unit = torch.eye(knots, dtype=torch.float64)
    bends, steps = unit[:-2] - 2 * unit[1:-1] + unit[2:], unit[1:] - unit[:-1]
    form = _STRAIGHT * bends.T @ bends + _STILL * (knots - 1) * steps.T @ steps + _EVEN * unit
    return torch.kron(form, torch.eye(size, dtype=torch.float64))
