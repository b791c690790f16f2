"""Where the gradient of a loss points: an audit of any loss through any synth, one control at a time.

A loss can fall to nothing at the target and still send a search away from it everywhere else (Turian and
Henry 2020). So: render a target, start from many other values of the control, and ask which way each gradient
goes, near the target and far, and where descent ends.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float
from torch import Tensor, nn

from drumblender.losses.calling import call_loss
from drumblender.synths.base import Synth
from drumblender.types import Audio, Controls

Loss = nn.Module | Callable[[Audio, Audio], Tensor]
NEAR_OCTAVES = 0.5


@dataclass(frozen=True)
class Knob:
    """One control of a synth that is turned while all else is held.

    Args:
        render: Values ``(batch,)`` to sound ``(batch, samples)``, differentiable.
        low: Lowest value.
        high: Highest value.
        log: Ratios count, and distances are in octaves; else the width of the range is 1.
    """

    render: Callable[[Tensor], Tensor]
    low: float
    high: float
    log: bool = True

    def __post_init__(self) -> None:
        if not (self.low < self.high and math.isfinite(self.high - self.low)):
            raise ValueError(f"A knob turns from low to high, got {self.low} to {self.high}.")
        if self.log and self.low <= 0:
            raise ValueError(f"Ratios need values above 0, got low={self.low}.")

    @property
    def width(self) -> float:
        """The range in octaves, or 1."""
        return math.log2(self.high / self.low) if self.log else 1.0

    def to_place(self, value: Tensor) -> Tensor:
        """Octaves above the lowest value, or the share of the range."""
        return (value / self.low).log2() if self.log else (value - self.low) / (self.high - self.low)

    def to_value(self, place: Tensor) -> Tensor:
        """The inverse of :meth:`to_place`."""
        return self.low * 2**place if self.log else self.low + (self.high - self.low) * place

    def grid(self, steps: int) -> Float[Tensor, "steps"]:
        """Places spread evenly over the range, in float64."""
        return torch.linspace(0, self.width, steps, dtype=torch.float64)


def synth_knob(
    synth: Synth,
    controls: Controls,
    name: str,
    low: float,
    high: float,
    *,
    num_samples: int,
    log: bool = True,
) -> Knob:
    """The control ``name`` of ``synth``, all its entries at one value, the others held as given.

    Raises:
        ValueError: The synth has no such control.
    """
    if name not in synth.control_sizes:
        raise ValueError(f"The synth has the controls {', '.join(synth.control_sizes)}, not {name!r}.")

    def render(values: Tensor) -> Tensor:
        held = {key: value.expand(len(values), -1, -1) for key, value in controls.items() if key != name}
        frames = synth.control_frames.get(name, 1)
        turned = values.float()[:, None, None].expand(-1, frames, synth.control_sizes[name])
        return synth(held | {name: turned}, num_samples)

    return Knob(render, low, high, log)


def slopes(
    loss: Loss, knob: Knob, starts: Float[Tensor, "starts"], target: Float[Tensor, "1 samples"]
) -> tuple[Float[Tensor, "starts"], Float[Tensor, "starts"]]:
    """Loss and its derivative by the place of the knob at each start; one at a time, so any loss will do."""
    values, derivatives = [], []
    for start in starts:
        place = start[None].clone().requires_grad_()
        played = knob.render(knob.to_value(place))
        sounds = played, target.to(torch.float32)
        value = call_loss(loss, *sounds) if isinstance(loss, nn.Module) else loss(*sounds)
        (slope,) = torch.autograd.grad(value, place)
        values.append(value.detach().double())
        derivatives.append(slope[0].double())
    return torch.stack(values), torch.stack(derivatives)


@dataclass(frozen=True)
class PairAudit:
    """For every target (rows) and start (columns): does the gradient point at the target?"""

    places: Float[Tensor, "places"]
    right: Bool[Tensor, "places places"]

    def share(self, which: str = "all") -> float:
        """Share of pairs that are right: ``"all"``, or only ``"near"`` or ``"far"`` ones (half an octave)."""
        apart = (self.places[None] - self.places[:, None]).abs()
        chosen = {
            "all": apart > 0,
            "near": (apart > 0) & (apart < NEAR_OCTAVES),
            "far": apart >= NEAR_OCTAVES,
        }[which]
        return self.right[chosen].double().mean().item() if chosen.any() else math.nan


def audit_pairs(loss: Loss, knob: Knob, steps: int = 12) -> PairAudit:
    """Audit all pairs of ``steps`` targets and starts (12 give 132 pairs)."""
    if steps < 2:
        raise ValueError(f"Pairs need at least 2 steps, got {steps=}.")
    places = knob.grid(steps)
    with torch.no_grad():
        targets = knob.render(knob.to_value(places))
    right = torch.zeros(steps, steps, dtype=torch.bool)
    for row, target in enumerate(targets):
        _, slope = slopes(loss, knob, places, target[None])
        right[row] = slope * (places - places[row]) > 0
    return PairAudit(places, right)


def gradient_accuracy(
    loss: Loss, knob: Knob, target: Float[Tensor, "1 samples"], target_value: float, *, steps: int = 1000
) -> dict[str, float]:
    """Shares of a grid that lead to the target.

    ``coarse``: of all points of the grid, those whose gradient points at the target. ``fine``: of the points
    within half an octave of the target (or, on a linear knob, half its range). These are our definitions.
    """
    places = knob.grid(steps)
    goal = knob.to_place(torch.tensor(target_value, dtype=torch.float64))
    _, slope = slopes(loss, knob, places, target)
    apart = places - goal
    step = knob.width / (steps - 1)
    counted = apart.abs() > step / 2  # at the target itself no direction is right
    near = counted & (apart.abs() < NEAR_OCTAVES)
    right = slope * apart > 0
    return {"coarse": right[counted].double().mean().item(), "fine": right[near].double().mean().item()}


def descend(
    loss: Loss,
    knob: Knob,
    starts: Float[Tensor, "items"],
    targets: Float[Tensor, "items"],
    *,
    steps: int = 120,
    learning_rate: float = 0.06,
) -> Float[Tensor, "items"]:
    """Where Adam ends from each start, as values of the knob; the rate falls to 0 along a half cosine.

    Args:
        loss: Loss that averages over items.
        knob: What is turned; Adam moves its place.
        starts: Values to start from.
        targets: Values that the targets are rendered with.
        steps: Steps of Adam.
        learning_rate: First length of a step, in octaves or shares of the range.
    """
    with torch.no_grad():
        sound = knob.render(targets)
    place = knob.to_place(starts.double()).requires_grad_()
    optimizer = torch.optim.Adam([place], lr=learning_rate)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, steps)
    for _ in range(steps):
        optimizer.zero_grad()
        (len(starts) * loss(knob.render(knob.to_value(place)), sound)).backward()
        optimizer.step()
        schedule.step()
        with torch.no_grad():
            place.clamp_(0, knob.width)
    return knob.to_value(place.detach())
