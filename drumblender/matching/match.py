"""Fits a synth to one sound: the controls are searched, no network is trained."""

import logging
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

import torch
from jaxtyping import Float
from torch import Tensor, nn

from drumblender.dsp.units import Range
from drumblender.features.pitch import guess_f0
from drumblender.losses.spectral import MultiResolutionSTFTLoss
from drumblender.matching.search import (
    Breeding,
    Judge,
    Patience,
    Progress,
    genetic_search,
    gradient_search,
)
from drumblender.matching.space import Around, SearchSpace
from drumblender.synths.base import Synth
from drumblender.types import Controls

log = logging.getLogger(__name__)

Method = Literal["gradient", "genetic", "hybrid"]
F0_CENTS = 30.0  # how far from the tracker's pitch a search looks


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
    """

    audio: Float[Tensor, "samples"]
    controls: Controls
    units: Controls
    loss: float
    history: list[Progress]
    skipped: int
    failed: int
    interrupted: bool = False

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
    restarts: int = 4,
    lr: float = 0.1,
    breeding: Breeding = Breeding(),  # noqa: B008 (frozen)
    patience: int = 50,
    min_delta: float = 1e-4,
    seed: int = 0,
    frames: int | Mapping[str, int] = 32,
    fixed: Controls | None = None,
    regions: Mapping[str, Range | Around] | None = None,
    init: Controls | None = None,
    source: Float[Tensor, "samples"] | None = None,
    sample_rate: int | None = None,
) -> Match:
    """Search the controls with which ``synth`` comes closest to ``target``.

    A control ``f0_hz`` that is neither fixed nor has a region is tracked in the target, and searched a little
    around. The same arguments give the same result.

    Args:
        target: What to imitate, at the rate of the synth.
        synth: Any synth.
        loss: ``(prediction, target) -> scalar``; None: the multi-resolution STFT loss.
        method: ``gradient``: Adam from several starts at once. ``genetic``: PyGAD. ``hybrid``: genetic for
            half of the renders, then gradient from its fittest: for sounds whose frequencies are searched.
        renders: Budget: sounds rendered, at most. An audio that needs a gradient counts as one as well.
        restarts: Starts of the gradient search.
        lr: Its learning rate, on logits of the controls.
        breeding: How the genetic search breeds.
        patience: Steps or generations without progress after which a search stops.
        min_delta: What counts as progress.
        seed: Of all draws, also those of a synth that makes noise.
        frames: Frames of a control that may have any number: one count for all, or by name (``""``: the
            others). A tracked ``f0_hz`` has one unless it is named.
        fixed: Controls that are known, ``(1, frames, size)``, as the synth takes them.
        regions: Where to look for a control in a unit.
        init: Controls to start from, ``(starts, frames, size)``, as the synth takes them.
        source: What a synth that hears works on, as long as the target.
        sample_rate: Of the target, to track its pitch; by default the synth's own.

    Raises:
        ValueError: The target is silent, empty or not finite; the budget is too small; the synth hears and
            has no source; a control does not fit; no candidate had a finite loss.
    """
    _check(target, synth, method, renders, restarts, breeding, source)
    loss = MultiResolutionSTFTLoss().to(target.device) if loss is None else loss
    if patience < 1 or lr <= 0:
        raise ValueError(f"Needs patience of 1 and more and lr above 0, got {patience=}, {lr=}.")
    counts = {"": frames} if isinstance(frames, int) else dict(frames)
    fixed, regions = dict(fixed or {}), dict(regions or {})
    for name in synth.control_sizes:
        if name.endswith("f0_hz") and name not in {**fixed, **regions}:
            counts.setdefault(name, init[name].shape[1] if init and name in init else 1)
            guess = _pitch(target, synth, sample_rate, counts[name])
            regions[name] = Around(guess.to(target.device), F0_CENTS)
    space = SearchSpace(synth, counts, fixed, regions)
    judge = Judge(target, synth, loss, space, source)
    start = None if init is None else space.unit(init)
    skipped, interrupted = 0, False
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        try:
            skipped = _run(judge, method, start, renders, restarts, lr, breeding, (patience, min_delta), seed)
        except KeyboardInterrupt:
            if judge.best_audio is None:
                raise
            interrupted = True
    if judge.best_audio is None:
        raise ValueError(f"None of {judge.renders} candidates had a finite loss.")
    with torch.no_grad():
        controls = space.controls(judge.best_unit)
        units = synth.to_units(controls)
    return Match(
        judge.best_audio,
        controls,
        units,
        judge.best_loss,
        judge.history,
        skipped,
        judge.failed,
        interrupted,
    )


def _run(
    judge: Judge,
    method: Method,
    start: Controls | None,
    renders: int,
    restarts: int,
    lr: float,
    breeding: Breeding,
    patience: tuple[int, float],
    seed: int,
) -> int:
    """Search; returns how many gradient steps were left out."""
    generator = torch.Generator().manual_seed(seed)
    space, device = judge.space, judge.target.device
    if method != "gradient":
        share = renders if method == "genetic" else renders // 2
        first = space.free(breeding.population, generator, start).to(device)
        bred = genetic_search(judge, first, share, breeding, Patience(*patience), seed)
        if method == "genetic":
            return 0
        start = {name: value.cpu() for name, value in space.from_genes(bred[:restarts]).items()}
    free = space.free(restarts, generator, start).to(device)
    return gradient_search(judge, free, renders - judge.renders, lr, Patience(*patience))


def _check(
    target: Tensor,
    synth: Synth,
    method: str,
    renders: int,
    restarts: int,
    breeding: Breeding,
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
        "genetic": breeding.population,
        "hybrid": 2 * max(breeding.population, restarts),
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


def _pitch(target: Tensor, synth: Synth, sample_rate: int | None, num_frames: int) -> Tensor:
    rate = sample_rate or getattr(synth, "sample_rate", None)
    if rate is None:
        raise ValueError("Tracking the pitch of the target needs its sample_rate.")
    guess = guess_f0(target, rate, num_frames)
    log.info("Tracked a pitch of %.1f Hz.", float(guess.median()))
    return guess
