"""What a prepared folder holds: one JSON file, written when all the rest is there.

A folder is complete when its manifest is there and no journal is. While a folder is being prepared, every
finished file is a line of the journal, so that a killed run goes on where it stopped.
"""

import gc
import json
import os
import re
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath, PureWindowsPath
from typing import Any, TextIO

from drumblender.atomic import atomic_write, read_json, write_json

JOURNAL = ".journal.jsonl"
REJECTED = "rejected.json"
SETTINGS = "prepared.json"


@dataclass(frozen=True)
class Item:
    """One prepared recording. Files are named relative to the prepared folder.

    What the published data sets do not say is None.

    Attributes:
        filename: The audio.
        type: What splits and filters call its kind: acoustic, electronic.
        sample_pack_key: The pack or kit it came in; one pack never lies in two splits.
        feature_file: What the analysis found.
        source: The raw recording it was made from, relative to the raw folder.
        source_sha256: Digest of that recording when it was prepared.
        sha256: Digest of the audio file.
        feature_sha256: Digest of the feature file.
        sample_rate: Samples a second.
        num_samples: Length.
        tags: Everything else that is known, such as ``instrument``.
    """

    filename: str
    type: str = "unknown"
    sample_pack_key: str = ""
    feature_file: str | None = None
    source: str | None = None
    source_sha256: str | None = None
    sha256: str | None = None
    feature_sha256: str | None = None
    sample_rate: int | None = None
    num_samples: int | None = None
    tags: dict[str, Any] = field(default_factory=dict)

    @classmethod
    def from_json(cls, entry: Any) -> "Item":
        """From one flat entry of a manifest: names that are no attribute are tags.

        Raises:
            ValueError: No such entry, or one that names a file outside of the folder; says which value.
        """
        if not isinstance(entry, dict) or entry.get("filename") is None:
            raise ValueError("has no filename")
        known, tags = {}, {}
        for name, value in entry.items():
            kind = _KINDS.get(name)
            if kind is None:
                tags[name] = value
            elif value is not None:
                if type(value) is not kind:  # not isinstance: true is no number
                    raise ValueError(f"has the {name} {value!r:.60}, which is no {_WORDS[kind]}")
                known[name] = value
        for name in ("filename", "feature_file"):
            if name in known and not stays_inside(known[name]):
                raise ValueError(f"has the {name} {entry[name]!r:.60}, which leads out of the folder")
        item = object.__new__(cls)  # a frozen __init__ sets field by field: a third of what a large set takes
        vars(item).update(known, tags=tags)
        return item

    def to_json(self) -> dict[str, Any]:
        """The flat entry, without what is not known."""
        own = {name: getattr(self, name) for name in self.__dataclass_fields__ if name != "tags"}
        return {name: value for name, value in own.items() if value is not None} | self.tags


_KINDS = {
    "filename": str,
    "type": str,
    "sample_pack_key": str,
    "feature_file": str,
    "source": str,
    "source_sha256": str,
    "sha256": str,
    "feature_sha256": str,
    "sample_rate": int,
    "num_samples": int,
}
_WORDS = {str: "text", int: "whole number"}


_PLAIN = re.compile(r"\w[\w-]*(/\w[\w-]*)*(\.\w+)?")
"""Names that need no closer look, as those of all that was prepared: a hundred thousand of them take time."""


def stays_inside(name: str) -> bool:
    """Whether a name from a file stays below the folder that it is joined to, on any system.

    Examples:
        >>> [stays_inside(name) for name in ("audio/1.wav", "../1.wav", "/etc/1.wav", "C:1.wav", "")]
        [True, False, False, False, False]
    """
    if _PLAIN.fullmatch(name):
        return True
    windows = PureWindowsPath(name)
    parts = {*PurePosixPath(name).parts, *windows.parts}
    return bool(parts) and not (windows.anchor or name.startswith("/") or ".." in parts or "\0" in name)


Manifest = dict[str, Item]
"""Items by key, in the order that splits depend on."""


@dataclass(frozen=True)
class Rejected:
    """A recording that was left out, and why."""

    source: str
    reason: str

    @classmethod
    def from_json(cls, entry: Any, place: str) -> "Rejected":
        """From an object ``{source, reason}``. Raises ValueError, with the place, for another."""
        said = [entry.get(name) for name in ("source", "reason")] if isinstance(entry, dict) else [None]
        if not all(isinstance(text, str) for text in said):
            raise ValueError(f"{place} needs a source and a reason.")
        return cls(*said)


