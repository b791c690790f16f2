"""Which phrases train and which are left out, and what of the former must be silent so that nothing leaks.

Phrases put together from recorded notes share those notes. A phrase that is left out of training is unseen
only where none of the recordings that it is made of sounds there.
"""

import bisect
import itertools
import json
import math
import re
from collections.abc import Collection, Iterable
from dataclasses import dataclass
from fnmatch import filter as fnmatch_filter
from pathlib import Path
from typing import Any

import torch

from drumblender.data.splits import Split

_PITCH = re.compile(r"([a-g])(b|#)?(-?\d)_", re.IGNORECASE)
_LAYER = re.compile(r"_vl(\d+)")
_SEMITONES = {"c": 0, "d": 2, "e": 4, "f": 5, "g": 7, "a": 9, "b": 11}
_ACCIDENTALS = {"b": -1, "#": 1, "": 0}
_MOST_WAYS = 20_000


@dataclass(frozen=True)
class PhraseSplitting:
    """Which performances train, validate and test.

    Args:
        versions: Words in file names that tell versions of one performance apart; those stay together.
        test: Patterns of the performances to test with, as of file names; None, with ``val`` None: drawn.
        val: Patterns of those to validate with.
        holdout: Share of the performances to draw for each.
        seed: Of the draw.
        use: Patterns of the raw files to use at all, as microphone and pickup are two instruments to a model
            that hears pitch and loudness; None uses all.
    """

    versions: tuple[str, ...] = ("mic", "pickup")
    test: tuple[str, ...] | None = None
    val: tuple[str, ...] | None = None
    holdout: float = 0.15
    seed: int = 42
    use: tuple[str, ...] | None = None


@dataclass(frozen=True)
class Note:
    """A stretch of a phrase and the recordings that may sound in it."""

    start_s: float
    stop_s: float
    recordings: Collection[str]


def take_of(sample: str) -> str:
    """Name of a recording without that of the microphone: ``.../a3_vl3_rr2_1.wav`` is ``a3_vl3_rr2``."""
    return re.sub(r"_\d$", "", Path(sample).stem)


def notes_of(path: Path) -> dict[str, Any]:
    """Tags of a recording from the ``.notes.json`` beside it: ``takes``, and ``notes`` with those of each.

    A file does not say which recording a note plays. Every one may that a sampler can have chosen: those
    nearest in pitch, and of these the ones in a velocity layer (``_vl3``) that a louder note does not have
    to leave to a softer one. Where a name says no pitch, every recording may. Without a file, a recording
    is its own take.

    Raises:
        ValueError: The file is no JSON of that form.
    """
    beside = path.with_suffix(".notes.json")
    if not beside.is_file():
        named = _PITCH.match(path.stem) and _LAYER.search(path.stem)  # a sample, as phrases name them
        return {"takes": [take_of(path.name) if named else path.stem], "notes": []}
    try:
        said = json.loads(beside.read_text(encoding="utf-8"))
        takes = sorted({take_of(sample) for sample in said["samples"]})
        played = sorted(
            (float(note["onset_s"]), float(note["midi_pitch"]), float(note.get("velocity", 0)))
            for note in said["notes"]
        )
    except (json.JSONDecodeError, KeyError, TypeError, ValueError, AttributeError) as error:
        raise ValueError(f"{beside} lacks samples or notes with onset_s and midi_pitch ({error}).") from error
    stops = [start for start, *_ in played[1:]] + [1e6]
    near = [_near(takes, pitch) for _, pitch, _ in played]
    velocities = [velocity for *_, velocity in played]
    chosen = _in_layer(near, velocities)
    return {
        "takes": takes,
        "notes": [[start, stop, some] for (start, *_), stop, some in zip(played, stops, chosen, strict=True)],
    }


def _near(takes: list[str], midi_pitch: float) -> list[str]:
    """The recordings nearest in pitch, several where they are as near."""
    distance = {take: abs(pitch - midi_pitch) for take in takes if (pitch := _pitch_of(take)) is not None}
    if len(distance) < len(takes):
        return takes
    return [take for take in takes if distance[take] == min(distance.values())]


