"""Finds the raw recordings and what is known of each: from a metadata file, a CSV or names of sub-folders."""

import csv
import hashlib
import logging
import os
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from drumblender.atomic import read_json
from drumblender.audio_io import AUDIO_SUFFIXES

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Recording:
    """A raw file. The attributes are those of ``manifest.Item``; ``source`` is relative to the raw folder."""

    path: Path
    source: str
    type: str = "unknown"
    sample_pack_key: str = ""
    tags: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Labels:
    """How a plain folder says what its recordings are.

    Args:
        levels: What the names of the sub-folders mean, outermost first: ``type``, ``sample_pack_key``, or any
            tag, such as ``instrument``. Levels that a file lacks are not set.
        csv: A table of the recordings, relative to the raw folder. Then only those it names are taken, and
            its columns go before the names of sub-folders.
        file_column: Column with the path of the recording, relative to the raw folder.
        columns: What other columns mean: type, sample_pack_key or a tag -> name of the column.
    """

    levels: tuple[str, ...] = ("type", "instrument")
    csv: str | None = None
    file_column: str = "file"
    columns: dict[str, str] = field(default_factory=dict)


def str2int(text: str) -> int:
    """SHA-1 of the text as an integer, modulo 2^32 - 1: how the published sets name their files."""
    return int(hashlib.sha1(text.encode()).hexdigest(), 16) % (2**32 - 1)


def keyed(recordings: list[Recording], raw_dir: Path) -> dict[str, Recording]:
    """Recordings by key, which is made from the path below the parent of ``raw_dir``.

    The same folder gives the same keys wherever it stands. Where two paths share a number, the later in order
    takes another.
    """
    folder = Path(os.path.abspath(raw_dir)).name  # noqa: PTH100  no symbolic link is followed
    by_key: dict[str, Recording] = {}
    for recording in recordings:
        text = f"{folder}/{recording.source}"
        while (key := str(str2int(text))) in by_key:
            text += "'"
        by_key[key] = recording
    return by_key


def find_recordings(raw_dir: Path, meta_file: str, labels: Labels) -> list[Recording]:
    """All recordings of a raw folder, in order of their names, including those that are named but missing.

    Args:
        raw_dir: A published raw set, which holds ``meta_file``, or any folder of sound files.
        meta_file: JSON ``{pack: {type, folders}}``.
        labels: For a plain folder.

    Raises:
        FileNotFoundError: No such folder, or no such CSV.
        ValueError: No recordings; a metadata file or CSV of another form.
    """
    if not raw_dir.is_dir():
        raise FileNotFoundError(f"No folder of raw recordings {raw_dir}; give one with --data.raw_dir.")
    if (raw_dir / meta_file).is_file():
        found = list(_of_packs(raw_dir, raw_dir / meta_file))
    elif labels.csv is not None:
        found = list(_of_table(raw_dir, labels))
    else:
        found = [_of_folder(raw_dir, path, labels) for path in sound_files(raw_dir)]
    by_source = {recording.source: recording for recording in found}  # the last word on a file counts
    if not by_source:
        raise ValueError(f"{raw_dir} holds no recordings ({', '.join(sorted(AUDIO_SUFFIXES))}).")
    return list(by_source.values())


def sound_files(folder: Path) -> list[Path]:
    """Files below a folder whose suffix is that of a sound file, sorted; hidden ones are left out."""
    return sorted(
        path
        for path in folder.rglob("*")
        if path.suffix.lower() in AUDIO_SUFFIXES and not path.name.startswith(".")
    )


def _of_packs(raw_dir: Path, meta_path: Path) -> Iterator[Recording]:
    """The published raw layout: folders by pack, with a type each and tags for each folder."""
    for pack, entry in read_json(meta_path).items():
        if not isinstance(entry, dict) or not {"type", "folders"} <= set(entry):
            raise ValueError(f"{meta_path}: pack {pack!r} needs a type and folders.")
        for path, tags in pack_folders(entry["folders"]):
            files = sound_files(raw_dir / path)
            if not files:
                _log.warning("Pack %s names the folder %s, which holds no recordings.", pack, path)
            for file in files:
                yield Recording(file, _source(raw_dir, file), entry["type"], pack, tags)


def pack_folders(folders: list[str] | dict[str, dict[str, Any]]) -> list[tuple[str, dict[str, Any]]]:
    """Path and tags of each folder of a pack, from either form of the metadata file."""
    if isinstance(folders, dict):
        return [
            (entry["path"], {name: tag for name, tag in entry.items() if name != "path"})
            for entry in folders.values()
        ]
    return [(path, {}) for path in folders]


def _of_table(raw_dir: Path, labels: Labels) -> Iterator[Recording]:
    table = raw_dir / labels.csv
    if not table.is_file():
        raise FileNotFoundError(f"No label table {table}.")
    with table.open(newline="", encoding="utf-8-sig") as file:
        rows = csv.DictReader(file)
        for column in (labels.file_column, *labels.columns.values()):
            if column not in (rows.fieldnames or ()):
                there = ", ".join(rows.fieldnames or ()) or "none"
                raise ValueError(f"{table} has no column {column!r}; its columns: {there}.")
        named = {}
        for row in rows:
            path = raw_dir / row[labels.file_column]
            said = {name: row[column] for name, column in labels.columns.items() if row[column]}
            named[path] = _of_folder(raw_dir, path, labels, said)
    unnamed = len(set(sound_files(raw_dir)) - named.keys())
    if unnamed:
        _log.warning("%d recordings of %s are not in %s and are left out.", unnamed, raw_dir, table.name)
    yield from (named[path] for path in sorted(named))


def _of_folder(raw_dir: Path, path: Path, labels: Labels, said: dict[str, str] | None = None) -> Recording:
    """What the names of the sub-folders say, and on top what a table said."""
    source = _source(raw_dir, path)
    parents = Path(source).parent.parts
    tags: dict[str, Any] = dict(zip(labels.levels, parents, strict=False)) | (said or {})
    kind = tags.pop("type", "unknown")
    pack = tags.pop("sample_pack_key", "/".join(parents) or raw_dir.name)
    return Recording(path, source, kind, pack, tags)


def _source(raw_dir: Path, path: Path) -> str:
    return Path(os.path.relpath(path, raw_dir)).as_posix()
