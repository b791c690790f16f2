"""Centroid, spread, flatness and flux of the spectrum of a frame."""

from abc import abstractmethod
from typing import Literal

import torch
from jaxtyping import Float
from torch import Tensor

from drumblender.dsp.moments import (
    WINDOWS,
    centroid_bins,
    flatness,
    flux,
    frame_magnitudes,
    spread_bins,
    weigh,
)
from drumblender.dsp.units import hz_to_midi, midi_to_hz
from drumblender.features.base import Feature
from drumblender.types import Audio

Window = Literal["hann", "flat_top", "symmetric_hann", "none"]
_EPS = 1e-8


class SpectralFeature(Feature):
    """A feature of the magnitude spectrum of a whole frame.

    Features of the same frames share the spectra: they are computed once for each window.

    Args:
        window: ``hann`` (periodic), ``flat_top`` or ``symmetric_hann`` (both end where they began), ``none``.
    """

    def __init__(self, window: Window = "hann") -> None:
        super().__init__()
        if window not in WINDOWS:
            raise ValueError(f"window is one of {', '.join(WINDOWS)}, got {window!r}.")
        self.window = window

    @abstractmethod
    def from_magnitudes(self, magnitude: Float[Tensor, "... bins"], frame_size: int) -> Tensor:
        """The feature of spectra of frames of ``frame_size`` samples."""

    def forward(self, audio: Float[Tensor, "... samples"]) -> Tensor:
        size = audio.shape[-1]
        rows = audio.reshape(-1, size)
        (magnitude,) = frame_magnitudes(rows, (self.window,), frame_size=size, hop_length=size)
        return self.from_magnitudes(magnitude.view(*audio.shape[:-1], -1), size)

    def over_frames(self, audio: Audio, frame_size: int, hop_length: int) -> Float[Tensor, "batch frames"]:
        (magnitude,) = frame_magnitudes(audio, (self.window,), frame_size=frame_size, hop_length=hop_length)
        return self.from_magnitudes(magnitude, frame_size)


class SpectralCentroid(SpectralFeature):
    """The mean frequency, weighted by the magnitudes: how bright a sound is.

    Args:
        sample_rate: Samples per second.
        window: Analysis window.
        compress: Weigh by ``log(1 + magnitude)``.
        floor: Magnitudes below it count as this much. Silence without a floor has centroid 0, which is
            -inf on the ``kazazis`` scale.
        scaling: ``semitone`` gives MIDI note numbers, ``kazazis`` the perceptual scale of Kazazis et al.
            (2021), ``none`` Hz.
        epsilon: Added to the Hz that become semitones; with 0, silence has the number 0.

    Examples:
        >>> tones = torch.sin(2 * torch.pi * torch.tensor([[1000], [3000]]) / 16000 * torch.arange(2048))
        >>> [round(hz, -2) for hz in SpectralCentroid(16000, scaling="none")(tones).tolist()]
        [1000.0, 3000.0]
    """

    def __init__(
        self,
        sample_rate: int,
        window: Window = "hann",
        compress: bool = False,
        floor: float | None = None,
        scaling: Literal["semitone", "kazazis", "none"] = "semitone",
        epsilon: float = _EPS,
    ) -> None:
        super().__init__(window)
        if scaling not in ("semitone", "kazazis", "none"):
            raise ValueError(f"scaling is 'semitone', 'kazazis' or 'none', got {scaling!r}.")
        if epsilon < 0:
            raise ValueError(f"epsilon is 0 or more, got {epsilon}.")
        self.sample_rate, self.compress, self.floor, self.scaling = sample_rate, compress, floor, scaling
        self.epsilon = epsilon

    def from_magnitudes(self, magnitude: Float[Tensor, "... bins"], frame_size: int) -> Float[Tensor, "..."]:
        bins = centroid_bins(magnitude, compress=self.compress, floor=self.floor)
        centroid_hz = bins * (self.sample_rate / frame_size)
        if self.scaling == "semitone":
            lifted_hz = centroid_hz + self.epsilon
            return hz_to_midi(torch.where(lifted_hz > 0, lifted_hz, midi_to_hz(torch.zeros_like(lifted_hz))))
        if self.scaling == "kazazis":
            return -34.61 * centroid_hz**-0.1621 + 21.2985
        return centroid_hz

    def to_hz(self, value: Tensor) -> Tensor:
        """The frequency that stands at ``value`` of the scale: undoes ``scaling``, of any shape.

        Values that no frequency has, from 21.2985 up on the ``kazazis`` scale, give NaN.

        Examples:
            >>> tone = torch.sin(2 * torch.pi * 1000 / 16000 * torch.arange(2048))
            >>> centroid = SpectralCentroid(16000, scaling="kazazis")
            >>> round(centroid.to_hz(centroid(tone)).item(), -2)
            1000.0
        """
        if self.scaling == "semitone":
            return midi_to_hz(value)
        if self.scaling == "kazazis":
            return ((21.2985 - value) / 34.61) ** (-1 / 0.1621)
        return value


