"""Modules, (prediction, target) -> scalar."""

from drumblender.losses.bands import BandLoss
from drumblender.losses.channelled import Channelled
from drumblender.losses.controls import ControlLoss, MeanDifference
from drumblender.losses.distributions import CumulativeEnergyLoss, KLDivergenceLoss
from drumblender.losses.features import FeatureDifferenceLoss
from drumblender.losses.multi_scale import MultiScaleSpectralLoss
from drumblender.losses.spectral import FirstOrderDifferenceLoss, MultiResolutionSTFTLoss
from drumblender.losses.transport import SlicedTransportLoss, SpectralTransportLoss
from drumblender.losses.weighted import WeightedLoss

__all__ = [
    "Channelled",
    "BandLoss",
    "ControlLoss",
    "CumulativeEnergyLoss",
    "FeatureDifferenceLoss",
    "FirstOrderDifferenceLoss",
    "KLDivergenceLoss",
    "MeanDifference",
    "MultiResolutionSTFTLoss",
    "MultiScaleSpectralLoss",
    "SlicedTransportLoss",
    "SpectralTransportLoss",
    "WeightedLoss",
]
