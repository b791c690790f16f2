"""What a search asks of candidates: how far each is from the target, and which was the best so far."""

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor, nn

from drumblender.matching.item_losses import ItemLosses, item_losses
from drumblender.matching.space import SearchSpace
from drumblender.synths.base import Synth
from drumblender.types import Audio, Controls


class Progress(NamedTuple):
    """Where a search stands after a batch of renders."""

    renders: int  # sounds rendered so far
    seconds: float  # since the search began
    loss: float  # lowest of the batch; NaN where none was finite
    best: float  # lowest so far


def _nobody(_: Progress) -> None:
    """Is told of progress, and keeps it to itself."""


@dataclass
class Objective:
    """Renders candidates, compares each with the target, and remembers the best.

    The target is analysed once, by :func:`~drumblender.matching.item_losses.item_losses`.

    Attributes:
        tell: Called after each batch.
        best_unit: Searched controls of the best candidate, ``(1, frames, size)`` in (0, 1).
        best_audio: Its sound, ``(samples,)``.
        history: A line for each batch.
        failed: Candidates whose loss was not finite.
    """

    target: Float[Tensor, "samples"]
    synth: Synth
    loss: nn.Module
    space: SearchSpace
    source: Float[Tensor, "samples"] | None = None
    tell: Callable[[Progress], None] = _nobody
    best_loss: float = float("inf")
    best_unit: Controls = field(default_factory=dict)
    best_audio: Tensor | None = None
    history: list[Progress] = field(default_factory=list)
    renders: int = 0
    failed: int = 0
    _start: float = field(default_factory=time.perf_counter)
    losses: ItemLosses = field(init=False)

    def __post_init__(self) -> None:
        self.losses = item_losses(self.loss, self.target)

    def __call__(self, unit: Controls) -> Float[Tensor, "sounds"]:
        """The loss of each candidate on its own; differentiable."""
        audio = self.play(self.space.controls(unit))
        losses = self.losses(audio)
        self.renders += len(audio)
        self._remember(unit, audio, losses.detach())
        return losses

    def play(self, controls: Controls) -> Audio:
        """The sounds of controls, as long as the target."""
        count = len(next(iter(controls.values())))
        source = None if self.source is None else self.source.expand(count, -1)
        return self.synth(controls, len(self.target), source).expand(count, -1)

    def _remember(self, unit: Controls, audio: Audio, losses: Float[Tensor, "sounds"]) -> None:
        finite = losses.isfinite()
        self.failed += int((~finite).sum())
        lowest = float("nan")
        if finite.any():
            index = int(torch.where(finite, losses, torch.inf).argmin())
            lowest = float(losses[index])
            if lowest < self.best_loss:
                self.best_loss = lowest
                self.best_unit = {
                    name: value[index : index + 1].detach().clone() for name, value in unit.items()
                }
                self.best_audio = audio[index].detach().clone()
        self.history.append(Progress(self.renders, time.perf_counter() - self._start, lowest, self.best_loss))
        self.tell(self.history[-1])
