"""Files below a plain HTTPS address."""

import base64
import http.client
import re
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from urllib.parse import quote

from drumblender.data.prepare.storage import (
    BLOCK,
    TIMEOUT_S,
    DroppedError,
    Stat,
    StorageError,
    Store,
    of_status,
)


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
        address = f"{self.url}/{quote(key)}"
        request = urllib.request.Request(address, method=method, headers=headers)
        try:
            with urllib.request.urlopen(request, timeout=TIMEOUT_S) as response:
                yield response
        except urllib.error.HTTPError as error:
            raise of_status(error.code, address) from error
        except (urllib.error.URLError, http.client.HTTPException, TimeoutError, ConnectionError) as error:
            reason = error.reason if isinstance(error, urllib.error.URLError) else error
            raise DroppedError(f"{address}: no connection ({reason}).") from error
