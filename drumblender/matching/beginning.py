"""What is searched, and from where: what the target itself says before any sound is rendered."""

import logging
from collections.abc import Mapping

import torch
from torch import Tensor

from drumblender.dsp.units import Range
from drumblender.features.pitch import guess_f0
from drumblender.matching.space import Around, SearchSpace, Within
from drumblender.matching.starts import analysed_start
from drumblender.synths.base import Synth
from drumblender.types import Controls

log = logging.getLogger(__name__)

F0_CENTS = 30.0  # how far from the tracker's pitch a search looks
_EDGE = 0.01  # of a range: an analysed start stays so far inside, where there is a gradient


def space_around(
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


def start_in(target: Tensor, synth: Synth, space: SearchSpace, rate: int) -> Controls | None:
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
        name: _inside(found[name].float(), space.regions[name])
        if name in found and isinstance(space.regions[name], Within | None)
        else torch.full((1, space.frames[name], size), 0.5)
        for name, size in space.sizes.items()
    }


def _inside(value: Tensor, region: Within | None) -> Tensor:
    unit = value if region is None else region.normalize(value)
    return unit.clamp(_EDGE, 1 - _EDGE)


def _pitch(target: Tensor, rate: int | None, num_frames: int) -> Tensor:
    if rate is None:
        raise ValueError("Tracking the pitch of the target needs its sample_rate.")
    guess = guess_f0(target, rate, num_frames)
    log.info("Tracked a pitch of %.1f Hz.", float(guess.median()))
    return guess
