"""Tries several synths on one sound for a part of the budget, and goes on with the best."""

import logging
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from jaxtyping import Float
from torch import Tensor, nn

from drumblender.features.pitch import NoPitchError
from drumblender.matching.match import Match, match
from drumblender.synths.base import Synth

log = logging.getLogger(__name__)

TRIAL = 0.2
"""Share of the renders that all trials take together."""


@dataclass(frozen=True)
class Trials:
    """Which synth came closest.

    Attributes:
        name: Of the synth that won.
        match: What it found in the end.
        losses: Of each synth after its trial, by name; those that could not play the sound are left out.
    """

    name: str
    match: Match
    losses: dict[str, float]


def match_best(
    target: Float[Tensor, "samples"],
    synths: Mapping[str, Synth],
    loss: nn.Module | None = None,
    *,
    renders: int = 1000,
    own: Mapping[str, Mapping[str, Any]] | None = None,
    **settings: Any,
) -> Trials:
    """:func:`~drumblender.matching.match.match` with the one of several synths that suits the target best.

    Each gets an equal part of a fifth of the renders; the winner goes on from its controls with the rest. A
    synth that needs a pitch is left out where there is none.

    Args:
        target: What to imitate.
        synths: By name.
        loss: As for ``match``.
        renders: Budget of all together.
        own: Arguments of ``match`` for one synth alone, such as those that name controls, by its name.
        settings: Further arguments of ``match``, for all.

    Raises:
        ValueError: As ``match``; or no synth can play the sound.
    """
    share = max(1, int(renders * TRIAL / max(len(synths), 1)))
    trials: dict[str, Match] = {}
    own = own or {}
    for name, synth in synths.items():
        try:
            alone = settings | dict(own.get(name, {})) | {"match_level": False, "tell": None}
            trials[name] = match(target, synth, loss, renders=share, **alone)
        except NoPitchError:
            log.info("%s is left out: the sound has no pitch.", name)
    if not trials:
        raise ValueError(f"None of {', '.join(synths) or 'no synths'} can play this sound: it has no pitch.")
    losses = {name: trial.loss for name, trial in trials.items()}
    best = min(losses, key=losses.__getitem__)
    left = renders - sum(trial.renders for trial in trials.values())
    alone = settings | dict(own.get(best, {})) | {"init": trials[best].controls}
    found = match(target, synths[best], loss, renders=max(left, 1), **alone)
    return Trials(best, found, losses)
