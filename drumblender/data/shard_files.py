"""Prepared items in a few large files instead of many small ones: tar archives, and an index of their items.

A shard is a plain tar file, as ``webdataset`` reads it: the member ``000000042.safetensors`` holds all fields
of an item. The index tells where each begins, so that items are also read out of order; a million take 24 MB.
"""

import io
import json
import os
import tarfile
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any
from zipfile import BadZipFile

import numpy as np
from safetensors import SafetensorError
from safetensors.torch import load, save
from torch import Tensor
from torch.utils.data import Dataset

from drumblender.atomic import atomic_write

_KEPT_OPEN = 8


def write_shards(
    items: Dataset | Sequence[Mapping[str, Any]], folder: Path, split: str, shard_mb: float = 100.0
) -> list[Path]:
    """Write items, in order, as ``<split>-000000.tar`` and so on, and ``<split>.index.npz`` last.

    A run that was killed is begun anew; a split is there once its index is.

    Args:
        items: Each a mapping of tensors and text, as the items of a prepared set are.
        folder: Made where absent.
        split: What the files are called.
        shard_mb: Size at which a shard ends.

    Returns:
        The shards.

    Raises:
        ValueError: Nothing to write, or a size that is not above 0.

    Examples:
        >>> import torch
        >>> items = [{"audio": torch.full((4,), float(n)), "name": str(n)} for n in range(3)]
        >>> [path.name for path in write_shards(items, Path("shards"), "train")]
        ['train-000000.tar']
        >>> ShardItems(Path("shards"), "train")[2]
        {'audio': tensor([2., 2., 2., 2.]), 'name': '2'}
    """
    if not len(items) or not shard_mb > 0:
        raise ValueError(f"Shards need items and a size above 0 MB, got {len(items)} and {shard_mb:g} MB.")
    folder.mkdir(parents=True, exist_ok=True)
    _index(folder, split).unlink(missing_ok=True)
    packed = ((number, _packed(items[number])) for number in range(len(items)))
    shards, places = [], []
    pending = next(packed, None)
    while pending is not None:
        path = folder / f"{split}-{len(shards):06}.tar"
        with atomic_write(path) as aside, tarfile.open(aside, "w") as archive:
            while pending is not None and archive.offset < shard_mb * 1e6:
                number, content = pending
                member = tarfile.TarInfo(f"{number:09}.safetensors")
                member.size = len(content)
                archive.addfile(member, io.BytesIO(content))
                places.append((len(shards), archive.offset - -(-member.size // 512) * 512, member.size))
                pending = next(packed, None)
        shards.append(path)
    with atomic_write(_index(folder, split)) as aside, aside.open("wb") as file:
        np.savez(file, places=np.array(places, np.int64), shards=np.array([path.name for path in shards]))
    return shards


class ShardItems(Dataset[dict[str, Any]]):
    """The items of a split that :func:`write_shards` wrote, in any order.

    Attributes:
        shard_of: The number of the shard of each item; a shard's items follow one another.

    Raises:
        FileNotFoundError: There is no such split.
        ValueError: Its index is damaged; so are its items, when they are read.
    """

    def __init__(self, folder: Path, split: str) -> None:
        path = _index(folder, split)
        if not path.is_file():
            raise FileNotFoundError(
                f"No {path}: `drumblender-dataset CONFIG --shards {folder}` writes shards of a prepared set."
            )
        places, names = _read_index(path)
        self.shard_of, self.offsets, self.sizes = (column.copy() for column in places.T)
        self.paths = [folder / name for name in names]
        self._files: dict[int, io.BufferedReader] = {}

    def __len__(self) -> int:
        return len(self.sizes)

    def __getitem__(self, number: int) -> dict[str, Any]:
        shard, start, size = int(self.shard_of[number]), int(self.offsets[number]), int(self.sizes[number])
        file, place = self._opened(shard), f"{self.paths[shard]}, item {number},"
        if start + size > os.fstat(file.fileno()).st_size:
            raise ValueError(f"{place} ends after its file: the shard or its index is damaged.")
        file.seek(start)
        return _unpacked(file.read(size), place)

    def __getstate__(self) -> dict[str, Any]:
        return self.__dict__ | {"_files": {}}  # a worker opens its own

    def _opened(self, shard: int) -> io.BufferedReader:
        if shard not in self._files:
            if len(self._files) >= _KEPT_OPEN:
                self._files.pop(next(iter(self._files))).close()
            self._files[shard] = self.paths[shard].open("rb", buffering=1 << 16)
        return self._files[shard]


def shard_order(shard_of: np.ndarray, generator: np.random.Generator, buffer: int) -> Iterator[int]:
    """A random order that reads each shard once, from its beginning on: shards are drawn, and items wait in a
    buffer out of which the next one is drawn.

    >>> order = list(shard_order(np.repeat([0, 1, 2], 4), np.random.default_rng(0), buffer=4))
    >>> sorted(order) == list(range(12)), order == list(range(12))
    (True, False)
    """
    starts = np.flatnonzero(np.r_[True, np.diff(shard_of) != 0])
    runs = list(zip(starts, [*starts[1:], len(shard_of)], strict=True))
    waiting: list[int] = []
    for run in generator.permutation(len(runs)):
        for number in range(*runs[run]):
            if len(waiting) < buffer:
                waiting.append(number)
                continue
            place = int(generator.integers(buffer))
            yield waiting[place]
            waiting[place] = number
    yield from (waiting[place] for place in generator.permutation(len(waiting)))


def _index(folder: Path, split: str) -> Path:
    return folder / f"{split}.index.npz"


def _packed(item: Mapping[str, Any]) -> bytes:
    """The fields of an item as a safetensors file; text is its metadata."""
    tensors = {name: value.contiguous().clone() for name, value in item.items() if isinstance(value, Tensor)}
    return save(tensors, {name: value for name, value in item.items() if isinstance(value, str)})


def _unpacked(content: bytes, place: str) -> dict[str, Any]:
    """The fields of an item.

    Raises:
        ValueError: The content is none.
    """
    try:
        tensors = load(content)
    except (
        SafetensorError,
        KeyError,
        ValueError,
    ) as error:  # or of a type torch lacks
        raise ValueError(f"{place} is damaged.") from error
    header = json.loads(content[8 : 8 + int.from_bytes(content[:8], "little")])  # whole, as `load` read it
    return tensors | header.get("__metadata__", {})


def _read_index(path: Path) -> tuple[np.ndarray, list[str]]:
    try:
        with np.load(path, allow_pickle=False) as index:
            places, names = index["places"], [str(name) for name in index["shards"]]
        known = places.dtype == np.int64 and places.ndim == 2 and places.shape[1] == 3
        if not known or (places < 0).any() or places[:, 0].max() >= len(names):
            raise ValueError("of another form")
    except (ValueError, OSError, EOFError, KeyError, BadZipFile) as error:
        raise ValueError(f"{path} is damaged, or no index of shards.") from error
    if any("/" in name or "\\" in name or not name.endswith(".tar") for name in names):
        raise ValueError(f"{path} names a shard outside of its folder.")
    return places, names
