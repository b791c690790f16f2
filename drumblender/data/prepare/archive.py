"""A prepared folder as one ``.tar.gz``, and back: the whole folder appears, or nothing does.

Foreign recordings may come as ``.zip`` too.
"""

import gzip
import shutil
import tarfile
import zipfile
import zlib
from pathlib import Path, PurePosixPath

from drumblender.atomic import PART, atomic_write

_BLOCK = 1 << 20


class ArchiveError(ValueError):
    """An archive that was refused."""


def pack(folder: Path, path: Path) -> Path:
    """Pack what a folder holds, by names relative to it, without hidden and unfinished files.

    Raises:
        ArchiveError: The archive would lie inside the folder.
    """
    if path.absolute().is_relative_to(folder.absolute()):
        raise ArchiveError(f"{path} lies inside {folder}, which it would pack: name another place.")
    files = sorted(file for file in folder.rglob("*") if file.is_file() and not file.name.startswith("."))
    # Level 1: noise-like float samples shrink no further at 9, which takes five times as long.
    with atomic_write(path) as aside, tarfile.open(aside, "w:gz", compresslevel=1) as archive:
        for file in files:
            archive.add(file, file.relative_to(folder).as_posix(), filter=_anonymous)
    return path


def _anonymous(member: tarfile.TarInfo) -> tarfile.TarInfo:
    member.uid = member.gid = 0
    member.uname = member.gname = ""
    return member


def unpack(path: Path, folder: Path, must_hold: str | None = None) -> None:
    """Unpack an archive beside ``folder`` and rename the result to it.

    Args:
        path: A ``.tar.gz`` or a ``.zip``.
        folder: Must not exist, or be empty.
        must_hold: A file that the archive must bring, such as the manifest; None for any.

    Raises:
        ArchiveError: Corrupt or truncated, with a path outside its folder, or without ``must_hold``. Nothing
            of it is left.
        FileExistsError: The folder holds something.
    """
    if folder.is_dir() and any(folder.iterdir()):
        raise FileExistsError(
            f"{folder} holds files but no complete data set: empty it or name another data_dir."
        )
    aside = folder.with_name(f".{folder.name}{PART}")
    shutil.rmtree(aside, ignore_errors=True)  # of a killed run
    aside.mkdir(parents=True)
    try:
        (_extract_zip if path.suffix.lower() == ".zip" else _extract)(path, aside)
        if must_hold is not None and not (aside / must_hold).is_file():
            raise ArchiveError(f"{path} holds no {must_hold}: it is no archive of this data set.")
        if folder.is_dir():
            folder.rmdir()
        aside.rename(folder)
    finally:
        shutil.rmtree(aside, ignore_errors=True)


def _extract(path: Path, folder: Path) -> None:
    try:
        with gzip.open(path) as stream:
            with tarfile.open(fileobj=stream, mode="r|") as archive:
                for member in archive:
                    _check_name(path, member.name)
                    archive.extract(member, folder, filter="data")
            while stream.read(_BLOCK):  # to the end, where gzip keeps its checksum
                pass
    except tarfile.FilterError as error:
        raise ArchiveError(f"{path} is refused: {error}.") from error
    except (tarfile.TarError, EOFError, gzip.BadGzipFile, zlib.error) as error:
        raise ArchiveError(
            f"{path} is corrupt or truncated ({error}): delete it and fetch it again."
        ) from error


def _extract_zip(path: Path, folder: Path) -> None:
    """As files and folders alone: zipfile makes no links."""
    try:
        with zipfile.ZipFile(path) as archive:
            for member in archive.infolist():
                _check_name(path, member.filename)
                archive.extract(member, folder)  # checks the CRC of each
    except (zipfile.BadZipFile, EOFError, zlib.error, NotImplementedError) as error:
        raise ArchiveError(
            f"{path} is corrupt or truncated ({error}): delete it and fetch it again."
        ) from error


def _check_name(path: Path, name: str) -> None:
    """The data filter would strip the slash of an absolute name; a name like that is no accident."""
    parts = name.replace("\\", "/").split("/")  # a backslash parts names on some systems
    if PurePosixPath(name).is_absolute() or ".." in parts:
        raise ArchiveError(f"{path} is refused: {name!r} lies outside the folder.")
