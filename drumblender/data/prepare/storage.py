"""Where data sets lie: an S3-compatible bucket, a plain HTTPS address, the Hugging Face hub, or a folder.

Credentials come from the environment or a ``.env`` file and go nowhere but to the client.
"""

import shutil
from abc import ABC, abstractmethod
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

KEY_NAMES = ("CLOUDFLARE_ACCESS_KEY_ID", "CLOUDFLARE_ACCESS_SECRET_KEY")

BLOCK = 1 << 20
"""Bytes that are read at once."""
TIMEOUT_S = 30


class StorageError(RuntimeError):
    """A store refused, or does not have what was asked for."""


class DroppedError(StorageError):
    """The connection broke; another attempt may go on where it stopped."""


class ChangedError(StorageError):
    """The object is no longer the one that the download began with."""


@dataclass(frozen=True)
class Stat:
    """Size in bytes, a tag that changes with the content, and its MD5 in hexadecimal, if the server says."""

    size: int
    etag: str
    md5: str | None = None


class Store(ABC):
    """Objects by key."""

    @abstractmethod
    def stat(self, key: str) -> Stat:
        """Of one object. Raises StorageError where it is absent or out of reach."""

    @abstractmethod
    def read(self, key: str, start: int, etag: str) -> Iterator[bytes]:
        """Blocks from byte ``start`` on.

        Raises:
            ChangedError: The object has another tag.
            DroppedError: The connection broke.
        """

    def keys(self, prefix: str) -> Iterator[str]:
        """All keys that start with ``prefix``."""
        raise StorageError("A plain HTTPS address cannot be listed: raw sets need a bucket or a folder.")

    def upload(self, path: Path, key: str) -> str:
        """Put a file under a key; returns where it lies."""
        raise StorageError("A plain HTTPS address takes no uploads: set bucket, or a folder as url.")


def open_store(url: str | None, bucket: str | None = None) -> Store:
    """The store at an address.

    Args:
        url: An S3-compatible endpoint (with ``bucket``), ``https://...`` (without), ``hf://owner/name``, or a
            folder.
        bucket: Name of the bucket.

    Raises:
        StorageError: No address; a bucket without credentials.
    """
    # They build on the classes below, and each is imported for its own addresses alone.
    if bucket:
        from drumblender.data.prepare.s3 import S3Store

        return S3Store(url, bucket)
    if not url:
        raise StorageError("No store to fetch from: set url (and bucket), or give raw recordings.")
    if url.startswith(("http://", "https://")):
        from drumblender.data.prepare.https import HttpStore

        return HttpStore(url)
    if url.startswith("hf://"):
        from drumblender.data.prepare.hub import HubStore

        return HubStore(url)
    return FolderStore(Path(url.removeprefix("file://")).expanduser())


class FolderStore(Store):
    """A folder, perhaps of a file server."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def stat(self, key: str) -> Stat:
        path = self.folder / key
        if not path.is_file():
            raise StorageError(f"{path} does not exist.")
        status = path.stat()
        return Stat(status.st_size, f"{status.st_mtime_ns}-{status.st_size}")

    def read(self, key: str, start: int, etag: str) -> Iterator[bytes]:
        if self.stat(key).etag != etag:
            raise ChangedError(f"{self.folder / key} changed while it was read.")
        with (self.folder / key).open("rb") as file:
            file.seek(start)
            while block := file.read(BLOCK):
                yield block

    def keys(self, prefix: str) -> Iterator[str]:
        for path in sorted(self.folder.rglob("*")):
            key = path.relative_to(self.folder).as_posix()
            if path.is_file() and key.startswith(prefix):
                yield key

    def upload(self, path: Path, key: str) -> str:
        from drumblender.atomic import atomic_write

        target = self.folder / key
        with atomic_write(target) as aside:
            shutil.copyfile(path, aside)
        return str(target)


def of_status(status: int, address: str) -> StorageError:
    if status == 412:
        return ChangedError(f"{address} changed while it was read.")
    if status >= 500 or status in (408, 429):
        return DroppedError(f"{address}: the server is busy or broken (HTTP {status}).")
    meaning = {
        401: f"the server wants credentials (HTTP 401): set {' and '.join(KEY_NAMES)}",
        403: f"access denied (HTTP 403); {' and '.join(KEY_NAMES)} belong to another bucket, or are not set",
        404: "does not exist (HTTP 404)",
    }
    return StorageError(f"{address}: {meaning.get(status, f'the server refused (HTTP {status})')}.")
