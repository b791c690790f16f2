"""Pitch and loudness of every hop: what a note is besides its sound."""

import math

from torch import Tensor

from drumblender.data.prepare.manifest import Manifest
from drumblender.features import AWeightedLoudness, Feature, PYINPitch
from drumblender.types import Audio

_SUMS = ("num_frames", "loudness_sum_db", "loudness_squares_db")


def analyse_unknown(
    audio: Audio, sample_rate: int, hop_length: int, pitch: Feature | None = None
) -> dict[str, Tensor]:
    """``f0_hz`` and ``loudness_db`` of every hop; by ``PYINPitch`` where no tracker is given."""
    tracker = pitch or PYINPitch(sample_rate, hop_length)
    return cut_alike(tracker(audio), AWeightedLoudness(sample_rate, hop_length, db=True)(audio))


def statistics_of(manifest: Manifest, keys: list[str]) -> tuple[float, float]:
    """Mean and unbiased deviation of the loudness over all frames of some items, in dB.

    Raises:
        ValueError: An item was prepared by another data module.
    """
    tags = [manifest[key].tags for key in keys]
    for key, tag in zip(keys, tags, strict=True):
        if not all(isinstance(tag.get(name), int | float) for name in _SUMS):
            raise ValueError(f"Item {key!r} has no sums of its loudness; analyse it with --features.")
    count, total, squares = (sum(tag[name] for tag in tags) for name in _SUMS)
    mean_db = total / count
    return mean_db, math.sqrt(max(squares - count * mean_db**2, 0.0) / max(count - 1, 1))


def unpack_note(stored: dict[str, Tensor], mean_db: float, std_db: float) -> dict[str, Tensor]:
    """Fields of one item from its feature file.

    Raises:
        ValueError: The file holds something else.
    """
    if not isinstance(stored, dict) or not all(
        isinstance(stored.get(name), Tensor) for name in ("f0_hz", "loudness_db")
    ):
        raise ValueError("needs f0_hz and loudness_db")
    return {"f0_hz": stored["f0_hz"], "loudness_db": (stored["loudness_db"] - mean_db) / std_db}


def cut_alike(f0_hz: Tensor, loudness_db: Tensor) -> dict[str, Tensor]:
    """Both fields, of as many frames as the shorter has."""
    frames = min(f0_hz.shape[-1], loudness_db.shape[-1])
    return {"f0_hz": f0_hz[..., :frames].contiguous(), "loudness_db": loudness_db[..., :frames].contiguous()}
