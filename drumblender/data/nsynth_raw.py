"""NSynth as it is published: folders of notes with an ``examples.json``, and where they can be had."""

import logging
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from drumblender.atomic import read_json
from drumblender.console import track_bytes
from drumblender.data.prepare.archive import unpack
from drumblender.data.prepare.fetch import download, or_own_recordings
from drumblender.data.prepare.manifest import stays_inside
from drumblender.data.prepare.raw import Recording
from drumblender.data.prepare.storage import open_store
from drumblender.data.splits import Split
from drumblender.sound_files import printable

_log = logging.getLogger(__name__)

NSYNTH_URL = "https://storage.googleapis.com/download.magenta.tensorflow.org/datasets/nsynth"
"""The official archives: the bucket behind download.magenta.tensorflow.org, which answers HTTP alone."""

EXAMPLES = "examples.json"
_ELSEWHERE = (
    "Where you have NSynth, or notes in its format: --data.root DIR, a folder with nsynth-train/, "
    "nsynth-valid/ and nsynth-test/ (each with examples.json and audio/), or one examples.json and audio/."
)

REVERB, TEMPO_SYNCED = 8, 9
"""Places of two qualities in NSynth's list of ten: such notes hold more than one pluck."""


_NEEDED = {
    "pitch": (int, "a MIDI number"),
    "instrument_family_str": (str, "a text"),
    "instrument_source_str": (str, "a text"),
    "qualities": (list, "a list of ten"),
}


@dataclass(frozen=True)
class SplitNames:
    """Which splits of NSynth are used for what.

    Args:
        train: To train with.
        val: To validate with; published runs used ``test``.
        test: To test with.
    """

    train: str = "train"
    val: str = "valid"
    test: str = "test"

    def of(self, split: Split) -> str:
        """The name that NSynth has for one of ours."""
        return {"train": self.train, "val": self.val, "test": self.test}[split]

    def all(self) -> list[str]:
        """Each once."""
        return list(dict.fromkeys((self.train, self.val, self.test)))


@dataclass(frozen=True)
class NoteFilter:
    """Which notes are kept.

    Args:
        families: Of the instrument, such as ``guitar``.
        sources: ``acoustic``, ``electronic``, ``synthetic``.
        lowest_midi: Lowest pitch; 40 is E2.
        highest_midi: Highest pitch; 88 is E6.
        max_files: At most so many of each split, the first of the file; None keeps all.
    """

    families: tuple[str, ...] = ("guitar",)
    sources: tuple[str, ...] = ("acoustic",)
    lowest_midi: int = 40
    highest_midi: int = 88
    max_files: int | None = None

    def reason_against(self, note: dict[str, Any]) -> str | None:
        """Why a note is left out; None where it is kept."""
        if note["instrument_family_str"] not in self.families:
            return "of other families"
        if note["instrument_source_str"] not in self.sources:
            return "from other sources"
        if not self.lowest_midi <= note["pitch"] <= self.highest_midi:
            return f"outside of MIDI {self.lowest_midi} to {self.highest_midi}"
        if note["qualities"][REVERB] or note["qualities"][TEMPO_SYNCED]:
            return "with reverb or a sequence in them"
        return None


def folders_of(root: Path) -> dict[str | None, Path]:
    """Folders with an ``examples.json`` by split; a folder that is not one of several has the split None."""
    if (root / EXAMPLES).is_file():
        return {None: root}
    return {
        path.parent.name.removeprefix("nsynth-"): path.parent
        for path in sorted(root.glob(f"nsynth-*/{EXAMPLES}"))
    }


