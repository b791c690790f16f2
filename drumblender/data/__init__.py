"""Files -> batches: storage, archive, manifest, splits, items, data modules."""

from drumblender.data.base import AudioDataModule

__all__ = ["AudioDataModule"]
