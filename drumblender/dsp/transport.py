"""Optimal transport on the line: how far mass must move to turn one distribution into another.

In one dimension the best plan keeps the order of the mass, so the distance is an integral over quantiles,

    W_p^p = int_0^1 |F_u^-1(q) - F_v^-1(q)|^p dq,

and for masses at points both quantile functions are steps: a sum over the union of their levels, the running
totals of mass. On the CPU it is one merge (``kernels/transport_cpu.py``); elsewhere a sort and a search.
"""

import math
from typing import Literal, NamedTuple

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor
from torch.autograd.function import once_differentiable

from drumblender.dsp.kernels import readable, served
from drumblender.dsp.kernels.sharing import plain_array
from drumblender.dsp.kernels.threads import parallel_for
from drumblender.dsp.precision import in_full_precision, widen
from drumblender.dsp.roots import safe_root

Cutoff = Literal["clip", "drop"]


class Quantiles(NamedTuple):
    """Both quantile functions at the union of their levels.

    Examples:
        >>> found = merged_quantiles(torch.tensor([[0.0, 1.0]]), torch.tensor([[2.0]]))
        >>> found._fields
        ('u', 'v', 'levels', 'u_levels', 'v_levels')
    """

    u: Float[Tensor, "batch levels"]
    v: Float[Tensor, "batch levels"]
    levels: Float[Tensor, "batch levels"]
    u_levels: Float[Tensor, "batch u"]
    v_levels: Float[Tensor, "batch v"]


@in_full_precision
def wasserstein_1d(
    u_values: Float[Tensor, "#batch u"],
    v_values: Float[Tensor, "#batch v"],
    u_weights: Float[Tensor, "#batch u"] | None = None,
    v_weights: Float[Tensor, "#batch v"] | None = None,
    *,
    p: float = 1.0,
    require_sort: bool = True,
    cutoff: Cutoff | None = None,
    root: bool = False,
) -> Float[Tensor, "batch"]:
    """Wasserstein distance between weighted points on the line, to the power ``p``.

    Differentiable in positions and weights, exactly: where two levels are equal, or two points meet at p = 1,
    the gradient is one of the subgradients. Weights need not sum to 1; a side that runs out of mass goes on
    with its last position.

    Examples:
        >>> points = torch.tensor([[0.0, 1.0, 3.0]])
        >>> wasserstein_1d(points, points + 2, p=2)
        tensor([4.])

    Args:
        u_values: Positions; one row serves a whole batch.
        v_values: Positions, as many as there are.
        u_weights: Mass at each position, not below 0; by default equal shares of 1.
        v_weights: The same for v.
        p: Exponent of the cost of moving, at least 1.
        require_sort: Sort the positions first; without it they must rise, and are taken as they are.
        cutoff: What happens to mass beyond 1. None: it counts. ``"clip"``: it does not, exactly. ``"drop"``:
            whole intervals that end above 1 are left out, as published (Torres et al., ICASSP 2024): where a
            sum of 1 is rounded up, that takes the last of them with it.
        root: Return the distance itself and not its p-th power; its gradient at 0 is 0.

    Raises:
        ValueError: ``p`` is below 1, shapes do not fit, or a weight or position is negative or not finite.
    """
    _check_power(p, cutoff)
    u, v, a, b = _check_points(u_values, v_values, u_weights, v_weights)
    if require_sort:
        u, a = _sorted(u, a)
        v, b = _sorted(v, b)
    if served(u, v, a, b) and cutoff != "drop":
        distance = _Transport.apply(u, v, a, b, float(p), 1.0 if cutoff == "clip" else math.inf)
    else:
        exact = cutoff != "drop"
        tensors = (widen(value) if exact else value for value in (u, v, a, b))
        distance = wasserstein_plain(*tensors, p=p, cutoff=cutoff).to(u.dtype)
    if readable(distance) and not distance.isfinite().all():
        raise ValueError("Positions must be finite, and weights finite and not negative.")
    return safe_root(distance, p) if root else distance


def wasserstein_plain(
    u: Float[Tensor, "batch u"],
    v: Float[Tensor, "batch v"],
    a: Float[Tensor, "batch u"],
    b: Float[Tensor, "batch v"],
    *,
    p: float = 1.0,
    cutoff: Cutoff | None = None,
    limit: float = math.inf,
) -> Float[Tensor, "batch"]:
    """:func:`wasserstein_1d` of sorted points by sort and search: any device, in the type of the tensors.

    Mass beyond ``limit`` does not count.
    """
    limit = min(limit, 1.0) if cutoff == "clip" else limit
    a, b = a.cumsum(dim=1), b.cumsum(dim=1)
    levels, order = torch.cat([a, b], dim=1).sort(dim=1, stable=True)
    cost_u = (u - quantile_function(a, b, v)).abs() ** p
    cost_v = (quantile_function(b, a, u) - v).abs() ** p
    cost = torch.cat([cost_u, cost_v], dim=1).gather(1, order)
    if cutoff == "drop":
        cost = cost.where(levels <= 1, 0.0)
    if limit < math.inf:
        levels = levels.where(levels < limit, limit)
    return (levels.diff(dim=1, prepend=torch.zeros_like(levels[:, :1])) * cost).sum(dim=1)


