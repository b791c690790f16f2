"""Finds the raw recordings and what is known of each: from a metadata file, a CSV or names of sub-folders."""

import csv
import hashlib
import logging
import os
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from drumblender.atomic import read_json, read_text, sha256_of
from drumblender.data.prepare.manifest import stays_inside
from drumblender.sound_files import READABLE, find_sounds, printable

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Recording:
    """A raw file. The attributes are those of ``manifest.Item``, and ``fault``.

    ``source`` is relative to the raw folder, and printable: it tells which file it was, it does not open it.
    ``fault`` is what is wrong with what was said of it: it is then rejected for that reason, and not read.
    """

    path: Path
    source: str
    type: str = "unknown"
    sample_pack_key: str = ""
    tags: dict[str, Any] = field(default_factory=dict)
    fault: str = ""

    def digest(self) -> str | None:
        """SHA-256 of the file; None for what is made up, or is not there."""
        return sha256_of(self.path) if self.path.is_file() else None


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
    folder = printable(Path(os.path.abspath(raw_dir)).name)  # noqa: PTH100  no symbolic link is followed
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
        found = [_of_folder(raw_dir, path, labels) for path in find_sounds(raw_dir)]
    by_path = {recording.path: recording for recording in found}  # the last word on a file counts
    if not by_path:
        raise ValueError(f"{raw_dir} holds no recordings ({', '.join(sorted(READABLE))}).")
    return list(by_path.values())


def _of_packs(raw_dir: Path, meta_path: Path) -> Iterator[Recording]:
    """The published raw layout: folders by pack, with a type each and tags for each folder."""
    for pack, kind, path, tags in packs_of(meta_path):
        files = find_sounds(raw_dir / path) if (raw_dir / path).is_dir() else []
        if not files:
            _log.warning("Pack %s names the folder %s, which holds no recordings.", pack, path)
        for file in files:
            yield Recording(file, _source(raw_dir, file), kind, pack, tags)


def packs_of(meta_path: Path) -> Iterator[tuple[str, str, str, dict[str, Any]]]:
    """Pack, type, path and tags of each folder that a published metadata file names, in either of its forms.

    Raises:
        ValueError: A file of another form, or a path that leads out of the raw folder; names the pack.
    """
    packs = read_json(meta_path)
    if not isinstance(packs, dict):
        raise ValueError(f"{meta_path} names no packs: an object {{pack: {{type, folders}}}} is needed.")
    for pack, entry in packs.items():
        if not isinstance(entry, dict) or not isinstance(entry.get("type"), str) or "folders" not in entry:
            raise ValueError(f"{meta_path}: pack {pack!r} needs a type and folders.")
        folders = entry["folders"]
        if isinstance(folders, list):
            folders = {str(number): {"path": path} for number, path in enumerate(folders)}
        if not isinstance(folders, dict):
            raise ValueError(f"{meta_path}: the folders of pack {pack!r} are no list and no object.")
        for name, folder in folders.items():
            if not isinstance(folder, dict) or not isinstance(folder.get("path"), str):
                raise ValueError(f"{meta_path}: folder {name!r} of pack {pack!r} needs a path.")
            if not stays_inside(folder["path"]):
                raise ValueError(
                    f"{meta_path}: {folder['path']!r} of pack {pack!r} leads out of the raw folder."
                )
            tags = {tag: value for tag, value in folder.items() if tag != "path"}
            yield pack, entry["type"], folder["path"], tags


def _of_table(raw_dir: Path, labels: Labels) -> Iterator[Recording]:
    table = raw_dir / labels.csv
    if not table.is_file():
        raise FileNotFoundError(f"No label table {table}.")
    rows = csv.DictReader(read_text(table).splitlines(keepends=True), strict=True)
    named = {}
    try:
        for column in (labels.file_column, *labels.columns.values()):
            if column not in (rows.fieldnames or ()):
                there = ", ".join(rows.fieldnames or ()) or "none"
                raise ValueError(f"{table} has no column {column!r}; its columns: {there}.")
        for row in rows:
            if not row[labels.file_column] or "\0" in row[labels.file_column]:
                raise ValueError(f"{table}, line {rows.line_num}: {labels.file_column!r} names no file.")
            path = raw_dir / row[labels.file_column]
            said = {name: row[column] for name, column in labels.columns.items() if row[column]}
            named[path] = _of_folder(raw_dir, path, labels, said)
    except csv.Error as error:
        raise ValueError(f"{table}, line {rows.line_num}: {error}.") from error
    unnamed = len(set(find_sounds(raw_dir)) - named.keys())
    if unnamed:
        _log.warning("%d recordings of %s are not in %s and are left out.", unnamed, raw_dir, table.name)
    yield from (named[path] for path in sorted(named))


def _of_folder(raw_dir: Path, path: Path, labels: Labels, said: dict[str, str] | None = None) -> Recording:
    """What the names of the sub-folders say, and on top what a table said."""
    source = _source(raw_dir, path)
    parents = Path(source).parent.parts
    tags: dict[str, Any] = dict(zip(labels.levels, parents, strict=False)) | (said or {})
    kind = tags.pop("type", "unknown")
    pack = tags.pop("sample_pack_key", "/".join(parents) or printable(raw_dir.name))
    return Recording(path, source, kind, pack, tags)


def _source(raw_dir: Path, path: Path) -> str:
    return printable(Path(os.path.relpath(path, raw_dir)).as_posix())
