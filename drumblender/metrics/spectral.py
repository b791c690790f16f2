"""Metrics on spectra and cepstra."""

from typing import Literal

from jaxtyping import Float
from torch import Tensor

from drumblender.dsp.cepstra import mel_cepstrum
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


class MFCCError(ItemMetric):
    """Distance of mel cepstra: the absolute difference averaged over frames and summed over coefficients.

    Args:
        sample_rate: Samples per second.
        n_mfcc: Coefficients compared, of 128 mel bands.
        n_fft: Points of the FFT.
        hop_length: Samples between frames.
        floor: Levels count down to 80 dB below the loudest of the ``"batch"``, as published, or of the
            ``"item"``, so that the value does not depend on what else is in the batch.
    """

    def __init__(
        self,
        sample_rate: int = 48000,
        n_mfcc: int = 40,
        n_fft: int = 2048,
        hop_length: int = 128,
        floor: Literal["batch", "item"] = "batch",
    ) -> None:
        super().__init__()
        if min(sample_rate, n_mfcc, n_fft, hop_length) < 1:
            raise ValueError(f"Sizes start at 1, got {sample_rate=}, {n_mfcc=}, {n_fft=}, {hop_length=}.")
        if floor not in ("batch", "item"):
            raise ValueError(f"floor is of the 'batch' or the 'item', got {floor!r}.")
        self.sample_rate, self.n_mfcc = sample_rate, n_mfcc
        self.n_fft, self.hop_length, self.floor = n_fft, hop_length, floor

    def per_item(self, prediction: Audio, target: Audio) -> Float[Tensor, "batch"]:
        check_sounds(prediction, target)
        cepstra = [
            mel_cepstrum(
                audio,
                sample_rate=self.sample_rate,
                num_coefficients=self.n_mfcc,
                n_fft=self.n_fft,
                hop_length=self.hop_length,
                loudest=self.floor,
            )
            for audio in (prediction, target)
        ]
        return (cepstra[0] - cepstra[1]).abs().mean(dim=1).sum(dim=1)
