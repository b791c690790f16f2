"""Prepared recordings one by one, as the data loaders read them."""

import struct
from collections.abc import Callable, Sequence
from pathlib import Path
from pickle import UnpicklingError
from typing import Any

import torch
from torch import Tensor
from torch.utils.data import Dataset

from drumblender.audio_io import read_audio
from drumblender.data.prepare.manifest import Manifest
from drumblender.open_sound import BadAudioError

_DAMAGED = (  # what torch.load raises for files with changed bytes
    OSError,
    EOFError,
    RuntimeError,
    MemoryError,
    UnpicklingError,
    ValueError,
    TypeError,
    LookupError,
    AssertionError,
    struct.error,
)


class AudioItems(Dataset[dict[str, Any]]):
    """``{"audio": (samples,), "name": key, "file": path of the raw recording}`` of each key.

    Args:
        folder: The prepared folder.
        manifest: Its items.
        keys: Which of them, in order.
        sample_rate: That every file must have.
        num_samples: That every file must have.
        normalize: Divide by the absolute peak.
    """

    def __init__(
        self,
        folder: Path,
        manifest: Manifest,
        keys: Sequence[str],
        *,
        sample_rate: int,
        num_samples: int,
        normalize: bool = False,
    ) -> None:
        self.folder, self.manifest, self.keys = folder, manifest, list(keys)
        self.sample_rate, self.num_samples, self.normalize = sample_rate, num_samples, normalize

    def __len__(self) -> int:
        return len(self.keys)

    def __getitem__(self, index: int) -> dict[str, Any]:
        key = self.keys[index]
        return {"audio": self.audio(key), "name": key, "file": self.manifest[key].source or key}

    def audio(self, key: str) -> Tensor:
        """Samples of one file.

        Raises:
            BadAudioError: Unreadable, or of another rate or length than the set's.
        """
        path = self.folder / self.manifest[key].filename
        audio, rate = read_audio(path)
        if rate != self.sample_rate:
            raise BadAudioError(path, f"is at {rate} Hz, not {self.sample_rate} Hz")
        if len(audio) != self.num_samples:
            raise BadAudioError(path, f"has {len(audio)} samples, not {self.num_samples}")
        return audio / audio.abs().max().clamp(min=1e-12) if self.normalize else audio


class FeatureItems(AudioItems):
    """``AudioItems`` with what the analysis found in each.

    Args:
        unpack: From what the feature file holds to fields of the batch, without the batch axis.
    """

    def __init__(self, *args: Any, unpack: Callable[[Any], dict[str, Tensor]], **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.unpack = unpack

    def __getitem__(self, index: int) -> dict[str, Any]:
        return super().__getitem__(index) | self.features(self.keys[index])

    def features(self, key: str) -> dict[str, Tensor]:
        """Fields of one item.

        Raises:
            ValueError: The file is missing, is no tensor file, or does not fit the settings; names it.
        """
        name = self.manifest[key].feature_file
        if name is None:
            raise ValueError(f"{self.folder}: item {key} has no features; make them with --features.")
        path = self.folder / name
        try:
            return self.unpack(load_tensors(path))
        except ValueError as error:
            raise ValueError(f"{path}: {error}") from error


def load_tensors(path: Path) -> Any:
    """Tensors of a ``.pt`` file; code in it is never run.

    Raises:
        ValueError: Missing, damaged, or holding more than tensors.
    """
    try:
        return torch.load(path, map_location="cpu", weights_only=True)
    except _DAMAGED as error:
        raise ValueError(f"is no tensor file ({type(error).__name__})") from error