def quantile_function(
    levels: Float[Tensor, "batch levels"],
    cumulated: Float[Tensor, "batch points"],
    positions: Float[Tensor, "batch points"],
) -> Float[Tensor, "batch levels"]:
    """The position at which the cumulated mass reaches each level; the last one for levels beyond.

    Examples:
        >>> cumulated, positions = torch.tensor([[0.5, 1.0]]), torch.tensor([[10.0, 20.0]])
        >>> quantile_function(torch.tensor([[0.5, 0.6]]), cumulated, positions)
        tensor([[10., 20.]])
    """
    number = torch.searchsorted(cumulated.detach().contiguous(), levels.detach().contiguous())
    return positions.gather(1, number.clamp(max=positions.shape[1] - 1))


def merged_quantiles(
    u_values: Float[Tensor, "#batch u"],
    v_values: Float[Tensor, "#batch v"],
    u_weights: Float[Tensor, "#batch u"] | None = None,
    v_weights: Float[Tensor, "#batch v"] | None = None,
    *,
    require_sort: bool = True,
) -> Quantiles:
    """What :func:`wasserstein_1d` integrates; arguments as there.

    Examples:
        >>> found = merged_quantiles(torch.tensor([[0.0, 1.0]]), torch.tensor([[2.0]]))
        >>> found.levels.tolist(), found.u.tolist(), found.v.tolist()
        ([[0.5, 1.0, 1.0]], [[0.0, 1.0, 1.0]], [[2.0, 2.0, 2.0]])
    """
    u, v, a, b = _check_points(u_values, v_values, u_weights, v_weights)
    if require_sort:
        u, a = _sorted(u, a)
        v, b = _sorted(v, b)
    a, b = a.cumsum(dim=1), b.cumsum(dim=1)
    levels = torch.cat([a, b], dim=1).sort(dim=1).values
    return Quantiles(quantile_function(levels, a, u), quantile_function(levels, b, v), levels, a, b)


def _check_power(p: float, cutoff: str | None) -> None:
    if not (math.isfinite(p) and p >= 1):
        raise ValueError(f"A transport distance needs a finite p of at least 1, got {p=}.")
    if cutoff not in (None, "clip", "drop"):
        raise ValueError(f"cutoff is null, 'clip' or 'drop', got {cutoff!r}.")


def _check_points(
    u: Tensor, v: Tensor, a: Tensor | None, b: Tensor | None
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """All four with a row for every item of the batch."""
    for name, values, weights in (("u", u, a), ("v", v, b)):
        if values.ndim != 2 or not values.shape[1]:
            raise ValueError(f"{name}_values needs shape (batch, points), got {tuple(values.shape)}.")
        if weights is not None and (weights.ndim != 2 or weights.shape[1] != values.shape[1]):
            raise ValueError(
                f"{name}_weights needs one mass for each of {values.shape[1]} positions, "
                f"got {tuple(weights.shape)}."
            )
    a = torch.full_like(u, 1 / u.shape[1]) if a is None else a
    b = torch.full_like(v, 1 / v.shape[1]) if b is None else b
    rows = [len(tensor) for tensor in (u, v, a, b)]
    if set(rows) - {1, max(rows)}:
        raise ValueError(f"Rows of u, v and their weights must be equally many or one, got {rows}.")
    dtype = torch.float64 if torch.float64 in {t.dtype for t in (u, v, a, b)} else torch.float32
    u, v, a, b = (tensor.to(dtype).expand(max(rows), -1) for tensor in (u, v, a, b))
    return u, v, a, b


def _sorted(values: Tensor, weights: Tensor) -> tuple[Tensor, Tensor]:
    values, order = values.sort(dim=1)
    return values, weights.gather(1, order)


class _Transport(torch.autograd.Function):
    """The merge gives value and derivative in one pass, so the backward pass only scales."""

    @staticmethod
    def forward(ctx, u, v, a, b, p, limit):
        from drumblender.dsp.kernels.transport_cpu import transport_rows  # numba imports slowly

        places = [np.asarray(plain_array(value), np.float64) for value in (u, v)]
        masses = [np.asarray(plain_array(value), np.float64) for value in (a, b)]
        moves = any(ctx.needs_input_grad[:2])
        slopes = [np.empty(value.shape if moves else (len(value), 0)) for value in places]
        slopes += [np.empty(value.shape) for value in masses]
        distance = np.empty(len(places[0]))
        arrays = *places, *masses, p, limit, moves, distance, *slopes
        parallel_for(lambda i, j: transport_rows(*arrays, i, j), len(distance))
        ctx.slopes = [torch.from_numpy(slope) for slope in slopes]
        return torch.from_numpy(distance).to(u.dtype)

    @staticmethod
    @once_differentiable
    def backward(ctx, grad):
        needed = ctx.needs_input_grad[:4]
        grads = (
            (grad[:, None] * slope).to(grad.dtype) if needs else None
            for slope, needs in zip(ctx.slopes, needed, strict=True)
        )
        return *grads, None, None
