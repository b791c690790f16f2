"""Brings what a search found to the target's level, by the synth's own level controls."""

from collections.abc import Callable, Collection
from typing import NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor

from drumblender.dsp.units import db_to_gain
from drumblender.synths.base import Synth
from drumblender.types import Audio, Controls

_ROUNDS = 6
_CLOSE_DB = 0.02
_LEAST = 1e-12  # power; 120 dB under full scale
_TIMBRES = ("in_gain", "mod_gain.gain")  # how hard a stage is driven, not how loud it comes out
_AMPLITUDES = ("amp", "magnitude", "quadrature")


class Levelled(NamedTuple):
    """A sound at the target's level, as near as the controls allow."""

    controls: Controls
    audio: Audio
    before_db: float  # how much louder than the target the search left it; below 0: quieter
    after_db: float  # how much louder it is now


def level_difference_db(audio: Float[Tensor, "... samples"], target: Float[Tensor, "... samples"]) -> float:
    """How many dB louder ``audio`` is than ``target``, by RMS.

    >>> round(level_difference_db(torch.full((10,), 0.5), torch.ones(10)), 2)
    -6.02
    """
    powers = [part.detach().double().square().mean().clamp(min=_LEAST) for part in (audio, target)]
    return float(10 * torch.log10(powers[0] / powers[1]))


@torch.no_grad()
def to_level(
    controls: Controls,
    play: Callable[[Controls], Audio],
    synth: Synth,
    target: Float[Tensor, "samples"],
    fixed: Collection[str] = (),
) -> Levelled:
    """Move all controls in decibels, and all linear amplitudes, alike until the level is the target's.

    Spectral losses are lowest a few decibels too quiet, where noise differs from noise; ears are not. A
    control at the end of its range goes no further. A synth without such controls stays as it is.

    Args:
        controls: Of one sound, as the synth takes them.
        play: Renders them.
        synth: What they are of.
        target: ``(samples,)``.
        fixed: Controls that may not move.
    """
    names = [name for name in controls if name not in fixed]
    audio = play(controls)
    before_db = after_db = level_difference_db(audio[0], target)
    for _ in range(_ROUNDS):
        if abs(after_db) < _CLOSE_DB:
            break
        moved = {name: _moved(synth, name, controls[name], -after_db) for name in names}
        if all(value is None for value in moved.values()):
            break
        tried = controls | {name: value for name, value in moved.items() if value is not None}
        heard = play(tried)
        difference_db = level_difference_db(heard[0], target)
        if not abs(difference_db) < abs(after_db):
            break
        controls, audio, after_db = tried, heard, difference_db
    return Levelled(controls, audio, before_db, after_db)


def _moved(synth: Synth, name: str, value: Tensor, gain_db: float) -> Tensor | None:
    """The control of a sound that is louder by ``gain_db``; None for one that is no level."""
    if name.endswith(_TIMBRES):
        return None
    span = synth.ranges.get(name)
    if span is not None and synth.units.get(name) == "db":
        return span.normalize(span.denormalize(value) + gain_db).clamp(0, 1)
    if name.endswith("_db"):
        return value + gain_db
    if name.endswith(_AMPLITUDES):
        gain = db_to_gain(torch.tensor(gain_db)).to(value)
        if span is not None:
            return span.normalize(span.denormalize(value) * gain).clamp(0, 1)
        return value * gain if name in synth.linear else (value * gain).clamp(0, 1)
    return None
