"""Downloads that go on where they stopped: archives, raw sets; and uploads."""

import errno
import logging
import shutil
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from drumblender.atomic import PART, digest_of, sha256_of, sync
from drumblender.console import track, track_bytes
from drumblender.data.prepare.archive import unpack
from drumblender.data.prepare.raw import packs_of
from drumblender.data.prepare.storage import ChangedError, DroppedError, StorageError, Store, open_store

_log = logging.getLogger(__name__)

ATTEMPTS = 5
_AT_ONCE = 8
_UNFINISHED = f".download{PART}"


def download(
    store: Store,
    key: str,
    target: Path,
    sha256: str | None = None,
    wait_s: float = 1.0,
    on_bytes: Callable[[int], None] = lambda count: None,
) -> Path:
    """Fetch one object; after a dropped connection, or a killed process, go on where it stopped.

    Args:
        store: Where it lies.
        key: Its name there.
        target: Where it goes; appears when whole.
        sha256: Its digest, where known.
        wait_s: Before the second attempt; doubled with each that brings nothing.
        on_bytes: Told the size of each block that arrives.

    Raises:
        StorageError: Absent, refused, out of reach, no room on the disk, or another digest.
    """
    stat = store.stat(key)
    part, tag = target.with_name(f".{target.name}{PART}"), target.with_name(f".{target.name}.etag")
    target.parent.mkdir(parents=True, exist_ok=True)
    if not (part.is_file() and tag.is_file() and tag.read_text() == stat.etag and _size(part) <= stat.size):
        part.unlink(missing_ok=True)
        tag.write_text(stat.etag)
    if _size(part):
        _log.info("Going on with %s at %d of %d bytes.", target.name, _size(part), stat.size)
        on_bytes(_size(part))
    _check_room(target, stat.size - _size(part))
    fruitless = 0
    while (start := _size(part)) < stat.size:
        try:
            _append(store.read(key, start, stat.etag), part, on_bytes)
        except ChangedError:
            part.unlink(missing_ok=True)
            raise
        except DroppedError as error:
            fruitless = 0 if _size(part) > start else fruitless + 1
            if fruitless == ATTEMPTS:
                raise StorageError(
                    f"{error} Gave up after {ATTEMPTS} attempts; the next run goes on."
                ) from error
            time.sleep(wait_s * 2**fruitless)
    part.touch()  # an empty object has brought no block
    _check_digest(part, key, sha256, stat.md5)
    sync(part)
    part.replace(target)
    tag.unlink()
    return target


def _check_digest(part: Path, key: str, sha256: str | None, md5: str | None) -> None:
    """Compare with the digest that is known, or else with the one that the server states."""
    if sha256 is not None:
        known, found, name = sha256.lower(), sha256_of(part), "sha256"
    elif md5 is not None:
        known, found, name = md5, digest_of(part, "md5"), "md5"
    else:
        return
    if known != found:
        part.unlink()
        raise StorageError(f"{key} is not the file expected ({name} differs); what came was deleted.")


def _append(blocks: Iterator[bytes], part: Path, on_bytes: Callable[[int], None]) -> None:
    before = _size(part)
    try:
        with part.open("ab") as file:
            for block in blocks:
                file.write(block)
                on_bytes(len(block))
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            raise StorageError(f"The disk of {part.parent} is full; free some and run again.") from error
        raise
    if _size(part) == before:
        raise DroppedError(f"{part.name}: the server sent nothing.")


def _size(path: Path) -> int:
    return path.stat().st_size if path.is_file() else 0


def _check_room(target: Path, needed: int) -> None:
    free = shutil.disk_usage(target.parent).free
    if needed > free:
        raise StorageError(
            f"{target.name} needs {needed / 1e6:.0f} MB; {target.parent} has {free / 1e6:.0f} MB free."
        )


@dataclass(frozen=True)
class Remote:
    """Where a data set can be had.

    Args:
        url: Endpoint, HTTPS address or folder.
        bucket: Bucket at the endpoint.
        archive: Name of the archive of the prepared folder.
        sha256: Digest of the archive, where known.
    """

    url: str | None = None
    bucket: str | None = None
    archive: str | None = None
    sha256: str | None = None

    def fetch_archive(self, folder: Path, meta_file: str | None = None) -> None:
        """Download the archive beside ``folder``, unless it lies there, and unpack it to ``folder``.

        Args:
            folder: Must not exist, or be empty.
            meta_file: A file that the archive must bring.

        Raises:
            StorageError: It cannot be had; says how to use recordings of one's own instead.
        """
        path = folder.parent / Path(self.archive).name
        if not path.is_file():
            with or_own_recordings():
                store = open_store(self.url, self.bucket)
                with track_bytes(store.stat(self.archive).size, path.name) as on_bytes:
                    download(store, self.archive, path, self.sha256, on_bytes=on_bytes)
        elif self.sha256 and sha256_of(path) != self.sha256.lower():
            raise StorageError(f"{path} is another archive (other sha256): remove it to download it anew.")
        unpack(path, folder, must_hold=meta_file)

    def fetch_raw(self, folder: Path, meta_file: str) -> None:
        """Download a raw set: its metadata, then all that its packs name.

        Nothing is done where the folder is there, or no store is known.
        """
        unfinished = folder / _UNFINISHED
        if not (self.url or self.bucket) or (folder.is_dir() and not unfinished.exists()):
            return
        with or_own_recordings():
            store = open_store(self.url, self.bucket)
            metadata = store.stat(meta_file)  # fails before anything is made
        folder.mkdir(parents=True, exist_ok=True)
        unfinished.touch()
        if _size(folder / meta_file) != metadata.size:
            download(store, meta_file, folder / meta_file)
        keys = list(_raw_keys(store, folder / meta_file))
        missing = [key for key in keys if not (folder / key).is_file()]
        with ThreadPoolExecutor(_AT_ONCE) as pool:
            fetched = pool.map(lambda key: download(store, key, _inside(folder, key)), missing)
            for _ in track(fetched, len(missing), "raw recordings"):
                pass
        unfinished.unlink()

    def upload(self, path: str) -> str:
        """Put a file under the key of its path as given (under its name alone where that is absolute)."""
        file = Path(path)
        if not file.is_file():
            raise StorageError(f"{path} does not exist: nothing to upload.")
        return open_store(self.url, self.bucket).upload(
            file, file.name if file.is_absolute() else file.as_posix()
        )


_OWN = (
    "With recordings of your own: drumblender-dataset cfg/data/folder.yaml --data.raw_dir DIR "
    "--data.data_dir DIR."
)


@contextmanager
def or_own_recordings(instead: str = _OWN) -> Iterator[None]:
    """Adds to what a store says, when a set cannot be had, what else there is to do."""
    try:
        yield
    except StorageError as error:
        raise type(error)(f"{error} {instead}") from error


def _raw_keys(store: Store, meta_path: Path) -> Iterator[str]:
    for pack, _, path, _ in packs_of(meta_path):
        keys = [key for key in store.keys(f"{path.rstrip('/')}/") if not key.endswith("/")]
        if not keys:
            _log.warning("Pack %s names the folder %s, which holds nothing in the store.", pack, path)
        yield from keys


def _inside(folder: Path, key: str) -> Path:
    """Where an object goes; a key is as little to be trusted as a name in an archive."""
    target = (folder / key).resolve()
    if not target.is_relative_to(folder.resolve()):
        raise StorageError(f"The object {key!r} would be written outside {folder}: refused.")
    return target
