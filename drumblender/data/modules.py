"""The data that Lightning trains with: each set of this package as a ``LightningDataModule``.

What a set does lies in its own file, free of Lightning, which no trained model needs to be played.
"""

import lightning as L

from drumblender.data.base import AudioData
from drumblender.data.drums import ModalData
from drumblender.data.fake import FakeDrumsData
from drumblender.data.guitarset import GuitarSetData
from drumblender.data.harmonic_tones import HarmonicTonesData
from drumblender.data.nsynth import NSynthData
from drumblender.data.phrases import PhraseData
from drumblender.data.remap import RemapData
from drumblender.data.shards import ShardData
from drumblender.data.strings import SyntheticStringsData


class AudioDataModule(AudioData, L.LightningDataModule):
    """:class:`~drumblender.data.AudioData`, for Lightning."""

    def _worker(self) -> "AudioDataModule":
        worker = super()._worker()
        worker.trainer = None
        return worker


class ModalDataModule(ModalData, AudioDataModule):
    """:class:`~drumblender.data.ModalData`, for Lightning."""


class FakeDrumsDataModule(FakeDrumsData, ModalDataModule):
    """:class:`~drumblender.data.FakeDrumsData`, for Lightning."""


class NSynthDataModule(NSynthData, AudioDataModule):
    """:class:`~drumblender.data.NSynthData`, for Lightning."""


class PhraseDataModule(PhraseData, AudioDataModule):
    """:class:`~drumblender.data.PhraseData`, for Lightning."""


class GuitarSetDataModule(GuitarSetData, PhraseDataModule):
    """:class:`~drumblender.data.GuitarSetData`, for Lightning."""


class RemapDataModule(RemapData, L.LightningDataModule):
    """:class:`~drumblender.data.RemapData`, for Lightning."""


class HarmonicTonesDataModule(HarmonicTonesData, L.LightningDataModule):
    """:class:`~drumblender.data.HarmonicTonesData`, for Lightning."""


class SyntheticStringsDataModule(SyntheticStringsData, L.LightningDataModule):
    """:class:`~drumblender.data.SyntheticStringsData`, for Lightning."""


class ShardDataModule(ShardData, L.LightningDataModule):
    """:class:`~drumblender.data.ShardData`, for Lightning."""
