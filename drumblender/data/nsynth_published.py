"""NSynth as the original code prepared it: ``<split>/<pitch mode>/<key>.pt`` and statistics of each split."""

import math
from pathlib import Path
from typing import Any

from torch import Tensor
from torch.utils.data import Dataset

from drumblender.atomic import read_json
from drumblender.data.items import load_tensors

_NEPER_DB = 10 / math.log(10)
_FIELDS = {"audio", "pitch", "loudness"}


class PublishedNotes(Dataset[dict[str, Any]]):
    """Notes of one split: ``audio``, ``f0_hz``, ``loudness_db`` and ``name``.

    Args:
        folder: The folder that the original wrote.
        split: ``train``, ``valid`` or ``test``.
        pitch_mode: ``meta`` or ``fcnf0``.
        as_level: Give the loudness in dB, as our own folders have it, and not normalised as it is stored.

    Raises:
        FileNotFoundError: The folder has no such split, or no statistics of it.
    """

    def __init__(self, folder: Path, split: str, pitch_mode: str, as_level: bool = True) -> None:
        place = folder / split / pitch_mode
        self.paths = sorted(place.glob("*.pt"))
        if not self.paths:
            raise FileNotFoundError(f"{place} holds no notes; pitch modes are meta and fcnf0.")
        listed = place / "metadata.json"
        if listed.is_file():  # its order is that of the published runs
            order = {key: number for number, key in enumerate(read_json(listed))}
            self.paths.sort(key=lambda path: order.get(path.stem, len(order)))
        self.mean_db, self.std_db = published_statistics(folder, split, pitch_mode)
        self.as_level = as_level

    @property
    def keys(self) -> list[str]:
        """The names of the notes, in order."""
        return [path.stem for path in self.paths]

    def __len__(self) -> int:
        return len(self.paths)

    def __getitem__(self, index: int) -> dict[str, Any]:
        path = self.paths[index]
        stored = load_tensors(path)
        if not isinstance(stored, dict) or _FIELDS - set(stored):
            raise ValueError(f"{path}: needs {', '.join(sorted(_FIELDS))}.")
        frames = min(len(stored["pitch"]), len(stored["loudness"]))
        loudness: Tensor = stored["loudness"][:frames].float()
        if self.as_level:
            loudness = loudness * self.std_db + self.mean_db
        # Copies: some of these files hold the whole batch that they were cut from.
        return {
            "audio": stored["audio"].float().clone(),
            "f0_hz": stored["pitch"][:frames].float().clone(),
            "loudness_db": loudness.clone(),
            "name": path.stem,
        }


def is_published(folder: Path) -> bool:
    """Whether the original code prepared a folder."""
    return any(folder.glob("*/meta/*.pt")) or any(folder.glob("*/fcnf0/*.pt"))


def published_statistics(folder: Path, split: str, pitch_mode: str) -> tuple[float, float]:
    """Mean and deviation of the loudness of a split, in dB."""
    name = f"{split}_stats.json"
    for place in (folder, folder / split, folder / split / pitch_mode):
        if (place / name).is_file():
            stored = read_json(place / name)
            return stored["mean"] * _NEPER_DB, stored["std"] * _NEPER_DB
    raise FileNotFoundError(f"{folder} holds no {name}, without which its loudness has no unit.")
