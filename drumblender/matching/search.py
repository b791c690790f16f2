"""Two searches for the controls of one sound: down the gradient, and by breeding."""

import logging
import time
from dataclasses import dataclass, field
from typing import NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor, nn

from drumblender.controllers.free import FreeControls
from drumblender.losses.calling import call_loss
from drumblender.matching.space import SearchSpace
from drumblender.synths.base import Synth
from drumblender.types import Audio, Controls


class Progress(NamedTuple):
    """Where a search stands after a batch of renders."""

    renders: int  # sounds rendered so far
    seconds: float  # since the search began
    loss: float  # lowest of the batch; NaN where none was finite
    best: float  # lowest so far


@dataclass
class Judge:
    """Renders candidates, compares each with the target, and remembers the best.

    Attributes:
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
    best_loss: float = float("inf")
    best_unit: Controls = field(default_factory=dict)
    best_audio: Tensor | None = None
    history: list[Progress] = field(default_factory=list)
    renders: int = 0
    failed: int = 0
    _start: float = field(default_factory=time.perf_counter)

    def __call__(self, unit: Controls) -> Float[Tensor, "sounds"]:
        """The loss of each candidate on its own; differentiable."""
        controls = self.space.controls(unit)
        count = len(next(iter(controls.values())))
        source = None if self.source is None else self.source.expand(count, -1)
        audio = self.synth(controls, len(self.target), source).expand(count, -1)
        losses = item_losses(self.loss, audio, self.target)
        self.renders += count
        self._remember(unit, audio, losses.detach())
        return losses

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


def item_losses(loss: nn.Module, audio: Audio, target: Float[Tensor, "samples"]) -> Float[Tensor, "sounds"]:
    """Each sound's loss as though it were alone: losses may divide by norms of the whole batch."""
    return torch.stack([call_loss(loss, sound[None], target[None]) for sound in audio])


class Patience:
    """Says when the loss has not fallen by more than ``min_delta`` for ``patience`` rounds."""

    def __init__(self, patience: int, min_delta: float) -> None:
        self.patience, self.min_delta = patience, min_delta
        self.best, self.waited = float("inf"), 0

    def is_over(self, loss: float) -> bool:
        """To be told the lowest loss after every round."""
        if self.best - loss > self.min_delta:
            self.best, self.waited = loss, 0
        else:
            self.waited += 1
        return self.waited >= self.patience


def gradient_search(judge: Judge, free: FreeControls, renders: int, lr: float, patience: Patience) -> int:
    """Adam on all sounds of ``free`` as one batch; each goes its own way.

    A sound whose gradient is not finite stays where it is in that step. One whose loss is not finite goes
    back to where it last was, without its momentum.

    Args:
        judge: Renders and remembers.
        free: The starts; holds the last controls afterwards.
        renders: Budget: steps times sounds is at most this.
        lr: Learning rate, on logits.
        patience: Ends the search early.

    Returns:
        How many steps of single sounds were left out.
    """
    params = list(free.parameters())
    optimizer = torch.optim.Adam(params, lr)
    safe = [param.detach().clone() for param in params]
    skipped = 0
    for _ in range(renders // free.num_sounds):
        losses = judge(free.values())
        if patience.is_over(judge.best_loss):
            break
        lost = ~losses.detach().isfinite()
        optimizer.zero_grad()
        torch.where(lost, 0.0, losses).sum().backward()
        stays = lost | ~torch.stack([param.grad.flatten(1).isfinite().all(dim=1) for param in params]).all(0)
        skipped += int(stays.sum())
        with torch.no_grad():
            for param, good in zip(params, safe, strict=True):
                good[~lost] = param[~lost]
                param.grad[stays] = 0
            optimizer.step()
            for param, good in zip(params, safe, strict=True):
                param[stays] = good[stays]
                optimizer.state[param]["exp_avg"][lost] = 0
    return skipped


@dataclass(frozen=True)
class Breeding:
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
    judge: Judge, free: FreeControls, renders: int, breeding: Breeding, patience: Patience, seed: int
) -> Float[Tensor, "sounds genes"]:
    """PyGAD on the logits of all controls; a generation is rendered as one batch.

    Survivors are not rendered again. A candidate whose loss is not finite is the worst.

    Args:
        judge: Renders and remembers.
        free: The first generation.
        renders: Budget: at most this many candidates are rendered.
        breeding: How a generation follows another.
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

    space = judge.space
    device = judge.target.device
    worst = -torch.finfo(torch.float32).max

    def fitness(_ga, genes, _indices):
        rows = torch.as_tensor(genes, dtype=torch.float32, device=device)
        with torch.no_grad():
            losses = judge(space.from_genes(rows.reshape(-1, space.num_genes)))
        return torch.where(losses.isfinite(), -losses, worst).double().tolist()

    def on_generation(_ga):
        return "stop" if patience.is_over(judge.best_loss) else None

    children = breeding.population - breeding.parents
    ga = pygad.GA(
        num_generations=max((renders - breeding.population) // children, 0),
        num_parents_mating=breeding.parents,
        keep_parents=breeding.parents,
        keep_elitism=0,
        fitness_func=fitness,
        fitness_batch_size=breeding.population,
        initial_population=space.genes(free).cpu().double().numpy(),
        parent_selection_type="sss",
        crossover_type="single_point",
        mutation_type="random",
        mutation_num_genes=max(1, int(breeding.mutation * space.num_genes)),
        random_mutation_min_val=-breeding.step,
        random_mutation_max_val=breeding.step,
        on_generation=on_generation,
        random_seed=seed,
        suppress_warnings=True,
        logger=_silent(),  # PyGAD prints the traceback of an error that it raises anyway
    )
    ga.run()
    order = torch.as_tensor(ga.last_generation_fitness).argsort(descending=True)
    return torch.as_tensor(ga.population, dtype=torch.float32, device=device)[order.to(device)]


def _silent() -> logging.Logger:
    logger = logging.getLogger(f"{__name__}.pygad")
    logger.disabled = True
    return logger
