"""Kernel Audio Distance: the squared maximum mean discrepancy between two sets of embeddings."""

from dataclasses import dataclass
from typing import Literal

import torch
from jaxtyping import Float
from torch import Tensor

Embeddings = Float[Tensor, "_items _dimensions"]

_BLOCK = 1024  # rows of a kernel matrix held at once: 8 MB, whatever the number of items
_EPS = 1e-8  # added to twice the squared bandwidth, as in kadtk
_HIGH_BITS = 16  # of a float32, by which distances are counted first


@dataclass(frozen=True)
class KernelDistance:
    """A Kernel Audio Distance.

    Attributes:
        value: The distance; below 0 where the sets are nearer than two draws from one distribution would be.
        low: Lower end of the confidence interval; None where it was not asked for.
        high: Its upper end.
        bandwidth: Of the kernel, in the unit of the embeddings.
    """

    value: float
    low: float | None
    high: float | None
    bandwidth: float


def kernel_audio_distance(
    target: Embeddings,
    prediction: Embeddings,
    *,
    bandwidth_of: Literal["prediction", "target"] = "prediction",
    scale: float = 100.0,
    resamples: int = 0,
    confidence: float = 0.95,
    generator: torch.Generator | None = None,
) -> KernelDistance:
    """The distance of two sets, of any sizes, with a Gaussian kernel (Chung et al. 2025, KAD).

    The unbiased estimate: ``scale * (mean k(x_i, x_j) + mean k(y_i, y_j) - 2 mean k(x_i, y_j))`` where pairs
    of an item with itself are left out of the first two means, and ``k(a, b) = exp(-|a - b|^2 / 2 w^2)``. The
    bandwidth w is the median distance within one set. Memory is constant; time grows with the square of
    the number of items.

    The interval is that of a percentile bootstrap over the items of both sets, at the bandwidth of the whole
    set. Pairs of an item with its own copy are left out, which would otherwise make all resamples look apart.

    Args:
        target: Embeddings of the reference.
        prediction: Embeddings of what is evaluated.
        bandwidth_of: The set whose median distance is the bandwidth: ``"prediction"`` as ``kadtk`` 1.1
            computes it, ``"target"`` as its documentation says.
        scale: Factor of the result.
        resamples: Of the bootstrap; 0 for no interval.
        confidence: Of the interval, between 0 and 1.
        generator: Of the resamples (default: seed 0).

    Raises:
        ValueError: Fewer than two items in a set, other dimensions, NaN, more than half of the distances
            within the set of the bandwidth are 0, or a number out of range.

    Examples:
        >>> x, y = torch.eye(3), torch.eye(3) + 1
        >>> round(kernel_audio_distance(x, y).value, 2)
        51.61
    """
    if bandwidth_of not in ("prediction", "target"):
        raise ValueError(f"bandwidth_of is 'prediction' or 'target', got {bandwidth_of!r}.")
    if resamples < 0 or not 0 < confidence < 1:
        raise ValueError(f"Need 0 resamples or more and 0 < confidence < 1, got {resamples=}, {confidence=}.")
    x, y = check_sets(target, prediction)
    bandwidth = median_distance(y if bandwidth_of == "prediction" else x)
    if bandwidth == 0:
        raise ValueError(
            f"More than half of the sounds of the {bandwidth_of} have one embedding, which leaves the kernel "
            "no bandwidth. Take that of the other set, or another embedding."
        )
    values = scale * _estimates(x, y, bandwidth, resamples, generator or torch.Generator().manual_seed(0))
    low = high = None
    if resamples:
        ends = torch.tensor([(1 - confidence) / 2, (1 + confidence) / 2], dtype=x.dtype, device=x.device)
        low, high = torch.nanquantile(values[1:], ends).tolist()
    return KernelDistance(values[0].item(), low, high, bandwidth)


def _estimates(
    x: Tensor, y: Tensor, bandwidth: float, resamples: int, generator: torch.Generator
) -> Float[Tensor, "estimates"]:
    """Of the whole sets, and then of each resample; the draws of one set are independent of the other's."""
    gamma = 1 / (2 * bandwidth**2 + _EPS)
    weights = [_counts(len(rows), resamples, generator).to(rows) for rows in (x, y)]
    within = _mean_within(x, gamma, weights[0]) + _mean_within(y, gamma, weights[1])
    return within - 2 * _mean_between(x, y, gamma, *weights)


