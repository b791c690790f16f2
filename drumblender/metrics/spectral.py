"""A distance of spectra."""

from jaxtyping import Float
from torch import Tensor

from drumblender.dsp.checks import check_sounds
from drumblender.dsp.spectral_distance import log_spectral_distance
from drumblender.metrics.base import ItemMetric
from drumblender.types import Audio


class LogSpectralDistance(ItemMetric):
    """Distance of log power spectra: the root mean square over bins, averaged over frames.

    In natural logarithms, as published; times 10 / ln 10 = 4.34 it is in decibels.

    Args:
        n_fft: Points of the FFT and of its periodic Hann window. The published tables used 8092 (not 8192).
        hop_length: Samples between frames.
        eps: Added to powers, so that silence is finite.

    Examples:
        >>> import torch
        >>> sound = torch.randn(1, 16000)
        >>> distance = LogSpectralDistance(n_fft=1024, hop_length=256).per_item(10 * sound, sound)
        >>> round(4.343 * distance.item(), 1)  # in dB
        20.0
    """

    def __init__(self, n_fft: int = 8092, hop_length: int = 64, eps: float = 1e-8) -> None:
        super().__init__()
        if min(n_fft, hop_length) < 1:
            raise ValueError(f"Sizes start at 1, got {n_fft=}, {hop_length=}.")
        if not eps > 0:
            raise ValueError(f"eps must be above 0, got {eps}.")
        self.n_fft, self.hop_length, self.eps = n_fft, hop_length, eps

    def per_item(self, prediction: Audio, target: Audio) -> Float[Tensor, "batch"]:
        check_sounds(prediction, target)
        return log_spectral_distance(
            prediction, target, n_fft=self.n_fft, hop_length=self.hop_length, eps=self.eps
        ).mean(dim=1)