class SpectralSpread(SpectralFeature):
    """The variance of the spectrum around its centroid, in bins squared.

    Args:
        window: Analysis window.
        compress: Weigh by ``log(1 + magnitude)``.
        floor: Magnitudes below it count as this much.

    Examples:
        >>> tone, noise = torch.sin(0.4 * torch.arange(2048)), torch.randn(2048)
        >>> spread = SpectralSpread()
        >>> bool(spread(tone) < spread(noise))
        True
    """

    def __init__(self, window: Window = "hann", compress: bool = False, floor: float | None = None) -> None:
        super().__init__(window)
        self.compress, self.floor = compress, floor

    def from_magnitudes(self, magnitude: Float[Tensor, "... bins"], frame_size: int) -> Float[Tensor, "..."]:
        return spread_bins(magnitude, compress=self.compress, floor=self.floor)


class SpectralFlatness(SpectralFeature):
    """Geometric over arithmetic mean of the power, in dB: 0 for noise, down to -160 for a pure tone.

    Twice the dB of the ratio (20 log10 of powers), as published.

    Args:
        amin: Powers below it count as this much.
        window: Analysis window.
        compress: Take the power of ``log(1 + magnitude)``.
        epsilon: Added to the ratio, which keeps it above -160 dB.

    Examples:
        >>> tone, noise = torch.sin(0.4 * torch.arange(2048)), torch.randn(2048)
        >>> flatness_db = SpectralFlatness()
        >>> bool(flatness_db(tone) < -60), bool(flatness_db(noise) > -10)
        (True, True)
    """

    def __init__(
        self, amin: float = 1e-10, window: Window = "hann", compress: bool = False, epsilon: float = _EPS
    ) -> None:
        super().__init__(window)
        if amin <= 0 or epsilon < 0:
            raise ValueError(
                f"amin keeps the logarithm finite: above 0, and epsilon 0 or more, got {amin=}, {epsilon=}."
            )
        self.amin, self.compress, self.epsilon = amin, compress, epsilon

    def from_magnitudes(self, magnitude: Float[Tensor, "... bins"], frame_size: int) -> Float[Tensor, "..."]:
        return 20 * torch.log10(
            flatness(weigh(magnitude, self.compress, None), amin=self.amin) + self.epsilon
        )


class SpectralFlux(SpectralFeature):
    """How much louder the bins get from each frame to the next: squared, summed over the bins.

    Takes frames, ``(..., frames, samples)``, and gives one value less than there are frames.

    Examples:
        >>> frames = torch.stack([torch.zeros(256), torch.ones(256), torch.zeros(256)])
        >>> [value > 0 for value in SpectralFlux()(frames).tolist()]  # it rises, then it falls
        [True, False]
    """

    frames_joined = 2

    def __init__(self) -> None:
        super().__init__("hann")

    def from_magnitudes(self, magnitude: Float[Tensor, "... frames bins"], frame_size: int) -> Tensor:
        if magnitude.ndim < 2 or magnitude.shape[-2] < 2:
            raise ValueError(f"SpectralFlux needs at least 2 frames, got {tuple(magnitude.shape[:-1])}.")
        return flux(magnitude)