def check_sets(target: Embeddings, prediction: Embeddings) -> tuple[Tensor, Tensor]:
    """Both sets in float64, moved to a common centre, where squared distances lose no digits.

    Raises:
        ValueError: As :func:`kernel_audio_distance`.
    """
    for name, rows in (("target", target), ("prediction", prediction)):
        if rows.ndim != 2 or len(rows) < 2:
            raise ValueError(f"The {name} needs two items at least, got embeddings of {tuple(rows.shape)}.")
        if not rows.isfinite().all():
            raise ValueError(f"Embeddings of the {name} are NaN or infinite.")
    if target.shape[1] != prediction.shape[1]:
        raise ValueError(f"Embeddings of {target.shape[1]} and {prediction.shape[1]} dimensions.")
    center = target.double().mean(dim=0)
    return target.double() - center, prediction.double() - center


def median_distance(rows: Embeddings) -> float:
    """The median of the distances between all pairs, of an even number the lower middle; in float32.

    Exact in constant memory: the distances are counted by the upper half of their bits, then those that share
    the upper half of the median by the lower.

    Raises:
        ValueError: Fewer than two items.

    Examples:
        >>> median_distance(torch.tensor([[0.0], [1.0], [3.0]]))
        2.0
    """
    if len(rows) < 2:
        raise ValueError(f"A distance needs two items, got {len(rows)}.")
    rank = (len(rows) * (len(rows) - 1) // 2 - 1) // 2
    upper = torch.zeros(1 << _HIGH_BITS, dtype=torch.int64)
    for bits in _distance_bits(rows):
        upper += torch.bincount(bits >> 16, minlength=len(upper))
    high, rank = _bucket(upper, rank)
    lower = torch.zeros(1 << 16, dtype=torch.int64)
    for bits in _distance_bits(rows):
        lower += torch.bincount(bits[bits >> 16 == high] & 0xFFFF, minlength=len(lower))
    low, _ = _bucket(lower, rank)
    return torch.tensor((high << 16) | low, dtype=torch.int32).view(torch.float32).item()


def _distance_bits(rows: Tensor):
    """The distances of each block of pairs, as the integers their bits are, which have the same order."""
    for i, j, square in _blocks(rows, rows, symmetric=True):
        pairs = square[torch.ones_like(square, dtype=torch.bool).triu(1)] if i == j else square.flatten()
        yield pairs.clamp(min=0).sqrt().float().cpu().view(torch.int32).long()


def _bucket(counts: Tensor, rank: int) -> tuple[int, int]:
    """The bucket in which the item of a rank lies, and its rank there."""
    ends = counts.cumsum(0)
    bucket = int(torch.searchsorted(ends, rank, right=True))
    return bucket, rank - (int(ends[bucket - 1]) if bucket else 0)


def _blocks(x: Tensor, y: Tensor, *, symmetric: bool = False):
    """Squared distances of some rows of ``x`` to some of ``y``, with the numbers of the first of each.

    A symmetric matrix is given by its blocks on the diagonal and right of it.
    """
    lengths = [rows.square().sum(dim=1) for rows in (x, y)]
    for i in range(0, len(x), _BLOCK):
        for j in range(i if symmetric else 0, len(y), _BLOCK):
            left, right = slice(i, i + _BLOCK), slice(j, j + _BLOCK)
            square = torch.addmm(lengths[1][right], x[left], y[right].T, alpha=-2)
            yield i, j, square.add_(lengths[0][left, None])


def _mean_within(x: Tensor, gamma: float, weights: Tensor) -> Float[Tensor, "resamples"]:
    """Mean of the kernel over pairs of two items, in each resample."""
    total = x.new_zeros(len(weights))
    for i, j, square in _blocks(x, x, symmetric=True):
        kernel = square.mul_(-gamma).exp_()
        if i == j:
            kernel.fill_diagonal_(0)
        part = _weighted(kernel, weights[:, i : i + _BLOCK], weights[:, j : j + _BLOCK])
        total += part if i == j else 2 * part
    return total / (weights.sum(dim=1).square() - weights.square().sum(dim=1))


def _mean_between(
    x: Tensor, y: Tensor, gamma: float, left: Tensor, right: Tensor
) -> Float[Tensor, "resamples"]:
    total = x.new_zeros(len(left))
    for i, j, square in _blocks(x, y):
        total += _weighted(square.mul_(-gamma).exp_(), left[:, i : i + _BLOCK], right[:, j : j + _BLOCK])
    return total / (left.sum(dim=1) * right.sum(dim=1))


def _weighted(kernel: Tensor, left: Tensor, right: Tensor) -> Tensor:
    if len(left) == 1:
        return kernel.sum()[None]  # no resamples: all weights are 1
    return ((left @ kernel) * right).sum(dim=1)


def _counts(items: int, resamples: int, generator: torch.Generator) -> Float[Tensor, "draws items"]:
    """How often each item counts: once, then as drawn, with replacement, as many times as there are items."""
    drawn = torch.randint(items, (resamples, items), generator=generator)
    counts = torch.zeros(resamples, items).scatter_add_(1, drawn, torch.ones(resamples, items))
    return torch.cat([torch.ones(1, items), counts])
