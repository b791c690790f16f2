"""Metrics on where and how a sound sets in."""

from typing import Literal

from jaxtyping import Float
from torch import Tensor

from drumblender.dsp.checks import check_sounds
from drumblender.dsp.spectra import magnitude, stft
from drumblender.metrics.base import ItemMetric
from drumblender.types import Audio


class SpectralFluxOnsetError(ItemMetric):
    """Distance of spectral fluxes: the sum over bins of squared rises of the magnitude, frame by frame.

    The absolute difference of both fluxes, averaged over frames. It grows with the square of the level.

    Args:
        n_fft: Points of the FFT and of its periodic Hann window.
        hop_length: Samples between frames, which reach into silence at both ends.
        axis: Rises from bin to bin (``"frequency"``), which the published tables hold under the name of an
            onset error though no onset shows in it; or from frame to frame (``"time"``), which is the flux.

    Examples:
        >>> import torch
        >>> sound, silence = torch.randn(1, 8000), torch.zeros(1, 8000)
        >>> metric = SpectralFluxOnsetError(axis="time")
        >>> round((metric.per_item(2 * sound, silence) / metric.per_item(sound, silence)).item(), 3)
        4.0
    """

    def __init__(
        self, n_fft: int = 1024, hop_length: int = 64, axis: Literal["frequency", "time"] = "frequency"
    ) -> None:
        super().__init__()
        if min(n_fft, hop_length) < 1:
            raise ValueError(f"Sizes start at 1, got {n_fft=}, {hop_length=}.")
        if axis not in ("frequency", "time"):
            raise ValueError(f"axis is 'frequency' or 'time', got {axis!r}.")
        self.n_fft, self.hop_length, self.axis = n_fft, hop_length, axis

    def per_item(self, prediction: Audio, target: Audio) -> Float[Tensor, "batch"]:
        check_sounds(prediction, target)
        flux = [_flux(audio, self.n_fft, self.hop_length, self.axis) for audio in (prediction, target)]
        return (flux[0] - flux[1]).abs().mean(dim=1)


class OnsetTimeError(ItemMetric):
    """How many milliseconds apart prediction and target set in: where each one's flux over time peaks.

    Args:
        sample_rate: Samples per second.
        n_fft: Points of the FFT and of its periodic Hann window.
        hop_length: Samples between frames, which is the resolution.

    Examples:
        >>> import torch
        >>> early, late = torch.nn.functional.one_hot(torch.tensor([480, 960]), 4800).float().split(1)
        >>> round(OnsetTimeError(48000).per_item(late, early).item(), 1)
        10.0
    """

    def __init__(self, sample_rate: int, n_fft: int = 256, hop_length: int = 32) -> None:
        super().__init__()
        if min(sample_rate, n_fft, hop_length) < 1:
            raise ValueError(f"Sizes start at 1, got {sample_rate=}, {n_fft=}, {hop_length=}.")
        self.sample_rate, self.n_fft, self.hop_length = sample_rate, n_fft, hop_length

    def per_item(self, prediction: Audio, target: Audio) -> Float[Tensor, "batch"]:
        check_sounds(prediction, target)
        frame = [
            _flux(audio, self.n_fft, self.hop_length, "time").argmax(dim=1) for audio in (prediction, target)
        ]
        return (frame[0] - frame[1]).abs() * (1000 * self.hop_length / self.sample_rate)


def _flux(audio: Audio, n_fft: int, hop_length: int, axis: str) -> Float[Tensor, "batch frames"]:
    spectrum = magnitude(stft(audio, n_fft, hop_length, pad_mode="constant"))
    if axis == "time" and spectrum.shape[1] < 2:
        raise ValueError(
            f"{audio.shape[-1]} samples are one frame, and a rise takes two: give at least {hop_length=}."
        )
    rise = spectrum.diff(dim=2 if axis == "frequency" else 1).clamp(min=0)
    return rise.square().sum(dim=2)
