"""A search by damped least squares (Levenberg 1944, Marquardt 1963): for few controls, without gradients."""

import math

import torch
from jaxtyping import Float
from torch import Tensor

from drumblender.controllers.free import FreeControls
from drumblender.dsp.bands import band_powers
from drumblender.matching.objective import Objective
from drumblender.types import Audio

Point = Float[Tensor, "numbers"]
Points = Float[Tensor, "sounds numbers"]
Apart = Float[Tensor, "sounds parts"]

_LOW_HZ, _RANGE_DB = 40.0, 70.0
_RESOLUTIONS = ((0.128, 24), (0.032, 16))  # seconds of a window, bands
_HEARD = 40.0  # independent things that a sound says: how much its squares weigh beside what is believed
_NEAR = 0.15  # deviation of the numbers from a given start
_ANYWHERE = 0.29  # of numbers drawn evenly in (0, 1)
_EXACT = 1e-6  # squares below which nothing is nearer
_STEP = 0.02  # of a range: between two renders that tell a slope
_FURTHEST = 0.15  # of a range: that a number moves at once
_DAMPINGS = torch.tensor([0.1, 1.0, 10.0, 100.0])  # times the last that helped, all rendered at once
_EDGE = 0.005
_CHUNK = 32  # sounds rendered at once
_PROGRESS = 0.02
_LOOK, _LOOKS = 0.25, 10  # of a range: how far to look for another valley, and at how many places
_LOOK_SHARE = 0.4  # of the budget, for the first look