def load_manifest(path: Path) -> Manifest:
    """Items of a prepared folder, ours or a published one.

    Raises:
        FileNotFoundError: There is none.
        ValueError: Not the JSON of a manifest; names the file and the entry.
    """
    with _no_collection():
        entries = read_json(path)
        if not isinstance(entries, dict):
            raise ValueError(f"{path} is no manifest: an object of items by key is needed.")
        return {key: _item(path, key, entry) for key, entry in entries.items()}


def _item(path: Path, key: str, entry: Any) -> Item:
    if not stays_inside(key):  # names of files are made of it
        raise ValueError(f"{path}: the key {key!r:.60} leads out of the folder and is refused.")
    try:
        return Item.from_json(entry)
    except ValueError as error:
        raise ValueError(f"{path} is no manifest: its entry {key!r:.60} {error}.") from error


@contextmanager
def _no_collection() -> Iterator[None]:
    """Without looking for garbage again and again while much is made that stays."""
    was_on = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_on:
            gc.enable()


def save_manifest(path: Path, manifest: Manifest) -> None:
    write_json(path, {key: item.to_json() for key, item in manifest.items()})


def save_rejected(folder: Path, rejected: Iterable[Rejected]) -> None:
    """List what was left out, by name of the recording."""
    listed = sorted(rejected, key=lambda one: one.source)
    write_json(folder / REJECTED, [{"source": one.source, "reason": one.reason} for one in listed])


def load_rejected(folder: Path) -> list[Rejected]:
    """What was left out; nothing where no list is.

    Raises:
        ValueError: The list has another form; names it and the entry.
    """
    path = folder / REJECTED
    entries = read_json(path) if path.exists() else []
    if not isinstance(entries, list):
        raise ValueError(f"{path} is no list of rejected recordings.")
    return [Rejected.from_json(entry, f"{path}, entry {number}") for number, entry in enumerate(entries, 1)]


class Journal:
    """The diary of a preparation: a line for each finished file, behind a line with the settings.

    Args:
        folder: The prepared folder, made where absent.
        settings: What the result depends on. A journal with others cannot be continued.

    Raises:
        ValueError: A run with other settings was interrupted here.
    """

    def __init__(self, folder: Path, settings: dict[str, Any]) -> None:
        self.path = folder / JOURNAL
        self.done: dict[str, Item | Rejected] = {}
        folder.mkdir(parents=True, exist_ok=True)
        lines = _whole_lines(self.path)
        if lines and lines[0] != settings:
            changed = sorted(name for name in settings | lines[0] if settings.get(name) != lines[0].get(name))
            raise ValueError(
                f"{folder} was left half prepared with other settings ({', '.join(changed)}). "
                "Give those again, or delete the folder."
            )
        for number, line in enumerate(lines[1:], 2):
            self.done[line.get("key")] = self._result(line, f"{self.path}, line {number},")
        with atomic_write(self.path) as aside:  # anew: a line cut by a crash would spoil the next one
            aside.write_text(
                "".join(json.dumps(line) + "\n" for line in lines or [settings]), encoding="utf-8"
            )
        self._file: TextIO = self.path.open("a", encoding="utf-8")

    @staticmethod
    def _result(line: dict[str, Any], place: str) -> Item | Rejected:
        try:
            if "item" in line:
                return Item.from_json(line["item"])
            return Rejected.from_json(line.get("rejected"), "it")
        except ValueError as error:
            raise ValueError(
                f"{place} is damaged ({error}): delete the file, and work starts anew."
            ) from error

    def add(self, key: str, result: Item | Rejected) -> None:
        """Note a finished file."""
        self.done[key] = result
        if isinstance(result, Item):
            self._write({"key": key, "item": result.to_json()})
        else:
            self._write({"key": key, "rejected": {"source": result.source, "reason": result.reason}})

    def _write(self, line: dict[str, Any]) -> None:
        self._file.write(json.dumps(line) + "\n")
        self._file.flush()

    def close(self) -> None:
        """Keep the journal for the next run."""
        os.fsync(self._file.fileno())
        self._file.close()

    def finish(self) -> None:
        """Everything is in the manifest."""
        self._file.close()
        self.path.unlink()


def interrupted(folder: Path) -> dict[str, Any] | None:
    """The settings of a preparation that was killed in this folder; None where none was."""
    lines = _whole_lines(folder / JOURNAL)
    return lines[0] if lines else None


def _whole_lines(path: Path) -> list[dict[str, Any]]:
    """The lines of a journal but a last one that a crash cut."""
    lines = []
    if path.is_file():
        for text in path.read_text(encoding="utf-8", errors="replace").splitlines():
            try:
                line = json.loads(text)
            except (ValueError, RecursionError):
                break
            if not isinstance(line, dict):
                break
            lines.append(line)
    return lines
