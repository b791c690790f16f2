"""Modules, controls -> audio."""

from drumblender.synths.base import Synth
from drumblender.synths.mix import MixSynth
from drumblender.synths.modal import DampedModalSynth, ModalSynth
from drumblender.synths.noise import NoiseSynth
from drumblender.synths.transient import TransientTCN

__all__ = ["DampedModalSynth", "MixSynth", "ModalSynth", "NoiseSynth", "Synth", "TransientTCN"]
