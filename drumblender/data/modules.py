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
    __doc__ = AudioData.__doc__

    def _worker(self) -> "AudioDataModule":
        worker = super()._worker()
        worker.trainer = None
        return worker


class ModalDataModule(ModalData, AudioDataModule):
    __doc__ = ModalData.__doc__


class FakeDrumsDataModule(FakeDrumsData, ModalDataModule):
    __doc__ = FakeDrumsData.__doc__


class NSynthDataModule(NSynthData, AudioDataModule):
    __doc__ = NSynthData.__doc__


class PhraseDataModule(PhraseData, AudioDataModule):
    __doc__ = PhraseData.__doc__


class GuitarSetDataModule(GuitarSetData, PhraseDataModule):
    __doc__ = GuitarSetData.__doc__


class RemapDataModule(RemapData, L.LightningDataModule):
    __doc__ = RemapData.__doc__


class HarmonicTonesDataModule(HarmonicTonesData, L.LightningDataModule):
    __doc__ = HarmonicTonesData.__doc__


class SyntheticStringsDataModule(SyntheticStringsData, L.LightningDataModule):
    __doc__ = SyntheticStringsData.__doc__


class ShardDataModule(ShardData, L.LightningDataModule):
    __doc__ = ShardData.__doc__
