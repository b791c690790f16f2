"""Files -> batches: storage, archive, manifest, splits, items, data modules."""

from drumblender.data.base import AudioDataModule
from drumblender.data.drums import ModalDataModule
from drumblender.data.fake import FakeDrumsDataModule
from drumblender.data.remap import RemapDataModule

__all__ = [
    "AudioDataModule",
    "FakeDrumsDataModule",
    "ModalDataModule",
    "RemapDataModule",
]
