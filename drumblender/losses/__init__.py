"""Modules, (prediction, target) -> scalar."""

from drumblender.losses.bands import BandLoss
from drumblender.losses.channelled import Channelled
from drumblender.losses.controls import ControlLoss
from drumblender.losses.features import FeatureDifferenceLoss
from drumblender.losses.spectral import FirstOrderDifferenceLoss, MultiResolutionSTFTLoss
from drumblender.losses.weighted import WeightedLoss

__all__ = [
    "Channelled",
    "BandLoss",
    "ControlLoss",
    "FeatureDifferenceLoss",
    "FirstOrderDifferenceLoss",
    "MultiResolutionSTFTLoss",
    "WeightedLoss",
]
