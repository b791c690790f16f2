"""A search by damped least squares (Levenberg 1944, Marquardt 1963): for few controls, without gradients."""

import math

import torch
from jaxtyping import Float
from torch import Tensor

from drumblender.controllers.free import FreeControls
from drumblender.dsp.bands import band_centers_hz, band_powers
from drumblender.matching.objective import Objective
from drumblender.types import Audio

Point = Float[Tensor, "numbers"]
Apart = Float[Tensor, "sounds parts"]

_LOW_HZ, _RANGE_DB = 40.0, 70.0
_RESOLUTIONS = ((0.128, 24), (0.032, 16))  # seconds of a window, bands
_SHARES = torch.linspace(0.05, 0.95, 10)  # of the energy of a frame
_STEP = 0.02  # of a range: between two renders that tell a slope
_FURTHEST = 0.15  # of a range: that a number moves at once
_DAMPINGS = torch.tensor([0.1, 1.0, 10.0, 100.0])  # times the last that helped, all rendered at once
_EDGE = 0.005
_CHUNK = 32  # sounds rendered at once
_PROGRESS = 1e-4
_CLEARLY = 0.7  # of the squares of the ends so far: those of an end that another start has to reach to count


class Shape:
    """How far sounds are from a target, as numbers whose squares are to be small.

    They are the levels of bands of hearing, in units of 20 dB, at two resolutions; ``places`` adds where on
    the frequency axis each tenth of a frame's energy lies, in octaves, which leads a pitch to another that it
    shares no band with (the distance of transport, as differences).

    >>> shape = Shape(torch.sin(torch.arange(8000.0)), 16000)
    >>> shape(torch.sin(torch.arange(8000.0))[None], places=True).abs().max().item()
    0.0
    """

    def __init__(self, target: Float[Tensor, "samples"], sample_rate: int) -> None:
        self.sample_rate = sample_rate
        powers = self._powers(target[None])
        self.floor = max(float(part.max()) for part in powers) * 10 ** (-_RANGE_DB / 10)
        self.target = {places: self._numbers(target[None], places) for places in (False, True)}

    def __call__(self, audio: Audio, places: bool) -> Apart:
        return self._numbers(audio, places) - self.target[places]

    def _powers(self, audio: Audio) -> list[Float[Tensor, "sounds frames bands"]]:
        found = []
        for window_s, num_bands in _RESOLUTIONS:
            n_fft = max(64, 2 ** round(math.log2(window_s * self.sample_rate)))
            sizes = {"n_fft": n_fft, "hop_length": n_fft // 8 if window_s > 0.1 else n_fft // 4}
            bands = {"num_bands": num_bands, "low_hz": _LOW_HZ, "high_hz": self.sample_rate / 2}
            found.append(band_powers(audio, sample_rate=self.sample_rate, **sizes, **bands))
        return found

    def _numbers(self, audio: Audio, places: bool) -> Apart:
        parts = []
        for powers in self._powers(audio):
            parts.append(torch.log10(powers + self.floor) / 2)
            if places:
                parts.append(_places(powers + 0.01 * self.floor, self.sample_rate))
        return torch.cat([part.flatten(1) / part[0].numel() ** 0.5 for part in parts], dim=1)


def _places(powers: Float[Tensor, "sounds frames bands"], sample_rate: int) -> Tensor:
    """Octaves below which each share of a frame's energy lies, louder frames weighing more."""
    octaves = torch.log2(band_centers_hz(powers.shape[2], _LOW_HZ, sample_rate / 2) / _LOW_HZ).to(powers)
    below = powers.cumsum(dim=2)
    total = below[..., -1:]
    below, shares = below / total, _SHARES.to(powers).expand(*below.shape[:2], -1).contiguous()
    right = torch.searchsorted(below.contiguous(), shares).clamp(1, len(octaves) - 1)
    ends = [below.gather(2, right - 1), below.gather(2, right)]
    blend = ((shares - ends[0]) / (ends[1] - ends[0]).clamp(min=1e-6)).clamp(0, 1)
    weight = total.sqrt() / total.sqrt().amax(dim=1, keepdim=True)
    return weight * torch.lerp(octaves[right - 1], octaves[right], blend)


def newton_search(
    objective: Objective, free: FreeControls, renders: int, sample_rate: int, generator: torch.Generator
) -> None:
    """Go from each start, and from others around them, to where no step comes nearer, until the budget ends.

    An end of another start around them counts only if it is clearly nearer: with other noise than the
    target's, controls far off can be nearer by chance.

    A slope is the difference of two renders. What a control does not change stays where it is, because its
    step is damped to nothing; so it suits controls that a sound says little of.

    Args:
        objective: Renders, and remembers which of the ends has the lowest loss.
        free: The starts.
        renders: Budget.
        sample_rate: Of the target.
        generator: Draws the further starts.

    Raises:
        ValueError: The budget is too small for a step of so many numbers.
    """
    walk = _Walk(objective, Shape(objective.target, sample_rate), renders)
    starts = objective.space.genes(free).sigmoid()
    number, nearest = 0, float("inf")
    while walk.can_step():
        start = starts[number % len(starts)]
        if number >= len(starts):
            moved = torch.rand(start.shape, generator=generator).to(start)
            start = (start + 0.5 * moved - 0.25).clamp(0.01, 0.99)
        part = max(renders // 4, 6 * walk.cost)
        ends = [walk.descend(start, places=False, renders=part)]
        placed, _ = walk.descend(start, places=True, renders=part)
        ends.append(walk.descend(placed, places=False, renders=part))
        for point, square in ends:
            if number < len(starts) or square < _CLEARLY * nearest:
                walk.hear(point)
        nearest = min(nearest, *(square for _, square in ends))
        number += 1


class _Walk:
    """Steps over the numbers of a space, each a part of its range."""

    def __init__(self, objective: Objective, shape: Shape, renders: int) -> None:
        self.objective, self.shape, self.renders = objective, shape, renders
        self.cost = objective.space.num_genes + len(_DAMPINGS) + 2
        if renders - objective.renders < self.cost:
            raise ValueError(
                f"A newton search of {objective.space.num_genes} numbers needs {self.cost} renders a step, "
                f"got {renders}: hold the controls over fewer frames (--frames 1), or search by gradient."
            )

    def can_step(self, since: int = 0, renders: int | None = None) -> bool:
        """Whether the budget, and what is left of a part of it, has room for a step."""
        used = self.objective.renders
        return used + self.cost <= self.renders and (renders is None or used - since + self.cost <= renders)

    def hear(self, point: Point) -> None:
        """Let the loss judge a point."""
        if self.objective.renders < self.renders:
            with torch.no_grad():
                self.objective(self.objective.space.from_genes(point.logit()[None]))

    @torch.no_grad()
    def descend(self, point: Point, *, places: bool, renders: int) -> tuple[Point, float]:
        """Step until nothing comes nearer, or a part of the budget is used; also the sum of squares there."""
        since, damping, step = self.objective.renders, 1e-2, _STEP
        (apart,) = self.apart(point[None], places)
        while self.can_step(since, renders):
            signs = torch.where(point > 0.5, -1.0, 1.0)
            moved = self.apart(point + torch.diag(step * signs), places)
            slopes = (moved - apart) / (step * signs)[:, None]
            ahead = self._candidates(point, slopes, apart, damping)
            found = self.apart(ahead, places)
            best = int(found.square().sum(dim=1).nan_to_num(torch.inf).argmin())
            if found[best].square().sum() < (1 - _PROGRESS) * apart.square().sum():
                point, apart = ahead[best], found[best]
                damping = min(max(damping * float(_DAMPINGS[best]), 1e-5), 1.0)
                continue
            damping, step = 10 * damping, max(step / 2, _STEP / 5)
            if damping > 100:
                break
        return point, float(apart.square().sum())

    def apart(self, points: Float[Tensor, "sounds numbers"], places: bool) -> Apart:
        """How far the sounds of points are from the target."""
        space = self.objective.space
        units = [space.from_genes(part.logit()) for part in points.split(_CHUNK)]
        self.objective.renders += len(points)
        return torch.cat([self.shape(self.objective.play(space.controls(unit)), places) for unit in units])

    def _candidates(self, point: Point, slopes: Tensor, apart: Tensor, damping: float) -> Tensor:
        slopes = slopes.nan_to_num(0.0, 0.0, 0.0)  # a render that was not finite tells nothing
        curve, slope = (slopes @ slopes.T).double(), (slopes @ apart).double()
        eye = torch.eye(len(point)).to(curve)
        steps = [torch.linalg.solve(curve + damping * float(much) * eye, slope) for much in _DAMPINGS]
        steps = torch.stack(steps).to(point).clamp(-_FURTHEST, _FURTHEST)
        return (point - steps).clamp(_EDGE, 1 - _EDGE)
