"""Where data sets lie: an S3-compatible bucket, a plain HTTPS address, the Hugging Face hub, or a folder.

Credentials come from the environment or a ``.env`` file and go nowhere but to the client.
"""

import base64
import os
import re
import shutil
import urllib.error
import urllib.request
from abc import ABC, abstractmethod
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import quote

KEY_NAMES = ("CLOUDFLARE_ACCESS_KEY_ID", "CLOUDFLARE_ACCESS_SECRET_KEY")

BLOCK = 1 << 20
"""Bytes that are read at once."""
_TIMEOUT_S = 30


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
    if bucket:
        return S3Store(url, bucket)
    if not url:
        raise StorageError("No store to fetch from: set url (and bucket), or give raw recordings.")
    if url.startswith(("http://", "https://")):
        return HttpStore(url)
    if url.startswith("hf://"):
        # It builds on the classes below, and its library is an extra.
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


class HttpStore(Store):
    """Files below an HTTPS address."""

    def __init__(self, url: str) -> None:
        self.url = url.rstrip("/")

    def stat(self, key: str) -> Stat:
        with self._open(key, "HEAD", {}) as response:
            size = response.headers.get("Content-Length")
            etag = response.headers.get("ETag") or response.headers.get("Last-Modified") or f"size-{size}"
            stated = ",".join(response.headers.get_all("x-goog-hash") or ())  # Google's buckets state digests
        if size is None:
            raise StorageError(f"{self.url}/{key}: the server does not say how large it is.")
        md5 = re.search(r"md5=([A-Za-z0-9+/]{22}==)", stated)
        return Stat(int(size), etag, base64.b64decode(md5[1]).hex() if md5 else None)

    def read(self, key: str, start: int, etag: str) -> Iterator[bytes]:
        headers = {"Range": f"bytes={start}-"} if start else {}
        if etag.startswith('"'):
            headers["If-Match"] = etag
        with self._open(key, "GET", headers) as response:
            to_skip = start if response.status == 200 else 0  # a server without ranges starts over
            while block := response.read(BLOCK):
                skipped = min(to_skip, len(block))
                to_skip -= skipped
                if block[skipped:]:
                    yield block[skipped:]

    @contextmanager
    def _open(self, key: str, method: str, headers: dict[str, str]) -> Iterator[Any]:
        import http.client

        address = f"{self.url}/{quote(key)}"
        request = urllib.request.Request(address, method=method, headers=headers)
        try:
            with urllib.request.urlopen(request, timeout=_TIMEOUT_S) as response:
                yield response
        except urllib.error.HTTPError as error:
            raise _of_status(error.code, address) from error
        except (urllib.error.URLError, http.client.HTTPException, TimeoutError, ConnectionError) as error:
            reason = error.reason if isinstance(error, urllib.error.URLError) else error
            raise DroppedError(f"{address}: no connection ({reason}).") from error


class S3Store(Store):
    """A bucket of Cloudflare R2, Amazon S3 or anything that speaks their language.

    Args:
        endpoint: Address of the service; None for Amazon's own.
        bucket: Name of the bucket.

    Raises:
        StorageError: No credentials.
    """

    def __init__(self, endpoint: str | None, bucket: str) -> None:
        key_id, secret = _credentials(bucket)
        # boto3 takes 0.3 s to import and is needed for buckets only.
        import boto3
        from botocore.config import Config

        config = Config(
            request_checksum_calculation="when_required",  # R2 knows no others
            response_checksum_validation="when_required",
            retries={"max_attempts": 3, "mode": "standard"},
            connect_timeout=10,
            read_timeout=_TIMEOUT_S,
            s3={"addressing_style": "path"},
        )
        self.bucket, self.place = bucket, f"{endpoint or 's3:/'}/{bucket}"
        self._client = boto3.client(
            "s3",
            endpoint_url=endpoint,
            aws_access_key_id=key_id,
            aws_secret_access_key=secret,
            region_name="auto" if endpoint else None,
            config=config,
        )

    def stat(self, key: str) -> Stat:
        with self._errors(key):
            head = self._client.head_object(Bucket=self.bucket, Key=key)
        return Stat(head["ContentLength"], head["ETag"])

    def read(self, key: str, start: int, etag: str) -> Iterator[bytes]:
        with self._errors(key):
            found = self._client.get_object(
                Bucket=self.bucket, Key=key, Range=f"bytes={start}-", IfMatch=etag
            )
            yield from found["Body"].iter_chunks(BLOCK)

    def keys(self, prefix: str) -> Iterator[str]:
        with self._errors(prefix):
            pages = self._client.get_paginator("list_objects_v2").paginate(Bucket=self.bucket, Prefix=prefix)
            for page in pages:
                yield from (entry["Key"] for entry in page.get("Contents", ()))

    def upload(self, path: Path, key: str) -> str:
        with self._errors(key):
            self._client.upload_file(str(path), self.bucket, key)
        return f"{self.place}/{key}"

    @contextmanager
    def _errors(self, key: str) -> Iterator[None]:
        """Says in one line, with the address but without credentials, what a client error means."""
        from boto3.exceptions import S3UploadFailedError
        from botocore import exceptions as boto
        from urllib3.exceptions import HTTPError

        address = f"{self.place}/{key}"
        try:
            yield
        except boto.ClientError as error:
            status = error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0)
            raise _of_status(status, address) from error
        except S3UploadFailedError as error:
            status = 403 if "AccessDenied" in str(error) else 404 if "NoSuchBucket" in str(error) else 0
            raise _of_status(status, address) from error
        except (boto.HTTPClientError, boto.ConnectionError, boto.ResponseStreamingError) as error:
            raise DroppedError(f"{address}: no connection ({type(error).__name__}).") from error
        except (HTTPError, ConnectionError, boto.IncompleteReadError) as error:
            raise DroppedError(f"{address}: the connection broke ({type(error).__name__}).") from error


def _of_status(status: int, address: str) -> StorageError:
    if status == 412:
        return ChangedError(f"{address} changed while it was read.")
    if status >= 500 or status in (408, 429):
        return DroppedError(f"{address}: the server is busy or broken (HTTP {status}).")
    meaning = {
        401: f"the server wants credentials (HTTP 401): set {' and '.join(KEY_NAMES)}",
        403: f"access denied (HTTP 403): do {' and '.join(KEY_NAMES)} belong to this bucket?",
        404: "does not exist (HTTP 404)",
    }
    return StorageError(f"{address}: {meaning.get(status, f'the server refused (HTTP {status})')}.")


def _credentials(bucket: str) -> tuple[str, str]:
    from dotenv import dotenv_values, find_dotenv

    values = dotenv_values(find_dotenv(usecwd=True)) | os.environ
    found = tuple(values.get(name) or "" for name in KEY_NAMES)
    if not all(found):
        raise StorageError(
            f"No credentials for bucket {bucket!r}: set {' and '.join(KEY_NAMES)} in the environment or .env."
        )
    return found
