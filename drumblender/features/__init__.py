"""Modules, audio -> features."""

from drumblender.features.analysis import Analysed, Analysis
from drumblender.features.base import Feature, FeatureCollection, FeatureExtractor
from drumblender.features.envelope import AmpEnvSum, AmplitudeEnvelope, NormSum, TemporalCentroid
from drumblender.features.frame_loudness import FrameLoudness
from drumblender.features.harmonic_noise import HarmonicNoiseAnalysis
from drumblender.features.loudness import RMS, AWeightedLoudness, AWeightedPower, Loudness
from drumblender.features.maps import CQT, STFT, Mel, SpectralMap
from drumblender.features.missing_gains import MissingGains
from drumblender.features.mode_refit import RefittedModes
from drumblender.features.modes import CQTModalAnalysis, NoModesError
from drumblender.features.note_curves import NoteCurves
from drumblender.features.note_position import NotePosition, note_position
from drumblender.features.onset import CascadingFrameExtractor, OnsetSegment
from drumblender.features.pitch import FCNF0Pitch, NoPitchError, PYINPitch
from drumblender.features.residual import OnsetCoefficients, ResidualBands
from drumblender.features.spectral import SpectralCentroid, SpectralFlatness, SpectralFlux, SpectralSpread
from drumblender.features.string_burst import StringBurst
from drumblender.features.string_decay import StringDecay
from drumblender.features.string_loop import StringLoop

__all__ = [
    "CQT",
    "RMS",
    "STFT",
    "AWeightedLoudness",
    "AWeightedPower",
    "AmpEnvSum",
    "AmplitudeEnvelope",
    "Analysed",
    "Analysis",
    "CQTModalAnalysis",
    "CascadingFrameExtractor",
    "FCNF0Pitch",
    "Feature",
    "FeatureCollection",
    "FeatureExtractor",
    "FrameLoudness",
    "HarmonicNoiseAnalysis",
    "Loudness",
    "Mel",
    "MissingGains",
    "NoModesError",
    "NoPitchError",
    "NormSum",
    "NoteCurves",
    "NotePosition",
    "OnsetCoefficients",
    "OnsetSegment",
    "PYINPitch",
    "RefittedModes",
    "ResidualBands",
    "SpectralCentroid",
    "SpectralFlatness",
    "SpectralFlux",
    "SpectralMap",
    "SpectralSpread",
    "StringBurst",
    "StringDecay",
    "StringLoop",
    "TemporalCentroid",
    "note_position",
]
