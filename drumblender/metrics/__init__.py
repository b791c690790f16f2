"""torchmetrics, never differentiated."""

from drumblender.metrics.base import ItemMetric, LossMetric
from drumblender.metrics.features import FeatureError
from drumblender.metrics.onset import OnsetTimeError, SpectralFluxOnsetError
from drumblender.metrics.spectral import LogSpectralDistance, MFCCError

__all__ = [
    "FeatureError",
    "ItemMetric",
    "LogSpectralDistance",
    "LossMetric",
    "MFCCError",
    "OnsetTimeError",
    "SpectralFluxOnsetError",
]
