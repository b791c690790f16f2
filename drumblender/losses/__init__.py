"""Modules, (prediction, target) -> scalar."""

from drumblender.losses.spectral import FirstOrderDifferenceLoss, MultiResolutionSTFTLoss
from drumblender.losses.weighted import WeightedLoss

__all__ = ["FirstOrderDifferenceLoss", "MultiResolutionSTFTLoss", "WeightedLoss"]
