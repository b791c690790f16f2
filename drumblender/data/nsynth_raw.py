"""NSynth as it is published: folders of notes with an ``examples.json``, and where they can be had."""

import logging
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from drumblender.atomic import read_json
from drumblender.console import track_bytes
from drumblender.data.prepare.archive import unpack
from drumblender.data.prepare.fetch import download
from drumblender.data.prepare.raw import Recording
from drumblender.data.prepare.storage import open_store

_log = logging.getLogger(__name__)

EXAMPLES = "examples.json"
REVERB, TEMPO_SYNCED = 8, 9
"""Places of two qualities in NSynth's list of ten: such notes hold more than one pluck."""


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
    filter left out. A note whose audio is missing is among them: preparation lists it as rejected.

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
            why = wanted.reason_against(note)
            if why is None and kept == wanted.max_files:
                why = f"beyond the first {wanted.max_files} of their split"
            if why is not None:
                left_out[why] += 1
                continue
            kept += 1
            path = folder / "audio" / f"{name}.wav"
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
        _log.info("%s: %d notes kept; left out: %s.", root, len(found), said)
    if not found:
        raise ValueError(f"No note of {root} passes the filter {wanted}.")
    return found


def _notes(path: Path) -> dict[str, dict[str, Any]]:
    notes = read_json(path)
    needed = {"pitch", "instrument_family_str", "instrument_source_str", "qualities"}
    if not isinstance(notes, dict):
        raise ValueError(f"{path} is no examples.json: an object of notes by name is needed.")
    for name, note in notes.items():
        if not isinstance(note, dict) or not needed <= set(note) or len(note["qualities"]) <= TEMPO_SYNCED:
            raise ValueError(f"{path}: note {name!r} needs {', '.join(sorted(needed))} (ten of these).")
    return notes


def fetch_nsynth(root: Path, url: str, splits: list[str], sha256: dict[str, str] | None = None) -> None:
    """Download and unpack the archives of the splits that are not there; goes on where a killed run stopped.

    Args:
        root: Gets a folder ``nsynth-<split>`` for each.
        url: Where ``nsynth-<split>.jsonwav.tar.gz`` lie.
        splits: ``train``, ``valid``, ``test``.
        sha256: Digests of the archives by split, where known.
    """
    store = open_store(url)
    for split in splits:
        name = f"nsynth-{split}"
        if (root / name / EXAMPLES).is_file():
            continue
        unpacked, archive = root / f".{name}", root / f"{name}.jsonwav.tar.gz"
        if not unpacked.is_dir():
            if not archive.is_file():
                with track_bytes(store.stat(archive.name).size, archive.name) as on_bytes:
                    download(store, archive.name, archive, (sha256 or {}).get(split), on_bytes=on_bytes)
            unpack(archive, unpacked, must_hold=f"{name}/{EXAMPLES}")
        (unpacked / name).rename(root / name)
        unpacked.rmdir()
        archive.unlink()
