"""Fits a synth to one sound: the controls are searched, no network is trained."""

import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Literal

import torch
from jaxtyping import Float
from torch import Tensor, nn

from drumblender.dsp.units import Range
from drumblender.features.pitch import guess_f0
from drumblender.losses.spectral import MultiResolutionSTFTLoss
from drumblender.matching.baselines import baselines
from drumblender.matching.level import to_level
from drumblender.matching.objective import Objective, Progress
from drumblender.matching.search import GeneticSettings, Patience, genetic_search, gradient_search
from drumblender.matching.space import Around, SearchSpace
from drumblender.matching.starts import analysed_start
from drumblender.synths.base import Synth
from drumblender.types import Controls

log = logging.getLogger(__name__)

Method = Literal["gradient", "genetic", "hybrid"]
F0_CENTS = 30.0  # how far from the tracker's pitch a search looks
_EDGE = 0.01  # of a range: an analysed start stays so far inside, where there is a gradient
_WARN_DB = 3.0


@dataclass(frozen=True)
class Match:
    """The best sound that a search found, and how it got there.

    Attributes:
        audio: ``(samples,)``.
        controls: What the synth plays it with, ``(1, frames, size)`` by name.
        units: The same in real units.
        loss: Its loss.
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

    @property
    def renders(self) -> int:
        """Sounds that were rendered."""
        return self.history[-1].renders

    @property
    def seconds(self) -> float:
        """How long the search took."""
        return self.history[-1].seconds


def match(
    target: Float[Tensor, "samples"],
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
    source: Float[Tensor, "samples"] | None = None,
    sample_rate: int | None = None,
    tell: Callable[[Progress], None] | None = None,
) -> Match:
    """Search the controls with which ``synth`` comes closest to ``target``.

    A control ``f0_hz`` that is neither fixed nor has a region is tracked in the target, and searched a little
    around. The same arguments give the same result.

    Args:
        target: What to imitate, at the rate of the synth.
        synth: Any synth.
        loss: ``(prediction, target) -> scalar``; None: the multi-resolution STFT loss.
        method: ``gradient``: Adam from one or more starts at once. ``genetic``: PyGAD. ``hybrid``: genetic
            for half of the renders, then gradient from its fittest.
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
        regions: Where to look for a control in a unit.
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
    _check(target, synth, method, renders, restarts, genetic, source)
    loss = MultiResolutionSTFTLoss().to(target.device) if loss is None else loss
    if patience < 1 or lr <= 0:
        raise ValueError(f"Needs patience of 1 and more and lr above 0, got {patience=}, {lr=}.")
    rate = sample_rate or synth.sample_rate
    space = _space(target, synth, rate, frames, fixed, regions, init)
    objective = Objective(target, synth, loss, space, source, **({"tell": tell} if tell else {}))
    start = None if init is None else space.unit(init)
    skipped, interrupted = 0, False
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        if start is None and analyse and rate is not None:
            start = _analysed(target, synth, space, rate)
        try:
            skipped = _run(
                objective, method, start, renders, restarts, lr, genetic, (patience, min_delta), seed
            )
        except KeyboardInterrupt:
            if objective.best_audio is None:
                raise
            interrupted = True
        if objective.best_audio is None:
            raise ValueError(f"None of {objective.renders} candidates had a finite loss.")
        return _result(objective, match_level, rate, skipped, interrupted, seed)


def _space(
    target: Tensor,
    synth: Synth,
    rate: int | None,
    frames: int | Mapping[str, int],
    fixed: Controls | None,
    regions: Mapping[str, Range | Around] | None,
    init: Controls | None,
) -> SearchSpace:
    """What is searched; a pitch that nobody gave is tracked."""
    counts = {"": frames} if isinstance(frames, int) else dict(frames)
    fixed, regions = dict(fixed or {}), dict(regions or {})
    for name in synth.control_sizes:
        if name.endswith("f0_hz") and name not in {**fixed, **regions}:
            counts.setdefault(name, init[name].shape[1] if init and name in init else 1)
            guess = _pitch(target, rate, counts[name])
            regions[name] = Around(guess.to(target.device), F0_CENTS)
    return SearchSpace(synth, counts, fixed, regions)


def _pitch(target: Tensor, rate: int | None, num_frames: int) -> Tensor:
    if rate is None:
        raise ValueError("Tracking the pitch of the target needs its sample_rate.")
    guess = guess_f0(target, rate, num_frames)
    log.info("Tracked a pitch of %.1f Hz.", float(guess.median()))
    return guess


def _analysed(target: Tensor, synth: Synth, space: SearchSpace, rate: int) -> Controls | None:
    """A start in (0, 1) from the target; the middle where nothing is known; None where nothing at all is."""
    guesses = {name: region.guess for name, region in space.regions.items() if isinstance(region, Around)}
    known = {name: value.cpu() for name, value in {**space.fixed, **guesses}.items()}
    with torch.no_grad():
        found = analysed_start(synth.cpu(), target[None].float().cpu(), space.frames, known, rate)
        synth.to(target.device)
    found = {name: value for name, value in found.items() if name in space.sizes}
    if not found:
        return None
    return {
        name: found[name].float().clamp(_EDGE, 1 - _EDGE)
        if name in found and space.regions[name] is None
        else torch.full((1, space.frames[name], size), 0.5)
        for name, size in space.sizes.items()
    }


def _run(
    objective: Objective,
    method: Method,
    start: Controls | None,
    renders: int,
    restarts: int,
    lr: float,
    genetic: GeneticSettings,
    patience: tuple[int, float],
    seed: int,
) -> int:
    """Search; returns how many gradient steps were left out."""
    generator = torch.Generator().manual_seed(seed)
    space, device = objective.space, objective.target.device
    if method != "gradient":
        share = renders if method == "genetic" else renders // 2
        first = space.free(genetic.population, generator, start).to(device)
        bred = genetic_search(objective, first, share, genetic, Patience(*patience), seed)
        if method == "genetic":
            return 0
        start = {name: value.cpu() for name, value in space.from_genes(bred[:restarts]).items()}
    free = space.free(restarts, generator, start).to(device)
    return gradient_search(objective, free, renders - objective.renders, lr, Patience(*patience))


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

        fixed = space.fixed if match_level else controls
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
    )


def _check(
    target: Tensor,
    synth: Synth,
    method: str,
    renders: int,
    restarts: int,
    genetic: GeneticSettings,
    source: Tensor | None,
) -> None:
    if target.ndim != 1 or len(target) == 0 or not target.isfinite().all():
        raise ValueError(f"The target is finite samples in a row, got shape {tuple(target.shape)}.")
    if not target.any():
        raise ValueError("The target is silent: there is nothing to match.")
    if method not in ("gradient", "genetic", "hybrid"):
        raise ValueError(f"method is gradient, genetic or hybrid, got {method!r}.")
    needed = {
        "gradient": restarts,
        "genetic": genetic.population,
        "hybrid": 2 * max(genetic.population, restarts),
    }
    if restarts < 1 or renders < needed[method]:
        raise ValueError(
            f"A {method} search needs restarts of 1 and more and {needed[method]} renders, "
            f"got {restarts=}, {renders=}."
        )
    if synth.needs_source and source is None:
        raise ValueError(
            f"{type(synth).__name__} works on a sound: give it with --source target or --source FILE."
        )
    if source is not None and source.shape != target.shape:
        raise ValueError(f"The source has {len(source)} samples, the target {len(target)}.")
