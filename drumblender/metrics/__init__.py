"""torchmetrics, never differentiated."""

from drumblender.metrics.attack import AttackTimeError, EnvelopeDistance, OnsetStrengthDistance
from drumblender.metrics.base import ItemMetric, LossMetric
from drumblender.metrics.decay import ModeDecayError, ModeFrequencyError
from drumblender.metrics.features import FeatureError
from drumblender.metrics.mfcc import WeightedMFCCError
from drumblender.metrics.onset import OnsetTimeError, SpectralFluxOnsetError
from drumblender.metrics.spectral import LogSpectralDistance, MFCCError

__all__ = [
    "AttackTimeError",
    "EnvelopeDistance",
    "FeatureError",
    "ItemMetric",
    "LogSpectralDistance",
    "LossMetric",
    "MFCCError",
    "ModeDecayError",
    "ModeFrequencyError",
    "OnsetStrengthDistance",
    "OnsetTimeError",
    "SpectralFluxOnsetError",
    "WeightedMFCCError",
]
