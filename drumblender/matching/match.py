"""Fits a synth to one sound: the controls are searched, no network is trained."""

import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor, nn

from drumblender.dsp.checks import one_sound
from drumblender.dsp.units import Range
from drumblender.losses.spectral import MultiResolutionSTFTLoss
from drumblender.matching.baselines import baselines
from drumblender.matching.beginning import space_around, start_in
from drumblender.matching.genetic import GeneticSettings
from drumblender.matching.level import to_level
from drumblender.matching.objective import Objective, Progress
from drumblender.matching.search import Method, Search
from drumblender.matching.space import Around
from drumblender.synths.base import Synth
from drumblender.types import Controls

log = logging.getLogger(__name__)

_WARN_DB = 3.0


@dataclass(frozen=True)
class Match:
    """The best sound that a search found, and how it got there.

    Attributes:
        audio: ``(samples,)``.
        controls: What the synth plays it with, ``(1, frames, size)`` by name.
        units: The same in real units.
        loss: Its loss.
        found_loss: The same before its levels were moved.
        history: A line for each batch of renders.
        skipped: Gradient steps left out because a gradient was not finite.
        failed: Renders whose loss was not finite.
        interrupted: Ctrl+C ended the search; the rest is the best until then.
        found_db: How much louder than the target the search left the sound, by RMS.
        level_db: How much louder it is, after its levels were moved.
        baselines: The loss of sounds that need no search, by name.
    """

    audio: Float[Tensor, "samples"]
    controls: Controls
    units: Controls
    loss: float
    history: list[Progress]
    skipped: int
    failed: int
    interrupted: bool = False
    found_db: float = 0.0
    level_db: float = 0.0
    baselines: dict[str, float] = field(default_factory=dict)
    found_loss: float = float("nan")

    @property
    def beaten_by(self) -> list[str]:
        """Sounds that need no search and are nearer to the target."""
        return [name for name, loss in self.baselines.items() if loss <= self.loss]

    @property
    def renders(self) -> int:
        """Sounds that were rendered."""
        return self.history[-1].renders

    @property
    def seconds(self) -> float:
        """How long the search took."""
        return self.history[-1].seconds


def match(
    target: Tensor | np.ndarray,
    synth: Synth,
    loss: nn.Module | None = None,
    method: Method = "gradient",
    *,
    renders: int = 1000,
    restarts: int = 1,
    lr: float = 0.1,
    genetic: GeneticSettings = GeneticSettings(),  # noqa: B008 (frozen)
    patience: int = 50,
    min_delta: float = 1e-4,
    seed: int = 0,
    frames: int | Mapping[str, int] = 32,
    fixed: Controls | None = None,
    regions: Mapping[str, Range | Around] | None = None,
    init: Controls | None = None,
    analyse: bool = True,
    match_level: bool = True,
    source: Tensor | np.ndarray | None = None,
    sample_rate: int | None = None,
    tell: Callable[[Progress], None] | None = None,
) -> Match:
    """Search the controls with which ``synth`` comes closest to ``target``.

    A control ``f0_hz`` that is neither fixed nor has a region is tracked in the target, and searched a little
    around. The same arguments give the same result.

    Args:
        target: What to imitate, samples in a row, of torch or NumPy, at the rate of the synth.
        synth: Any synth.
        loss: ``(prediction, target) -> scalar``; None: the multi-resolution STFT loss.
        method: ``gradient``: Adam from one or more starts at once. ``genetic``: PyGAD. ``hybrid``: genetic
            for half of the renders, then gradient from its fittest. ``newton``: damped least squares on the
            levels of bands, whose slopes are differences of renders, not farther from the start than the
            sound tells; for controls of few numbers.
        renders: Budget: sounds rendered, at most. An audio that needs a gradient counts as one as well.
        restarts: Starts of the gradient search; they share the budget.
        lr: Its learning rate, on logits of the controls.
        genetic: How the genetic search goes from generation to generation.
        patience: Steps or generations without progress after which a search stops.
        min_delta: What counts as progress.
        seed: Of all draws, also those of a synth that makes noise.
        frames: Frames of a control that may have any number: one count for all, or by name (``""``: the
            others). A tracked ``f0_hz`` has one unless it is named.
        fixed: Controls that are known, ``(1, frames, size)``, as the synth takes them.
        regions: Where to look for a control, in its unit; one with a region stays in it when the level moves.
        init: Controls to start from, ``(starts, frames, size)``, as the synth takes them.
        analyse: Without ``init``, start from what an analysis of the target says (its partials and decays,
            the band levels of the rest) where the synth's kind is known; else from draws.
        match_level: In the end, move the synth's levels so that the sound is as loud as the target.
        source: What a synth that hears works on, as long as the target.
        sample_rate: Of the target, to analyse it; by default the synth's own.
        tell: Called with the progress after each batch of renders.

    Raises:
        ValueError: The target is silent, empty or not finite; the budget is too small; the synth hears and
            has no source; a control does not fit; no candidate had a finite loss.

    >>> from drumblender.synths import NoiseSynth
    >>> hiss = 0.1 * torch.randn(8000, generator=torch.Generator().manual_seed(0))
    >>> synth = NoiseSynth(16, 256, seed=0, level_db=Range(-80, 0))
    >>> found = match(hiss, synth, renders=10, frames=4, sample_rate=8000)
    >>> abs(found.level_db) < 0.1, found.loss < found.baselines["silence"]
    (True, True)
    """
    target = one_sound(target, "The target")
    source = None if source is None else one_sound(source, "The source")
    _check(target, synth, source)
    search = Search(method, renders, restarts, lr, genetic, patience, min_delta, seed)
    loss = MultiResolutionSTFTLoss().to(target.device) if loss is None else loss
    rate = sample_rate or synth.sample_rate
    space = space_around(target, synth, rate, frames, fixed, regions, init)
    objective = Objective(target, synth, loss, space, source, **({"tell": tell} if tell else {}))
    start = None if init is None else space.unit(init)
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        if start is None and analyse and rate is not None:
            start = start_in(target, synth, space, rate)
        skipped, interrupted = _run(search, objective, start, rate)
        return _result(objective, match_level, rate, skipped, interrupted, seed)


