"""Transport between spectra: masses on one axis of frequencies that all frames share."""

import math

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor
from torch.autograd.function import once_differentiable

from drumblender.dsp.kernels import readable, served
from drumblender.dsp.kernels.sharing import plain_array
from drumblender.dsp.kernels.threads import parallel_for
from drumblender.dsp.precision import in_full_precision, widen
from drumblender.dsp.transport import Cutoff, wasserstein_plain

FLOOR = 1e-7  # a sum of mass that is no more than this is silence


@in_full_precision
def spectral_transport(
    prediction: Float[Tensor, "rows bins"],
    target: Float[Tensor, "rows target_bins"],
    positions: Float[Tensor, "bins"],
    target_positions: Float[Tensor, "target_bins"] | None = None,
    *,
    p: float = 2.0,
    squared: bool = False,
    balanced: bool = True,
    cutoff: Cutoff | None = None,
    share: float = 1.0,
) -> Float[Tensor, "rows"]:
    """Wasserstein distance (to the power ``p``) of each row of ``prediction`` from that of ``target``.

    The masses of a target are divided by their sum, so they are 1; those of a prediction by theirs
    (``balanced``) or by the target's, so that its level counts. Unbalanced, mass that is missing counts as if
    it lay in the last bin, and mass beyond 1 moves to the last bin of the target, or with a ``cutoff`` does
    not count (Torres et al., ICASSP 2024). A silent target has distance 0 and no gradient.

    Differentiable in both spectra. On the CPU squares, sums, merge and their adjoint are one pass.

    Examples:
        >>> peak = torch.eye(5)[:, 1:]
        >>> spectral_transport(peak[3:4], peak[1:2], torch.arange(4.0), p=1)  # from bin 2 to bin 0
        tensor([2.])

    Args:
        prediction: Magnitudes, not below 0.
        target: Magnitudes, not below 0.
        positions: Where the bins lie, in any order and unit; the distance is in that unit to the power ``p``.
        target_positions: Where those of the target lie, if elsewhere.
        p: Exponent of the cost of moving, at least 1.
        squared: The mass of a bin is the square of its magnitude.
        balanced: Divide the prediction by its own sum.
        cutoff: As :func:`~drumblender.dsp.transport.wasserstein_1d` has it.
        share: Compare only so much of the target's mass, from the lowest position up.

    Raises:
        ValueError: ``share`` is not in (0, 1], shapes do not fit, or a magnitude or position is negative or
            not finite.
    """
    target_positions = positions if target_positions is None else target_positions
    _check_spectra(prediction, target, positions, target_positions, p)
    settings = float(p), squared, balanced
    if not 0 < share <= 1:
        raise ValueError(f"share lies in (0, 1], got {share}.")
    limit = math.inf if share == 1 and cutoff is None else share
    if served(prediction, target) and prediction.dtype == target.dtype and cutoff != "drop":
        distance = _SpectralTransport.apply(prediction, target, positions, target_positions, *settings, limit)
    else:
        tensors = (prediction, target, positions, target_positions)
        if cutoff != "drop":
            tensors = tuple(map(widen, tensors))
        distance = spectral_transport_plain(*tensors, *settings, cutoff, limit).to(prediction.dtype)
    if readable(distance) and not distance.isfinite().all():
        raise ValueError("Magnitudes must be finite and not negative; some frame is not.")
    return distance


def spectral_transport_plain(
    prediction: Float[Tensor, "rows bins"],
    target: Float[Tensor, "rows target_bins"],
    positions: Float[Tensor, "bins"],
    target_positions: Float[Tensor, "target_bins"],
    p: float,
    squared: bool,
    balanced: bool,
    cutoff: Cutoff | None,
    limit: float = math.inf,
) -> Float[Tensor, "rows"]:
    """:func:`spectral_transport` as torch writes it down, in the type of the spectra."""
    valid = (prediction >= 0).all(dim=1) & (target >= 0).all(dim=1)
    if squared:
        prediction, target = prediction.square(), target.square()
    whole = target.sum(dim=1, keepdim=True)
    share = prediction.sum(dim=1, keepdim=True) if balanced else whole
    u, order_u = target_positions.to(target).sort()
    v, order_v = positions.to(prediction).sort()
    a = target[:, order_u] / torch.where(whole > FLOOR, whole, FLOOR)
    b = prediction[:, order_v] / torch.where(share > FLOOR, share, FLOOR)
    rows = len(target)
    sides = u.expand(rows, -1), v.expand(rows, -1), a, b
    distance = wasserstein_plain(*sides, p=p, cutoff=cutoff, limit=limit)
    distance = torch.where(whole[:, 0] > FLOOR, distance, 0.0)
    return torch.where(valid, distance, torch.nan)


def _check_spectra(prediction: Tensor, target: Tensor, positions: Tensor, others: Tensor, p: float) -> None:
    if not (math.isfinite(p) and p >= 1):
        raise ValueError(f"A transport distance needs a finite p of at least 1, got {p=}.")
    if prediction.ndim != 2 or target.ndim != 2 or len(prediction) != len(target):
        raise ValueError(
            f"Need spectra (rows, bins) of like rows, got {tuple(prediction.shape)}, {tuple(target.shape)}."
        )
    for name, spectra, places in (("prediction", prediction, positions), ("target", target, others)):
        if places.shape != spectra.shape[1:] or not places.numel():
            raise ValueError(
                f"The {name} has {spectra.shape[1]} bins but positions of shape {tuple(places.shape)}."
            )
        if readable(places) and not places.isfinite().all():
            raise ValueError(f"Positions must be finite; those of the {name} are not.")


class _SpectralTransport(torch.autograd.Function):
    @staticmethod
    def forward(ctx, prediction, target, positions, target_positions, p, squared, balanced, limit):
        from drumblender.dsp.kernels.transport_cpu import spectra_rows  # numba imports slowly

        x, y = plain_array(target), plain_array(prediction)
        axes = [_axis(places) for places in (target_positions, positions)]
        needs_prediction, needs_target = ctx.needs_input_grad[:2]
        needed = (x, needs_target), (y, needs_prediction)
        slopes = tuple(np.empty(rows.shape if needs else (0, 0), rows.dtype) for rows, needs in needed)
        distance = np.empty(len(x))
        (u, order_u), (v, order_v) = axes
        settings = p, squared, balanced, limit, FLOOR
        arrays = x, y, u, v, order_u, order_v, *settings, distance, *slopes
        parallel_for(lambda i, j: spectra_rows(*arrays, i, j), len(x))
        ctx.slopes = slopes
        return torch.from_numpy(distance).to(prediction.dtype)

    @staticmethod
    @once_differentiable
    def backward(ctx, grad):
        by_target, by_prediction = (torch.from_numpy(slope) for slope in ctx.slopes)
        needs_prediction, needs_target = ctx.needs_input_grad[:2]
        return (
            grad[:, None] * by_prediction if needs_prediction else None,
            grad[:, None] * by_target if needs_target else None,
            *[None] * 6,
        )


def _axis(positions: Tensor) -> tuple[np.ndarray, np.ndarray]:
    """The positions in order, the last one twice, and where each was."""
    places = np.asarray(plain_array(positions), np.float64)
    order = np.argsort(places, kind="stable")
    return np.append(places[order], places[order[-1]]), order
