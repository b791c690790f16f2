"""Files -> batches: storage, archive, manifest, splits, items, data modules.

``AudioData`` and the others do the work; ``AudioDataModule`` and the others are the same for Lightning, which
is imported once one of them is asked for.
"""

from typing import TYPE_CHECKING

from drumblender.data.base import AudioData
from drumblender.data.drums import ModalData
from drumblender.data.fake import FakeDrumsData
from drumblender.data.guitarset import GuitarSetData
from drumblender.data.harmonic_tones import HarmonicTonesData
from drumblender.data.kind import Data
from drumblender.data.nsynth import NSynthData
from drumblender.data.phrases import PhraseData
from drumblender.data.remap import RemapData
from drumblender.data.shards import ShardData
from drumblender.data.string_draws import random_strings
from drumblender.data.strings import SyntheticStringsData
from drumblender.data.tone_draws import ToneSettings

if TYPE_CHECKING:
    from drumblender.data.modules import (
        AudioDataModule,
        FakeDrumsDataModule,
        GuitarSetDataModule,
        HarmonicTonesDataModule,
        ModalDataModule,
        NSynthDataModule,
        PhraseDataModule,
        RemapDataModule,
        ShardDataModule,
        SyntheticStringsDataModule,
    )

__all__ = [
    "AudioData",
    "AudioDataModule",
    "Data",
    "FakeDrumsData",
    "FakeDrumsDataModule",
    "GuitarSetData",
    "GuitarSetDataModule",
    "HarmonicTonesData",
    "HarmonicTonesDataModule",
    "ModalData",
    "ModalDataModule",
    "NSynthData",
    "NSynthDataModule",
    "PhraseData",
    "PhraseDataModule",
    "RemapData",
    "RemapDataModule",
    "ShardData",
    "ShardDataModule",
    "SyntheticStringsData",
    "SyntheticStringsDataModule",
    "ToneSettings",
    "random_strings",
]


def __getattr__(name: str) -> object:
    """Import Lightning on first use."""
    if name in __all__:
        from drumblender.data import modules

        return getattr(modules, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
