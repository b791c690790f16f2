"""Modules, audio -> features."""

from drumblender.features.base import Feature, FeatureCollection, FeatureExtractor
from drumblender.features.envelope import AmpEnvSum, AmplitudeEnvelope, NormSum, TemporalCentroid
from drumblender.features.frame_loudness import FrameLoudness
from drumblender.features.harmonic_noise import HarmonicNoiseAnalysis
from drumblender.features.loudness import RMS, AWeightedLoudness, Loudness
from drumblender.features.modes import CQTModalAnalysis, NoModesError
from drumblender.features.note_curves import NoteCurves
from drumblender.features.note_position import NotePosition, note_position
from drumblender.features.onset import CascadingFrameExtractor, OnsetSegment
from drumblender.features.pitch import FCNF0Pitch, NoPitchError, PYINPitch
from drumblender.features.spectral import SpectralCentroid, SpectralFlatness, SpectralFlux, SpectralSpread

__all__ = [
    "RMS",
    "AWeightedLoudness",
    "AmpEnvSum",
    "AmplitudeEnvelope",
    "CQTModalAnalysis",
    "CascadingFrameExtractor",
    "FCNF0Pitch",
    "Feature",
    "FeatureCollection",
    "FeatureExtractor",
    "FrameLoudness",
    "HarmonicNoiseAnalysis",
    "Loudness",
    "NoModesError",
    "NoPitchError",
    "NormSum",
    "NoteCurves",
    "NotePosition",
    "OnsetSegment",
    "PYINPitch",
    "SpectralCentroid",
    "SpectralFlatness",
    "SpectralFlux",
    "SpectralSpread",
    "TemporalCentroid",
    "note_position",
]
