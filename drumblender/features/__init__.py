"""Modules, audio -> features."""

from drumblender.features.analysis import Analysed, Analysis
from drumblender.features.base import Feature, FeatureCollection, FeatureExtractor
from drumblender.features.envelope import AmpEnvSum, AmplitudeEnvelope, NormSum, TemporalCentroid
from drumblender.features.loudness import RMS, AWeightedLoudness, Loudness
from drumblender.features.maps import CQT, STFT, Mel, SpectralMap
from drumblender.features.mode_refit import RefittedModes
from drumblender.features.modes import CQTModalAnalysis, NoModesError
from drumblender.features.onset import CascadingFrameExtractor, OnsetSegment
from drumblender.features.pitch import FCNF0Pitch, NoPitchError, PYINPitch
from drumblender.features.residual import ResidualBands
from drumblender.features.spectral import SpectralCentroid, SpectralFlatness, SpectralFlux, SpectralSpread
from drumblender.features.string_decay import StringDecay

__all__ = [
    "CQT",
    "RMS",
    "STFT",
    "AWeightedLoudness",
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
    "Loudness",
    "Mel",
    "NoModesError",
    "NoPitchError",
    "NormSum",
    "OnsetSegment",
    "PYINPitch",
    "RefittedModes",
    "ResidualBands",
    "SpectralCentroid",
    "SpectralFlatness",
    "SpectralFlux",
    "SpectralMap",
    "SpectralSpread",
    "StringDecay",
    "TemporalCentroid",
]