class Shape:
    """How far sounds are from a target, as numbers whose squares are to be small.

    They are the levels of bands of hearing, in units of 20 dB, at two resolutions.

    >>> shape = Shape(torch.sin(torch.arange(8000.0)), 16000)
    >>> shape(torch.sin(torch.arange(8000.0))[None]).abs().max().item()
    0.0
    """

    def __init__(self, target: Float[Tensor, "samples"], sample_rate: int) -> None:
        self.sample_rate = sample_rate
        powers = self._powers(target[None])
        self.floor = max(float(part.max()) for part in powers) * 10 ** (-_RANGE_DB / 10)
        self.target = self._levels(target[None])

    def __call__(self, audio: Audio) -> Apart:
        return self._levels(audio) - self.target

    def _powers(self, audio: Audio) -> list[Float[Tensor, "sounds frames bands"]]:
        found = []
        for window_s, num_bands in _RESOLUTIONS:
            n_fft = max(64, 2 ** round(math.log2(window_s * self.sample_rate)))
            sizes = {"n_fft": n_fft, "hop_length": n_fft // 8 if window_s > 0.1 else n_fft // 4}
            bands = {"num_bands": num_bands, "low_hz": _LOW_HZ, "high_hz": self.sample_rate / 2}
            found.append(band_powers(audio, sample_rate=self.sample_rate, **sizes, **bands))
        return found

    def _levels(self, audio: Audio) -> Apart:
        parts = [torch.log10(powers + self.floor) / 2 for powers in self._powers(audio)]
        return torch.cat([part.flatten(1) / part[0].numel() ** 0.5 for part in parts], dim=1)


def newton_search(
    objective: Objective,
    free: FreeControls,
    renders: int,
    sample_rate: int,
    generator: torch.Generator,
    *,
    near: bool = True,
) -> None:
    """Look along each number for a valley, go down into it, and look again from there, until the budget ends.

    What is sought is likely, not only near: ``N log(squares) + |numbers - start|^2 / deviation^2`` is to be
    small, which is the posterior of numbers around a start where the noise between two sounds of the same
    controls is not known, but for what a sound leaves over. So where a sound says nothing of a number, or
    other noise would be fitted, the number stays; where it can be matched exactly, the start hardly counts.

    A look renders several values of each number with all others held: a pitch or a mode has many valleys, and
    no slope leads from one to the next. A slope is the difference of two renders.

    Args:
        objective: Renders, and remembers which of the start and the ends has the lowest loss.
        free: The starts.
        renders: Budget.
        sample_rate: Of the target.
        generator: Draws where to look.
        near: The numbers are thought to be around the first start; else anywhere in their ranges.

    Raises:
        ValueError: The budget is too small for a step of so many numbers.
    """
    starts = objective.space.genes(free).detach().sigmoid()
    belief = (starts[0], _NEAR) if near else (torch.full_like(starts[0], 0.5), _ANYWHERE)
    walk = _Walk(objective, Shape(objective.target, sample_rate), renders, *belief)
    walk.hear(starts[0])
    numbers, share = len(starts[0]), renders // len(starts)
    looks = min(_LOOKS, int(_LOOK_SHARE * share / numbers))
    for start in starts:
        if walk.can_step():
            walk.descend(walk.look(start, looks, generator), max(share // 4, 4 * walk.cost))
    while (looks := min(_LOOKS, (walk.left - walk.cost) // (numbers + 1) - 1)) >= 2:
        walk.descend(walk.look(walk.best, looks, generator), walk.left)


class _Walk:
    """Steps over the numbers of a space, each a part of its range; ``best`` is the likeliest so far."""

    def __init__(self, objective: Objective, shape: Shape, renders: int, center: Point, apart: float) -> None:
        self.objective, self.shape, self.renders = objective, shape, renders
        self.center, self.deviation = center, apart
        self.best, self.least = center, math.inf
        # Slopes, steps, where it begins, heard and compared, and its end, heard.
        self.cost = objective.space.num_genes + len(_DAMPINGS) + 3
        if self.left < self.cost:
            raise ValueError(
                f"A newton search of {objective.space.num_genes} numbers needs {self.cost} renders a step, "
                f"got {renders}: hold the controls over fewer frames (--frames 1), or search by gradient."
            )

    @property
    def left(self) -> int:
        """Renders of the budget."""
        return self.renders - self.objective.renders

    def can_step(self, until: int = 0) -> bool:
        """Whether there are renders for a step, and ``until`` so many are left after it."""
        return self.left - self.cost >= until

    @torch.no_grad()
    def look(self, point: Point, places: int, generator: torch.Generator) -> Point:
        """The likeliest of a point and of those where some of its numbers are elsewhere.

        Each number is tried at ``places`` values; those that help are then taken together, the best first.
        """
        if places < 2:
            return point
        count = len(point)
        drawn = (torch.arange(places) + torch.rand((count, places), generator=generator)) / places
        values = (point[:, None] + _LOOK * (2 * drawn.to(point) - 1)).clamp(2 * _EDGE, 1 - 2 * _EDGE)
        moved = point.expand(count, places, count).clone()
        moved.diagonal(dim1=0, dim2=2).copy_(values.T)
        costs = self.unlikely(moved.flatten(0, 1)).view(count, places)
        least, which = costs.min(dim=1)
        (here,) = self.unlikely(point[None])
        helping = [number for number in least.argsort().tolist() if least[number] < here]
        together = [point]
        for number in helping:
            together.append(together[-1].clone())
            together[-1][number] = values[number, which[number]]
        if not helping:
            return point
        return together[1 + int(self.unlikely(torch.stack(together[1:])).argmin())]

    @torch.no_grad()
    def descend(self, point: Point, renders: int) -> None:
        """Step until nothing is likelier, or a part of the budget is used; keep the end if it is the best."""
        until = max(self.left - renders, 1)  # one to hear the end
        damping, step = 1e-2, _STEP
        (apart,) = self.apart(point[None])
        least = self._cost(point[None], apart[None]).item()
        while self.can_step(until):
            signs = torch.where(point > 0.5, -1.0, 1.0)
            slopes = (self.apart(point + torch.diag(step * signs)) - apart) / (step * signs)[:, None]
            ahead = self._candidates(point, slopes, apart, damping)
            found = self.apart(ahead)
            costs = self._cost(ahead, found)
            best = int(costs.argmin())
            if costs[best] < least - _PROGRESS:
                point, apart, least = ahead[best], found[best], costs[best].item()
                damping = min(max(damping * float(_DAMPINGS[best]), 1e-5), 1.0)
                continue
            damping, step = 10 * damping, max(step / 2, _STEP / 5)
            if damping > 100:
                break
        if least < self.least:
            self.best, self.least = point, least
            self.hear(point)

    @torch.no_grad()
    def hear(self, point: Point) -> None:
        """Let the loss judge a point."""
        self.objective(self.objective.space.from_genes(point.logit()[None]))

    def apart(self, points: Points) -> Apart:
        """How far the sounds of points are from the target."""
        space = self.objective.space
        units = [space.from_genes(part.logit()) for part in points.split(_CHUNK)]
        self.objective.renders += len(points)
        return torch.cat([self.shape(self.objective.play(space.controls(unit))) for unit in units])

    def unlikely(self, points: Points) -> Float[Tensor, "sounds"]:
        """What is to be small."""
        return self._cost(points, self.apart(points))

    def _cost(self, points: Points, apart: Apart) -> Float[Tensor, "sounds"]:
        squares = apart.square().sum(dim=1).nan_to_num(torch.inf)
        away = (points - self.center).square().sum(dim=1) / self.deviation**2
        return _HEARD * torch.log(squares + _EXACT) + away

    def _candidates(self, point: Point, slopes: Tensor, apart: Tensor, damping: float) -> Points:
        """Where a step may lead, by how much it is damped; a render that was not finite tells nothing."""
        slopes = slopes.nan_to_num(0.0, 0.0, 0.0)
        home = (float(apart.square().sum()) + _EXACT) / (_HEARD * self.deviation**2)
        slope = (slopes @ apart + home * (point - self.center)).double()
        curve, eye = (slopes @ slopes.T).double(), torch.eye(len(point), dtype=torch.float64)
        steps = [
            torch.linalg.solve(curve + (home + damping * float(much)) * eye.to(curve), slope)
            for much in _DAMPINGS
        ]
        steps = torch.stack(steps).to(point).clamp(-_FURTHEST, _FURTHEST)
        return (point - steps).clamp(_EDGE, 1 - _EDGE)
