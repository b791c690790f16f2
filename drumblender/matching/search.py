"""A search for the controls of one sound: by which method, from how many starts, for how long."""

from dataclasses import dataclass
from typing import Literal

import torch

from drumblender.matching.descent import gradient_search
from drumblender.matching.genetic import GeneticSettings, genetic_search
from drumblender.matching.newton import newton_search
from drumblender.matching.objective import Objective
from drumblender.matching.patience import Patience
from drumblender.types import Controls

Method = Literal["gradient", "genetic", "hybrid", "newton"]


@dataclass(frozen=True)
class Search:
    """How to search; :func:`~drumblender.matching.match.match` tells what each setting does.

    Raises:
        ValueError: The method is unknown, the budget too small for it, or a setting out of bounds.
    """

    method: Method
    renders: int
    restarts: int
    lr: float
    genetic: GeneticSettings
    patience: int
    min_delta: float
    seed: int

    def __post_init__(self) -> None:
        if self.method not in ("gradient", "genetic", "hybrid", "newton"):
            raise ValueError(f"method is gradient, genetic, hybrid or newton, got {self.method!r}.")
        needed = {
            "gradient": self.restarts,
            "newton": self.restarts,
            "genetic": self.genetic.population,
            "hybrid": 2 * max(self.genetic.population, self.restarts),
        }[self.method]
        if self.restarts < 1 or self.renders < needed:
            raise ValueError(
                f"A {self.method} search needs restarts of 1 and more and {needed} renders, "
                f"got restarts={self.restarts}, renders={self.renders}."
            )
        if self.patience < 1 or self.lr <= 0:
            raise ValueError(
                f"Needs patience of 1 and more and lr above 0, got patience={self.patience}, lr={self.lr}."
            )

    def run(self, objective: Objective, start: Controls | None, sample_rate: int | None = None) -> int:
        """Search from a start in (0, 1), or from draws; returns how many gradient steps were left out."""
        generator = torch.Generator().manual_seed(self.seed)
        space, device = objective.space, objective.target.device
        if self.method == "newton":
            if sample_rate is None:
                raise ValueError("A newton search needs the sample_rate of the target.")
            free = space.free(self.restarts, generator, start).to(device)
            newton_search(objective, free, self.renders, sample_rate, generator, near=start is not None)
            return 0
        if self.method != "gradient":
            share = self.renders if self.method == "genetic" else self.renders // 2
            first = space.free(self.genetic.population, generator, start).to(device)
            bred = genetic_search(objective, first, share, self.genetic, self._patience(), self.seed)
            if self.method == "genetic":
                return 0
            start = {name: value.cpu() for name, value in space.from_genes(bred[: self.restarts]).items()}
        free = space.free(self.restarts, generator, start).to(device)
        return gradient_search(objective, free, self.renders - objective.renders, self.lr, self._patience())

    def _patience(self) -> Patience:
        return Patience(self.patience, self.min_delta)
