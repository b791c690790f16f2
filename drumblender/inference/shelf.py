"""Checkpoints by name: files, those that ship, and those that the Hugging Face hub keeps."""

from pathlib import Path

from drumblender.shipped import INDEX, Shipped, no_such_checkpoint, shipped_dir, shipped_row

HUB = "hf://"


def find_checkpoint(name: str | Path) -> Path:
    """The file that a name stands for.

    Args:
        name: A file; else ``NAME``, ``NAME.ckpt`` or ``checkpoints/NAME`` of those that ship, whose digest is
            compared; or ``hf://owner/name``, with ``/file`` where the repository holds several.

    Raises:
        FileNotFoundError: None of these; tells what is meant perhaps.
        ValueError: The file is another than the index tells of, or missing.
        StorageError: It cannot be fetched.
    """
    if Path(name).is_file():
        return Path(name)
    if str(name).startswith(HUB):
        return from_hub(str(name))
    row = shipped_row(str(name))
    if row is None:
        raise FileNotFoundError(no_such_checkpoint(str(name)))
    return file_of(row)


def file_of(row: Shipped) -> Path:
    """The file of a row, fetched where the package does not carry it.

    Raises:
        ValueError: It is another than the index tells of, or missing.
        StorageError: It cannot be fetched.
    """
    path = row.path
    if not path.is_file():
        if row.url is None:
            raise ValueError(
                f"{shipped_dir('checkpoints') / row.family / INDEX} names {row.file} ({row.name}), "
                "which is not there: "
                "reinstall drumblender."
            )
        path = _fetched(row)
    row.check_digest(path)
    return path


def _fetched(row: Shipped) -> Path:
    # Torch is imported with these, and most checkpoints lie beside the code.
    from drumblender.console import track_bytes
    from drumblender.data.prepare.fetch import download
    from drumblender.data.prepare.storage import open_store
    from drumblender.evaluation.embeddings import cache_folder

    path = cache_folder() / "checkpoints" / row.file
    if not path.is_file():
        place, _, key = row.url.rpartition("/")
        with track_bytes(row.size, row.file) as on_bytes:
            download(open_store(place), key, path, row.sha256, on_bytes=on_bytes)
    return path


def from_hub(address: str) -> Path:
    """A checkpoint of a repository on the Hugging Face hub, in the hub's own cache.

    Args:
        address: ``hf://owner/name/file.ckpt``, or ``hf://owner/name`` where it holds one checkpoint.

    Raises:
        StorageError: There is none, or it cannot be fetched.
        ValueError: Which of several?
    """
    from drumblender.data.prepare.hub import HubStore, split_address

    kind, repo, file = split_address(address)
    store = HubStore(f"{HUB}{'datasets/' if kind == 'dataset' else ''}{repo}")
    if not file:
        found = [key for key in store.keys("") if key.endswith(".ckpt")]
        if len(found) != 1:
            told = f"several: {', '.join(found[:5])}; name one" if found else "no .ckpt"
            raise ValueError(f"{address} holds {told}.")
        (file,) = found
    return store.fetched(file)
