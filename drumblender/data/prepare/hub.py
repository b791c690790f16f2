"""The Hugging Face hub as one more store: ``hf://owner/name``, or ``hf://datasets/owner/name``."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from drumblender.data.prepare.storage import BLOCK, ChangedError, DroppedError, Stat, StorageError, Store

SCHEME = "hf://"
_NO_LIBRARY = "hf:// needs huggingface_hub: pip install 'drumblender[hub]'."


def split_address(url: str) -> tuple[str, str, str]:
    """The kind of a repository, its name and the file that an address gives.

    Raises:
        StorageError: It names no repository.

    >>> split_address("hf://owner/name/folder/a.ckpt")
    ('model', 'owner/name', 'folder/a.ckpt')
    >>> split_address("hf://datasets/owner/name")
    ('dataset', 'owner/name', '')
    """
    path = url.removeprefix(SCHEME).strip("/")
    kind = "dataset" if path.startswith("datasets/") else "model"
    owner, _, rest = path.removeprefix("datasets/").partition("/")
    name, _, file = rest.partition("/")
    if not owner or not name or ".." in path.split("/"):
        raise StorageError(
            f"{url} is no address on the hub, such as hf://owner/name or hf://owner/name/file."
        )
    return kind, f"{owner}/{name}", file


class HubStore(Store):
    """A repository of models or data sets; ``HF_TOKEN`` or a login opens private ones.

    Args:
        url: ``hf://owner/name``, or with ``datasets/`` in front of the owner.

    Raises:
        StorageError: No such address, or huggingface_hub is not installed.
    """

    def __init__(self, url: str) -> None:
        self.kind, self.repo, file = split_address(url)
        if file:
            raise StorageError(f"{url}: a store is a repository; {file} is a file in it.")
        self.url = url.rstrip("/")
        try:
            import huggingface_hub
        except ImportError as error:
            raise StorageError(_NO_LIBRARY) from error
        self._api = huggingface_hub.HfApi(endpoint=os.environ.get("HF_ENDPOINT") or None)

    def stat(self, key: str) -> Stat:
        with self._errors(key):
            from huggingface_hub import hf_hub_url

            address = hf_hub_url(self.repo, key, repo_type=self.kind, endpoint=self._api.endpoint)
            found = self._api.get_hf_file_metadata(url=address)
        if found.size is None:
            raise StorageError(f"{self.url}/{key}: the hub does not say how large it is.")
        return Stat(found.size, str(found.etag))

    def read(self, key: str, start: int, etag: str) -> Iterator[bytes]:
        if self.stat(key).etag != etag:
            raise ChangedError(f"{self.url}/{key} changed while it was read.")
        with self._errors(key), self.fetched(key).open("rb") as file:
            file.seek(start)
            while block := file.read(BLOCK):
                yield block

    def keys(self, prefix: str) -> Iterator[str]:
        with self._errors(prefix):
            names = self._api.list_repo_files(self.repo, repo_type=self.kind)
        yield from (name for name in sorted(names) if name.startswith(prefix))

    def upload(self, path: Path, key: str) -> str:
        with self._errors(key):
            self._api.create_repo(self.repo, repo_type=self.kind, exist_ok=True)
            try:
                self._api.upload_file(
                    path_or_fileobj=str(path), path_in_repo=key, repo_id=self.repo, repo_type=self.kind
                )
            except (RuntimeError, ValueError) as error:  # how its library tells what a large file met
                raise _of_upload(error, f"{self.url}/{key}") from error
        return f"{self.url}/{key}"

    def fetched(self, key: str) -> Path:
        """A file of the repository, in the hub's own cache; an interrupted download goes on."""
        with self._errors(key):
            return Path(self._api.hf_hub_download(self.repo, key, repo_type=self.kind))

    @contextmanager
    def _errors(self, key: str) -> Iterator[None]:
        """Says in one line what an error of the hub means."""
        from huggingface_hub import errors

        address = f"{self.url}/{key}".rstrip("/")
        try:
            yield
        except errors.GatedRepoError as error:
            raise StorageError(
                f"{address}: its owner grants access: ask on its page, then set HF_TOKEN."
            ) from error
        except errors.RepositoryNotFoundError as error:
            raise StorageError(f"{address}: no such repository, or a private one: set HF_TOKEN.") from error
        except (errors.EntryNotFoundError, errors.RevisionNotFoundError) as error:
            if isinstance(error, errors.LocalEntryNotFoundError):
                raise DroppedError(
                    f"{address}: no connection to the hub, and no copy from before."
                ) from error
            raise StorageError(f"{address} does not exist.") from error
        except errors.HfHubHTTPError as error:
            raise _of_answer(error, address) from error
        except errors.HFValidationError as error:
            raise StorageError(f"{address} is no name that the hub allows.") from error
        except (errors.HTTPError, errors.OfflineModeIsEnabled) as error:
            raise DroppedError(f"{address}: no connection ({type(error).__name__}).") from error


def _of_upload(error: Exception, address: str) -> Exception:
    """What a failed upload of a large file means; answers of the server are told as such."""
    from huggingface_hub import errors

    for known in (error, error.__cause__):
        if isinstance(known, (errors.HfHubHTTPError, errors.HTTPError, errors.HFValidationError)):
            return known
    reason = " ".join(str(error).split())[:150]
    return StorageError(f"{address}: the hub took no upload ({reason}).")


def _of_answer(error: Any, address: str) -> StorageError:
    status = getattr(getattr(error, "response", None), "status_code", 0)
    if status in (401, 403):
        return StorageError(
            f"{address}: access denied (HTTP {status}): set HF_TOKEN to a token that may do this."
        )
    if status >= 500 or status in (408, 429):
        return DroppedError(f"{address}: the hub is busy or broken (HTTP {status}).")
    return StorageError(f"{address}: the hub refused (HTTP {status}).")
