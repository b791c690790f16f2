"""Files that appear under their name only when whole."""

import errno
import hashlib
import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

PART = ".part"
"""Ends the name of every file that is not whole yet."""


@contextmanager
def atomic_write(path: Path) -> Iterator[Path]:
    """Gives a name beside ``path`` to write to; on success the file is synced and renamed to ``path``.

    After an error nothing is left but what ``path`` held before.

    Raises:
        OSError: The disk is full, or the folder cannot be written; names the file.

    >>> import tempfile
    >>> file = Path(tempfile.mkdtemp()) / "a.txt"
    >>> with atomic_write(file) as aside:
    ...     _ = aside.write_text("whole")
    >>> file.read_text()
    'whole'
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    aside = path.with_name(f".{path.name}.{os.getpid()}{PART}")
    try:
        yield aside
        sync(aside)
        aside.replace(path)
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT) and not error.filename:
            raise OSError(error.errno, error.strerror, str(path)) from error  # write() does not say where
        raise
    finally:
        aside.unlink(missing_ok=True)


def sync(path: Path) -> None:
    """Wait until the file is on the disk, so that a rename never outruns its content."""
    with path.open("rb+") as file:
        os.fsync(file.fileno())


def write_json(path: Path, value: Any) -> None:
    """Readable JSON, whole or not at all. What of a text is no Unicode stays as an escape."""
    text = json.dumps(value, indent=1, ensure_ascii=False) + "\n"
    with atomic_write(path) as aside:
        aside.write_text(text, encoding="utf-8", errors="backslashreplace")


def read_json(path: Path) -> Any:
    """The value of a JSON file.

    Raises:
        FileNotFoundError: There is none.
        ValueError: It is no JSON; names the file and the place.
    """
    try:
        return json.loads(read_text(path))
    except (ValueError, RecursionError) as error:  # RecursionError: a thousand brackets
        reason = str(error).removeprefix(f"{path} ")
        raise ValueError(f"{path} is no JSON: {reason.rstrip('.')}.") from error


def read_text(path: Path) -> str:
    """A text file in UTF-8, with or without byte order mark.

    Raises:
        FileNotFoundError: There is none.
        ValueError: It is a folder, a pipe or a device, or no UTF-8; names it.
    """
    if path.exists() and not path.is_file():  # a pipe would be waited for
        raise ValueError(f"{path} is no regular file.")
    try:
        return path.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError as error:
        raise ValueError(f"{path} is no UTF-8 text (byte {error.start}): save it as UTF-8.") from error


def sha256_of(path: Path) -> str:
    """Hexadecimal digest of a file's bytes."""
    return digest_of(path, "sha256")


def digest_of(path: Path, algorithm: str) -> str:
    """Hexadecimal digest of a file's bytes, by the name that hashlib has for it."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, algorithm).hexdigest()
