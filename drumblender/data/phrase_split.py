"""Which phrases train and which are left out, and what of the former must be silent so that nothing leaks.

Phrases put together from recorded notes share those notes. A phrase that is left out of training is unseen
only where none of the recordings that it is made of sounds there.
"""

import json
import re
from collections.abc import Collection, Iterable
from dataclasses import dataclass
from fnmatch import filter as fnmatch_filter
from pathlib import Path
from typing import Any

import torch

from drumblender.data.splits import Split

_PITCH = re.compile(r"([a-g])(b|#)?(-?\d)_", re.IGNORECASE)
_SEMITONES = {"c": 0, "d": 2, "e": 4, "f": 5, "g": 7, "a": 9, "b": 11}
_ACCIDENTALS = {"b": -1, "#": 1, "": 0}
_REACH = 2  # semitones that a sampler may transpose a recording by


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

    A file does not say which recording a note plays: every one within two semitones of it may, and where no
    recording has a pitch in its name, every one. Without such a file, a recording is its own take.

    Raises:
        ValueError: The file is no JSON of that form.
    """
    beside = path.with_suffix(".notes.json")
    if not beside.is_file():
        return {"takes": [path.stem], "notes": []}
    try:
        said = json.loads(beside.read_text(encoding="utf-8"))
        takes = sorted({take_of(sample) for sample in said["samples"]})
        starts = sorted((float(note["onset_s"]), float(note["midi_pitch"])) for note in said["notes"])
    except (json.JSONDecodeError, KeyError, TypeError, ValueError) as error:
        raise ValueError(f"{beside} lacks samples or notes with onset_s and midi_pitch ({error}).") from error
    stops = [start for start, _ in starts[1:]] + [float("inf")]
    notes = [
        [start, min(stop, 1e6), _may_sound(takes, pitch)]
        for (start, pitch), stop in zip(starts, stops, strict=True)
    ]
    return {"takes": takes, "notes": notes}


def _may_sound(takes: list[str], midi_pitch: float) -> list[str]:
    distance = {take: abs(pitch - midi_pitch) for take in takes if (pitch := _pitch_of(take)) is not None}
    if len(distance) < len(takes):
        return takes
    reach = max(_REACH, min(distance.values()))
    return [take for take in takes if distance[take] <= reach]


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


def choose(
    performances: Collection[str],
    test: Collection[str] | None,
    val: Collection[str] | None,
    share: float,
    seed: int,
) -> dict[str, Split]:
    """A split for each performance: by patterns as of file names (``*ode*``), or drawn where there are none.

    Raises:
        ValueError: A pattern that matches nothing, or nothing left to train with.
    """
    names = sorted(set(performances))
    split: dict[str, Split] = dict.fromkeys(names, "train")
    if test is None and val is None:
        order = torch.randperm(len(names), generator=torch.Generator().manual_seed(seed)).tolist()
        size = max(1, round(share * len(names)))
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