def _run(search: Search, objective: Objective, start: Controls | None, rate: int | None) -> tuple[int, bool]:
    """Search; how many gradient steps were left out, and whether Ctrl+C ended it."""
    skipped, interrupted = 0, False
    try:
        skipped = search.run(objective, start, rate)
    except KeyboardInterrupt:
        if objective.best_audio is None:
            raise
        interrupted = True
    if objective.best_audio is None:
        raise ValueError(
            f"None of {objective.renders} candidates had a finite loss; give a start or narrower ranges."
        )
    return skipped, interrupted


def _result(
    objective: Objective, match_level: bool, rate: int | None, skipped: int, interrupted: bool, seed: int
) -> Match:
    """The best candidate at the target's level, beside what needs no search."""
    space, synth, target = objective.space, objective.synth, objective.target
    with torch.no_grad():
        controls = space.controls(objective.best_unit)
        first = [objective.best_audio[None]]  # as it was heard: another call may draw other noise

        def play(controls: Controls) -> Tensor:
            return first.pop() if first else objective.play(controls)

        fixed = {*space.fixed, *space.bounded} if match_level else controls
        levelled = to_level(controls, play, synth, target, fixed)
        audio = levelled.audio[0]
        sounds = {} if rate is None else baselines(target, rate, seed)
        losses = {name: float(objective.losses(sound)) for name, sound in sounds.items()}
        moved = levelled.after_db != levelled.before_db
        value = float(objective.losses(audio[None])) if moved else objective.best_loss
    if match_level and max(abs(levelled.before_db), abs(levelled.after_db)) > _WARN_DB:
        log.warning(
            "The search left the sound %+.1f dB from the target's level; it is now at %+.1f dB.",
            levelled.before_db,
            levelled.after_db,
        )
    return Match(
        audio,
        levelled.controls,
        synth.to_units(levelled.controls),
        value,
        objective.history,
        skipped,
        objective.failed,
        interrupted,
        levelled.before_db,
        levelled.after_db,
        losses,
        objective.best_loss,
    )


def _check(target: Tensor, synth: Synth, source: Tensor | None) -> None:
    if not target.any():
        raise ValueError("The target is silent: there is nothing to match.")
    if synth.needs_source and source is None:
        raise ValueError(
            f"{type(synth).__name__} works on a sound: give it with --source target or --source FILE."
        )
    if source is not None and source.shape != target.shape:
        raise ValueError(f"The source has {len(source)} samples, the target {len(target)}.")
