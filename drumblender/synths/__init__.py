"""Modules, controls -> audio."""

from drumblender.synths.base import Synth
from drumblender.synths.filtered_noise import FilteredNoiseSynth
from drumblender.synths.fm_drum import FMDrumSynth
from drumblender.synths.harmonic import HarmonicSynth
from drumblender.synths.lapped import LappedTransient
from drumblender.synths.mix import MixSynth
from drumblender.synths.modal import DampedModalSynth, ModalSynth
from drumblender.synths.noise import NoiseSynth
from drumblender.synths.preset import load_controls, save_preset
from drumblender.synths.reverb import Room
from drumblender.synths.simple_drum import SimpleDrumSynth
from drumblender.synths.snare808 import Snare808
from drumblender.synths.stft_noise import BandEqualiser, StftNoiseSynth
from drumblender.synths.stretched import StretchedSynth
from drumblender.synths.string import StringSynth
from drumblender.synths.string_stream import StringStream
from drumblender.synths.transient import TransientTCN

__all__ = [
    "BandEqualiser",
    "DampedModalSynth",
    "FMDrumSynth",
    "FilteredNoiseSynth",
    "HarmonicSynth",
    "LappedTransient",
    "MixSynth",
    "ModalSynth",
    "NoiseSynth",
    "Room",
    "SimpleDrumSynth",
    "Snare808",
    "StftNoiseSynth",
    "StretchedSynth",
    "StringStream",
    "StringSynth",
    "Synth",
    "TransientTCN",
    "load_controls",
    "save_preset",
]