def _in_layer(near: list[list[str]], velocities: list[float]) -> list[list[str]]:
    """Of the recordings near each note those in a layer that it can have.

    Layers are the same for all pitches and rise with the velocity, and every recording sounds. All ways to
    divide the velocities of which that holds are tried; what any of them allows is kept.
    """
    layers = sorted({layer for some in near for take in some if (layer := _layer_of(take)) is not None})
    steps = sorted(set(velocities))
    if len(layers) < 2 or any(_layer_of(take) is None for some in near for take in some):
        return near
    if len(steps) < len(layers) or math.comb(len(steps) - 1, len(layers) - 1) > _MOST_WAYS:
        return near
    there: dict[tuple[str, ...], set[int]] = {
        tuple(some): {_layer_of(take) for take in some} for some in near
    }
    allowed: list[set[int]] = [set() for _ in near]
    for cuts in itertools.combinations(steps[1:], len(layers) - 1):
        said = [layers[bisect.bisect_right(cuts, velocity)] for velocity in velocities]
        heard: dict[tuple[str, ...], set[int]] = {}
        for some, layer in zip(near, said, strict=True):
            heard.setdefault(tuple(some), set()).add(layer)
        if heard == there:
            for own, layer in zip(allowed, said, strict=True):
                own.add(layer)
    return [
        [take for take in some if _layer_of(take) in own] if own else some
        for some, own in zip(near, allowed, strict=True)
    ]


def _layer_of(take: str) -> int | None:
    found = _LAYER.search(take)
    return None if found is None else int(found[1])


def _pitch_of(take: str) -> int | None:
    found = _PITCH.match(take)
    if found is None:
        return None
    letter, accidental, octave = found.groups(default="")
    return 12 * (int(octave) + 1) + _SEMITONES[letter.lower()] + _ACCIDENTALS[accidental.lower()]


def performance_of(name: str, versions: Iterable[str]) -> str:
    """What versions of one performance share: the name without the words that tell them apart."""
    words = re.split(r"[^A-Za-z0-9]+", name)
    return "_".join(word for word in words if word.lower() not in {version.lower() for version in versions})


def choose(performances: Collection[str], split_by: PhraseSplitting) -> dict[str, Split]:
    """A split for each performance: by patterns as of file names (``*ode*``), or drawn where there are none.

    Raises:
        ValueError: A pattern that matches nothing, or nothing left to train with.
    """
    names, test, val = sorted(set(performances)), split_by.test, split_by.val
    split: dict[str, Split] = dict.fromkeys(names, "train")
    if test is None and val is None:
        order = torch.randperm(len(names), generator=torch.Generator().manual_seed(split_by.seed)).tolist()
        size = max(1, round(split_by.holdout * len(names)))
        split |= dict.fromkeys((names[place] for place in order[:size]), "test")
        split |= dict.fromkeys((names[place] for place in order[size : 2 * size]), "val")
    for part, patterns in (("test", test), ("val", val)):
        for pattern in patterns or ():
            if not (found := fnmatch_filter(names, pattern)):
                raise ValueError(f"{part}: {pattern!r} matches none of {', '.join(names)}.")
            split |= dict.fromkeys(found, part)
    if "train" not in split.values():
        raise ValueError(f"Nothing is left to train with: all of {', '.join(names)} are left out.")
    return split


def silent_stretches(notes: Iterable[Note], held: Collection[str]) -> list[tuple[float, float]]:
    """Seconds of a training phrase in which a recording that is left out may sound."""
    stretches: list[tuple[float, float]] = []
    for note in notes:
        if not set(held) & set(note.recordings):
            continue
        if stretches and note.start_s <= stretches[-1][1]:
            stretches[-1] = stretches[-1][0], note.stop_s
        else:
            stretches.append((note.start_s, note.stop_s))
    return stretches
