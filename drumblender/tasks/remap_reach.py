"""What a synth could do around a preset, whatever plays it: how far each feature goes, and how near all
features together come to what is wanted."""

from collections.abc import Callable

import torch
from jaxtyping import Float
from torch import Tensor

from drumblender.dsp.units import clip
from drumblender.features.base import Feature
from drumblender.features.spectral import SpectralCentroid

_CHUNK = 32  # hits rendered at a time

Measure = Callable[[Tensor], Tensor]
"""Parameters ``(hits, params)`` in [0, 1] to features less those of the preset, ``(hits, features)``."""


def offsets(size: int, draws: int, seed: int = 0) -> Float[Tensor, "moves size"]:
    """Moves of ``size`` parameters, each in [-1, 1]: half of the draws anywhere, half at the ends of every
    parameter, and each parameter alone to either end and half of the way.

    Examples:
        >>> offsets(size=3, draws=8).shape  # and 4 moves of each parameter alone
        torch.Size([20, 3])
    """
    if min(size, draws) < 1:
        raise ValueError(f"Moves need parameters and draws, got {size=}, {draws=}.")
    drawn = 2 * torch.rand(draws, size, generator=torch.Generator().manual_seed(seed)) - 1
    drawn[::2] = drawn[::2].sign()
    alone = [level * torch.eye(size) for level in (-1.0, -0.5, 0.5, 1.0)]
    return torch.cat([drawn, *alone])


def extremes(
    differences: Float[Tensor, "moves features"],
) -> tuple[Float[Tensor, "features"], Float[Tensor, "features"]]:
    """The least and the most of each feature; moves that gave no number (silence) do not count, and no move
    at all, 0, is always among them."""
    known = differences.isfinite()
    low = torch.where(known, differences, 0.0).amin(dim=0).clamp(max=0.0)
    high = torch.where(known, differences, 0.0).amax(dim=0).clamp(min=0.0)
    return low, high


def in_chunks(
    measure: Measure, params: Float[Tensor, "moves params"], chunk: int = _CHUNK
) -> Float[Tensor, "moves features"]:
    """``measure`` of the parameters, a few at a time."""
    return torch.cat([measure(part) for part in params.split(chunk)])


def optimise(
    measure: Measure,
    preset: Float[Tensor, "1 params"],
    damping: Float[Tensor, "1 params"],
    wanted: Float[Tensor, "hits features"],
    steps: int = 80,
    lr: float = 0.03,
) -> Float[Tensor, "hits features"]:
    """The differences that each hit's own parameters reach after a search that starts at the preset.

    Every feature counts by its mean size in ``wanted``, so that none is drowned by another's unit. The best
    step of each hit is kept: it is never worse than the preset.

    Args:
        measure: What parameters play, with a gradient.
        preset: Where the search starts.
        damping: How much a parameter moves when it is moved by 1.
        wanted: The differences to reach.
        steps: Renderings of each hit.
        lr: First step of Adam, as a part of the way of a parameter; it falls to 0.
    """
    scale = wanted.abs().mean(dim=0)
    weight = torch.where(scale > 0, 1 / scale, 0.0)
    way = damping.clamp(min=torch.finfo(damping.dtype).tiny)
    low, high = (-preset / way).clamp(min=-1), ((1 - preset) / way).clamp(max=1)
    moved = torch.zeros(len(wanted), preset.shape[1], device=preset.device, requires_grad=True)
    optimizer = torch.optim.Adam([moved], lr=lr)
    least = torch.full_like(wanted[:, 0], torch.inf)
    best = torch.zeros_like(wanted)
    for step in range(steps):
        optimizer.param_groups[0]["lr"] = lr * (1 - step / steps)
        played = measure(clip(preset + moved * damping, 0, 1))
        error = ((played - wanted).abs() * weight).mean(dim=1)
        better = error.detach() < least
        least = torch.where(better, error.detach(), least)
        best = torch.where(better[:, None], played.detach(), best)
        (moved.grad,) = torch.autograd.grad(error.sum(), [moved])
        moved.grad.nan_to_num_(0.0, 0.0, 0.0)  # a hit that fell silent stays where it is
        optimizer.step()
        with torch.no_grad():
            moved.clamp_(low, high)  # beyond its limits a parameter has no gradient that leads back
    return best


def centroids(features: Feature, labels: list[str]) -> dict[str, SpectralCentroid]:
    """The labels that are spectral centroids, means over frames, each with the feature that made it; none
    where centroids of several kinds make it a guess."""
    found = [part for part in features.modules() if isinstance(part, SpectralCentroid)]
    if len({part.scaling for part in found}) != 1:
        return {}
    name = SpectralCentroid.__name__
    return {label: found[0] for label in labels if label.startswith(name) and label.endswith("_mean")}
