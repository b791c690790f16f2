"""torchmetrics, never differentiated."""

from drumblender.metrics.bands import BandLevelDistance, LoudSpectralDistance
from drumblender.metrics.base import ItemMetric, LossMetric
from drumblender.metrics.features import FeatureError
from drumblender.metrics.level import AttackTimeDifference, LevelDifference
from drumblender.metrics.onset import OnsetTimeError, SpectralFluxOnsetError
from drumblender.metrics.spectral import LogSpectralDistance, MFCCError

__all__ = [
    "AttackTimeDifference",
    "BandLevelDistance",
    "FeatureError",
    "ItemMetric",
    "LevelDifference",
    "LogSpectralDistance",
    "LossMetric",
    "LoudSpectralDistance",
    "MFCCError",
    "OnsetTimeError",
    "SpectralFluxOnsetError",
]
