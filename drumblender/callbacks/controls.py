"""What each item was played with, in files."""

import zipfile
import zlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from drumblender.atomic import atomic_write
from drumblender.types import MakesControls

_MOST_BYTES = 1 << 28  # of all controls of an item
# What zipfile and NumPy raise on bytes that are no such file; the last two of what is encrypted.
_DAMAGE = (
    ValueError,
    OSError,
    EOFError,
    KeyError,
    MemoryError,
    zipfile.BadZipFile,
    zlib.error,
    RuntimeError,
    NotImplementedError,
)


def write_controls(module: MakesControls, batch: Any, names: Sequence[str], folder: Path) -> None:
    """Write ``folder/<name>.npz`` for each item of a batch: arrays ``voice.control``, in real units.

    Args:
        module: Makes the controls.
        batch: What it hears.
        names: Of the items.
        folder: Where the files go.
    """
    with torch.no_grad():
        controls = module.voice_controls(batch)
    in_units = {
        f"{voice}.{name}": _rows(value, len(names))
        for voice, made in controls.items()
        for name, value in module.voices[voice].synth.to_units(made).items()
    }
    for place, name in enumerate(names):
        with atomic_write(folder / f"{name}.npz") as aside, aside.open("wb") as file:
            np.savez_compressed(file, **{key: rows[place] for key, rows in in_units.items()})


def _rows(value: Tensor, count: int) -> np.ndarray:
    return value.detach().float().expand(count, -1, -1).cpu().numpy()


def read_controls(path: Path) -> Mapping[str, np.ndarray]:
    """What :func:`write_controls` wrote for one item: ``(frames, size)`` for each name.

    Raises:
        ValueError: The file is damaged or holds something else; nothing in it is executed.
    """
    try:
        with zipfile.ZipFile(path) as packed:
            if sum(part.file_size for part in packed.infolist()) > _MOST_BYTES:
                raise ValueError(f"unpacked it is larger than {_MOST_BYTES >> 20} MiB")
        with np.load(path, allow_pickle=False) as file:
            found = {name: file[name] for name in file.files}
    except _DAMAGE as error:
        raise ValueError(f"{path} is no file of controls: {error}.") from error
    if not all(_is_control(value) for value in found.values()):
        raise ValueError(f"{path} is no file of controls: it has other arrays.")
    return found


def _is_control(value: object) -> bool:
    """NumPy hands on what is no array as bytes."""
    return isinstance(value, np.ndarray) and value.ndim == 2 and value.dtype == np.float32
