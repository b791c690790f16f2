"""torchmetrics, never differentiated."""

from drumblender.metrics.attack import AttackTimeError, EnvelopeDistance, OnsetStrengthDistance
from drumblender.metrics.bands import BandLevelDistance, LoudSpectralDistance
from drumblender.metrics.base import ItemMetric, LossMetric
from drumblender.metrics.decay import ModeDecayError, ModeFrequencyError
from drumblender.metrics.features import FeatureError, RankCorrelation, Slope
from drumblender.metrics.level import AttackTimeDifference, LevelDifference
from drumblender.metrics.mfcc import MFCCError, WeightedMFCCError
from drumblender.metrics.onset import OnsetTimeError, SpectralFluxOnsetError
from drumblender.metrics.pitch import (
    DecibelDistance,
    OctaveDifference,
    RawChromaAccuracy,
    RawPitchAccuracy,
    SpectralWasserstein,
    WaveformMSE,
)
from drumblender.metrics.pitch_ratios import RatioHistogram, RatioLockedAccuracy
from drumblender.metrics.spectral import LogSpectralDistance

__all__ = [
    "AttackTimeDifference",
    "BandLevelDistance",
    "DecibelDistance",
    "AttackTimeError",
    "EnvelopeDistance",
    "FeatureError",
    "ItemMetric",
    "LevelDifference",
    "LogSpectralDistance",
    "LossMetric",
    "LoudSpectralDistance",
    "MFCCError",
    "OctaveDifference",
    "ModeDecayError",
    "ModeFrequencyError",
    "OnsetStrengthDistance",
    "OnsetTimeError",
    "RatioHistogram",
    "RankCorrelation",
    "RatioLockedAccuracy",
    "RawChromaAccuracy",
    "RawPitchAccuracy",
    "Slope",
    "SpectralFluxOnsetError",
    "SpectralWasserstein",
    "WaveformMSE",
    "WeightedMFCCError",
]
