"""A genetic search."""

import logging
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from drumblender.controllers.free import FreeControls
from drumblender.matching.objective import Objective
from drumblender.matching.patience import Patience


@dataclass(frozen=True)
class GeneticSettings:
    """How a generation follows another (the operators of the published study).

    The fittest survive unchanged. A child takes its first numbers from one of them and the rest from the
    next, cut at a random place, and some of its numbers are moved.

    Args:
        population: Candidates in a generation.
        parents: The fittest, which survive; the others are children.
        mutation: Share of the numbers of a child that are moved.
        step: They move by a draw from -step to step, on logits.
    """

    population: int = 20
    parents: int = 10
    mutation: float = 0.1
    step: float = 1.0

    def __post_init__(self) -> None:
        if not 2 <= self.parents < self.population:
            raise ValueError(
                f"Needs 2 parents or more and a larger population, got {self.parents} of {self.population}."
            )
        if not (0 < self.mutation <= 1 and self.step > 0):
            raise ValueError(f"mutation is in (0, 1] and step above 0, got {self.mutation} and {self.step}.")


def genetic_search(
    objective: Objective,
    free: FreeControls,
    renders: int,
    settings: GeneticSettings,
    patience: Patience,
    seed: int,
) -> Float[Tensor, "sounds genes"]:
    """PyGAD on the logits of all controls; a generation is rendered as one batch.

    Survivors are not rendered again. A candidate whose loss is not finite is the worst.

    Args:
        objective: Renders and remembers.
        free: The first generation.
        renders: Budget: at most this many candidates are rendered.
        settings: How a generation follows another.
        patience: Ends the search early; a generation is a round.
        seed: Of all draws.

    Returns:
        The last generation as rows of logits, the fittest first.

    Raises:
        ModuleNotFoundError: PyGAD is not installed.
    """
    try:
        import pygad
    except ModuleNotFoundError as error:
        raise ModuleNotFoundError(
            'A genetic search needs PyGAD: pip install "drumblender[experiments]".'
        ) from error

    space, device = objective.space, objective.target.device
    children = settings.population - settings.parents
    ga = pygad.GA(
        num_generations=max((renders - settings.population) // children, 0),
        initial_population=space.genes(free).cpu().double().numpy(),
        fitness_func=_fitness(objective),
        on_generation=lambda _: "stop" if patience.is_over(objective.best_loss) else None,
        random_seed=seed,
        **_operators(settings, space.num_genes),
    )
    ga.run()
    order = torch.as_tensor(ga.last_generation_fitness).argsort(descending=True)
    return torch.as_tensor(ga.population, dtype=torch.float32, device=device)[order.to(device)]


def _fitness(objective: Objective) -> Callable[..., list[float]]:
    """Of a whole generation, as PyGAD asks for it: the larger, the fitter."""
    space, device = objective.space, objective.target.device
    worst = -torch.finfo(torch.float32).max

    def fitness(_ga, genes, _indices) -> list[float]:
        rows = torch.as_tensor(genes, dtype=torch.float32, device=device)
        with torch.no_grad():
            losses = objective(space.from_genes(rows.reshape(-1, space.num_genes)))
        return torch.where(losses.isfinite(), -losses, worst).double().tolist()

    return fitness


def _operators(settings: GeneticSettings, num_genes: int) -> dict[str, Any]:
    """PyGAD's arguments for the operators that the settings describe."""
    return {
        "num_parents_mating": settings.parents,
        "keep_parents": settings.parents,
        "keep_elitism": 0,
        "fitness_batch_size": settings.population,
        "parent_selection_type": "sss",
        "crossover_type": "single_point",
        "mutation_type": "random",
        "mutation_num_genes": max(1, int(settings.mutation * num_genes)),
        "random_mutation_min_val": -settings.step,
        "random_mutation_max_val": settings.step,
        "suppress_warnings": True,
        "logger": _silent(),  # PyGAD prints the traceback of an error that it raises anyway
    }


def _silent() -> logging.Logger:
    logger = logging.getLogger(f"{__name__}.pygad")
    logger.disabled = True
    return logger