def find_notes(root: Path, wanted: NoteFilter) -> dict[str, Recording]:
    """The notes of an NSynth folder by name, in the order of its files.

    The tags of each are its ``midi``, ``velocity``, ``instrument`` and ``split``. Says how many notes the
    filter left out. A note whose audio is missing, or of which something else was said than NSynth says, is
    among them: preparation lists it as rejected.

    Raises:
        FileNotFoundError: No ``examples.json`` in the folder or its ``nsynth-<split>``.
        ValueError: A file of another form, or no note passes the filter.
    """
    folders = folders_of(root)
    if not folders:
        raise FileNotFoundError(f"{root} is no NSynth folder: it holds no {EXAMPLES} and no nsynth-<split>.")
    found: dict[str, Recording] = {}
    left_out: Counter[str] = Counter()
    for split, folder in folders.items():
        kept = 0
        for name, note in _notes(folder / EXAMPLES).items():
            path = folder / "audio" / f"{name}.wav"
            if fault := _fault_of(name, note):
                found[name] = Recording(path, printable(name), fault=fault)
                continue
            why = wanted.reason_against(note)
            if why is None and kept == wanted.max_files:
                why = f"beyond the first {wanted.max_files} of their split"
            if why is not None:
                left_out[why] += 1
                continue
            kept += 1
            tags = {"midi": note["pitch"], "velocity": note.get("velocity"), "split": split}
            tags["instrument"] = note["instrument_family_str"]
            found[name] = Recording(
                path,
                path.relative_to(root).as_posix(),
                note["instrument_source_str"],
                note.get("instrument_str", name.rsplit("-", 2)[0]),
                tags,
            )
    if left_out:
        said = ", ".join(f"{count} {why}" for why, count in left_out.items())
        _log.info(
            "%s: %d notes kept; left out: %s.", root, sum(not one.fault for one in found.values()), said
        )
    if not found:
        raise ValueError(f"No note of {root} passes the filter {wanted}.")
    return found


def _notes(path: Path) -> dict[str, Any]:
    notes = read_json(path)
    if not isinstance(notes, dict):
        raise ValueError(f"{path} is no examples.json: an object of notes by name is needed.")
    return notes


def _fault_of(name: str, note: object) -> str:
    """What is not as NSynth says it of a note; nothing where all is."""
    if not stays_inside(name):
        return "its name leads out of its folder"
    if not isinstance(note, dict):
        return f"{EXAMPLES} has no object for it"
    for key, (kind, word) in _NEEDED.items():
        if not isinstance(note.get(key), kind) or isinstance(note[key], bool):
            return f"{EXAMPLES} needs its {key}, {word}; it has {note.get(key)!r:.60}"
    if len(note["qualities"]) <= TEMPO_SYNCED:
        return f"{EXAMPLES} needs its qualities, a list of ten; it has {len(note['qualities'])}"
    if not isinstance(note.get("instrument_str", ""), str):
        return f"{EXAMPLES} needs its instrument_str, a text"
    return ""


@dataclass(frozen=True)
class Archives:
    """Where NSynth can be had, as ``nsynth-<split>.jsonwav.tar.gz``.

    Args:
        url: HTTPS address or folder that holds them.
        sha256: Their digests by split, where known; without, the digest that the server states is checked.
    """

    url: str = NSYNTH_URL
    sha256: dict[str, str] = field(default_factory=dict)

    def fetch(self, root: Path, splits: list[str]) -> None:
        """Download and unpack the splits that are not there; goes on where a killed run stopped.

        Args:
            root: Gets a folder ``nsynth-<split>`` for each.
            splits: ``train``, ``valid``, ``test``.
        """
        store = open_store(self.url)
        for split in splits:
            name = f"nsynth-{split}"
            if (root / name / EXAMPLES).is_file():
                continue
            unpacked, archive = root / f".{name}", root / f"{name}.jsonwav.tar.gz"
            if not unpacked.is_dir():
                if not archive.is_file():
                    with (
                        or_own_recordings(_ELSEWHERE),
                        track_bytes(store.stat(archive.name).size, name) as on_bytes,
                    ):
                        download(store, archive.name, archive, self.sha256.get(split), on_bytes=on_bytes)
                unpack(archive, unpacked, must_hold=f"{name}/{EXAMPLES}")
            (unpacked / name).rename(root / name)
            unpacked.rmdir()
            archive.unlink()
