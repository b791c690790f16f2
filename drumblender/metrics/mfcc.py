"""Distances of mel cepstra: of all frames alike, or of those where the sound is."""

from typing import Literal

from jaxtyping import Float
from torch import Tensor

from drumblender.dsp.cepstra import mel_cepstrum
from drumblender.dsp.checks import check_sounds
from drumblender.dsp.spectra import power, stft
from drumblender.metrics.base import ItemMetric
from drumblender.types import Audio

Loudest = Literal["batch", "item"]


class _CepstralError(ItemMetric):
    """What distances of mel cepstra share.

    Args:
        sample_rate: Samples per second.
        n_mfcc: Coefficients compared, of 128 mel bands.
        n_fft: Points of the FFT.
        hop_length: Samples between frames.
        loudest: Of what levels count down from: the ``"batch"`` or the ``"item"``.

    Raises:
        ValueError: A size below 1.
    """

    def __init__(
        self, sample_rate: int, n_mfcc: int, n_fft: int, hop_length: int, loudest: Loudest = "item"
    ) -> None:
        super().__init__()
        if min(sample_rate, n_mfcc, n_fft, hop_length) < 1:
            raise ValueError(f"Sizes start at 1, got {sample_rate=}, {n_mfcc=}, {n_fft=}, {hop_length=}.")
        self.sample_rate, self.n_mfcc = sample_rate, n_mfcc
        self.n_fft, self.hop_length, self.loudest = n_fft, hop_length, loudest

    def cepstra(self, prediction: Audio, target: Audio) -> list[Float[Tensor, "batch frames coefficients"]]:
        """Of both sounds."""
        check_sounds(prediction, target)
        return [
            mel_cepstrum(
                audio,
                sample_rate=self.sample_rate,
                num_coefficients=self.n_mfcc,
                n_fft=self.n_fft,
                hop_length=self.hop_length,
                loudest=self.loudest,
            )
            for audio in (prediction, target)
        ]


class MFCCError(_CepstralError):
    """Distance of mel cepstra: the absolute difference averaged over frames and summed over coefficients.

    Args:
        sample_rate: Samples per second.
        n_mfcc: Coefficients compared, of 128 mel bands.
        n_fft: Points of the FFT.
        hop_length: Samples between frames.
        floor: Levels count down to 80 dB below the loudest of the ``"batch"``, as published, or of the
            ``"item"``, so that the value does not depend on what else is in the batch.

    Examples:
        >>> import torch
        >>> sound = torch.randn(1, 16000)
        >>> distance = MFCCError(16000, floor="item").per_item(10 * sound, sound)
        >>> round(distance.item() / 128**0.5, 1)  # the 20 dB are in the first coefficient, of 128 bands
        20.0
    """

    def __init__(
        self,
        sample_rate: int = 48000,
        n_mfcc: int = 40,
        n_fft: int = 2048,
        hop_length: int = 128,
        floor: Loudest = "batch",
    ) -> None:
        super().__init__(sample_rate, n_mfcc, n_fft, hop_length, floor)
        if floor not in ("batch", "item"):
            raise ValueError(f"floor is of the 'batch' or the 'item', got {floor!r}.")

    def per_item(self, prediction: Audio, target: Audio) -> Float[Tensor, "batch"]:
        of_prediction, of_target = self.cepstra(prediction, target)
        return (of_prediction - of_target).abs().mean(dim=1).sum(dim=1)


class WeightedMFCCError(_CepstralError):
    """Distance of mel cepstra, averaged over frames with weights: the amplitude that the target has there.

    The absolute difference summed over coefficients. Unlike :class:`MFCCError`, it gives the silence that
    follows a hit no say, and does not depend on how long it is. Frames of a silent target count alike.

    Args:
        sample_rate: Samples per second.
        n_mfcc: Coefficients compared, of 128 mel bands.
        n_fft: Points of the FFT.
        hop_length: Samples between frames.
        skip: Coefficients left out from the lowest; 1 leaves out the level.

    Raises:
        ValueError: A size below 1, or no coefficient left.

    Examples:
        >>> import torch
        >>> sound = torch.randn(1, 16000)
        >>> metric = WeightedMFCCError(16000, skip=1)
        >>> bool(metric.per_item(10 * sound, sound) < 0.01)  # only the first coefficient hears a gain
        True
    """

    def __init__(
        self,
        sample_rate: int = 48000,
        n_mfcc: int = 20,
        n_fft: int = 2048,
        hop_length: int = 256,
        skip: int = 0,
    ) -> None:
        super().__init__(sample_rate, n_mfcc, n_fft, hop_length)
        if not 0 <= skip < n_mfcc:
            raise ValueError(f"Of {n_mfcc} coefficients 0 to {n_mfcc - 1} can be left out, got {skip=}.")
        self.skip = skip

    def per_item(self, prediction: Audio, target: Audio) -> Float[Tensor, "batch"]:
        of_prediction, of_target = (each[..., self.skip :] for each in self.cepstra(prediction, target))
        weight = power(stft(target, self.n_fft, self.hop_length)).sum(dim=2).sqrt() + 1e-8
        distance = (of_prediction - of_target).abs().sum(dim=2)
        return (distance * weight).sum(dim=1) / weight.sum(dim=1)
