"""Modules, audio -> features."""

from drumblender.features.base import Feature, FeatureCollection, FeatureExtractor
from drumblender.features.envelope import AmpEnvSum, AmplitudeEnvelope, NormSum, TemporalCentroid
from drumblender.features.loudness import RMS, Loudness
from drumblender.features.modes import CQTModalAnalysis, NoModesError
from drumblender.features.onset import CascadingFrameExtractor, OnsetSegment
from drumblender.features.spectral import SpectralCentroid, SpectralFlatness, SpectralFlux, SpectralSpread

__all__ = [
    "RMS",
    "AmpEnvSum",
    "AmplitudeEnvelope",
    "CQTModalAnalysis",
    "CascadingFrameExtractor",
    "Feature",
    "FeatureCollection",
    "FeatureExtractor",
    "Loudness",
    "NoModesError",
    "NormSum",
    "OnsetSegment",
    "SpectralCentroid",
    "SpectralFlatness",
    "SpectralFlux",
    "SpectralSpread",
    "TemporalCentroid",
]
