"""A distance of cepstra that listens where the sound is."""

from jaxtyping import Float
from torch import Tensor

from drumblender.dsp.cepstra import mel_cepstrum
from drumblender.dsp.checks import check_sounds
from drumblender.dsp.spectra import power, stft
from drumblender.metrics.base import ItemMetric
from drumblender.types import Audio


class WeightedMFCCError(ItemMetric):
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
    """

    def __init__(
        self,
        sample_rate: int = 48000,
        n_mfcc: int = 20,
        n_fft: int = 2048,
        hop_length: int = 256,
        skip: int = 0,
    ) -> None:
        super().__init__()
        if min(sample_rate, n_mfcc, n_fft, hop_length) < 1:
            raise ValueError(f"Sizes start at 1, got {sample_rate=}, {n_mfcc=}, {n_fft=}, {hop_length=}.")
        if not 0 <= skip < n_mfcc:
            raise ValueError(f"Of {n_mfcc} coefficients 0 to {n_mfcc - 1} can be left out, got {skip=}.")
        self.sample_rate, self.n_mfcc = sample_rate, n_mfcc
        self.n_fft, self.hop_length, self.skip = n_fft, hop_length, skip

    def per_item(self, prediction: Audio, target: Audio) -> Float[Tensor, "batch"]:
        check_sounds(prediction, target)
        cepstra = [
            mel_cepstrum(
                audio,
                sample_rate=self.sample_rate,
                num_coefficients=self.n_mfcc,
                n_fft=self.n_fft,
                hop_length=self.hop_length,
            )[..., self.skip :]
            for audio in (prediction, target)
        ]
        weight = power(stft(target, self.n_fft, self.hop_length)).sum(dim=2).sqrt() + 1e-8
        distance = (cepstra[0] - cepstra[1]).abs().sum(dim=2)
        return (distance * weight).sum(dim=1) / weight.sum(dim=1)
