"""Files -> batches: storage, archive, manifest, splits, items, data modules."""

from drumblender.data.base import AudioDataModule
from drumblender.data.drums import ModalDataModule
from drumblender.data.fake import FakeDrumsDataModule
from drumblender.data.guitarset import GuitarSetDataModule
from drumblender.data.harmonic_tones import HarmonicTonesDataModule
from drumblender.data.nsynth import NSynthDataModule
from drumblender.data.phrases import PhraseDataModule
from drumblender.data.remap import RemapDataModule
from drumblender.data.string_draws import random_strings
from drumblender.data.strings import SyntheticStringsDataModule
from drumblender.data.tone_draws import ToneSettings

__all__ = [
    "AudioDataModule",
    "FakeDrumsDataModule",
    "GuitarSetDataModule",
    "HarmonicTonesDataModule",
    "ModalDataModule",
    "NSynthDataModule",
    "PhraseDataModule",
    "RemapDataModule",
    "SyntheticStringsDataModule",
    "ToneSettings",
    "random_strings",
]
