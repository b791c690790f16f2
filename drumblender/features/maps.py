"""Maps of a sound over time and frequency: what spectral losses compare and pitch encoders read."""

import math
from abc import ABC, abstractmethod
from typing import Literal

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor, nn

from drumblender.dsp.cepstra import mel_bands
from drumblender.dsp.cqt import CQTSettings, cqt_magnitudes
from drumblender.dsp.roots import safe_root
from drumblender.dsp.short_time import Frames, named_window, short_time_magnitudes
from drumblender.types import Audio

Spectrogram = Float[Tensor, "batch frames bins"]


class SpectralMap(nn.Module, ABC):
    """Shows how much of each frequency a sound has at each time.

    Attributes:
        freqs_hz: Where each bin lies; a buffer that is not in the state.

    Examples:
        >>> class Spectrum(SpectralMap):
        ...     def __init__(self):
        ...         super().__init__(np.fft.rfftfreq(512, 1 / 16000))
        ...
        ...     def forward(self, audio):
        ...         return torch.fft.rfft(audio.unfold(-1, 512, 256)).abs()
        >>> spectrum = Spectrum()
        >>> spectrum(torch.zeros(1, 1024)).shape, spectrum.freqs_hz.shape
        (torch.Size([1, 3, 257]), torch.Size([257]))
    """

    freqs_hz: Float[Tensor, "bins"]

    def __init__(self, freqs_hz: np.ndarray) -> None:
        super().__init__()
        self.register_buffer("freqs_hz", torch.from_numpy(freqs_hz).float(), persistent=False)

    @abstractmethod
    def forward(self, audio: Audio) -> Spectrogram:
        """Magnitudes, not below 0 unless the map has a logarithm."""


class STFT(SpectralMap):
    """Magnitudes ``|FFT| / sqrt(n_fft)`` of frames that start on sample 0.

    Examples:
        >>> STFT(n_fft=512)(torch.zeros(2, 4096)).shape
        torch.Size([2, 15, 257])

    Args:
        n_fft: Samples of a frame and points of its FFT.
        hop_length: Samples from a frame to the next.
        sample_rate: Samples per second.
        window: Name of a periodic window, as scipy has them.
        frames: ``"full"``: frames within the sound; ``"padded"``: as published, one for every hop, those at
            the end filled up with zeros.
        log: ``ln max(magnitude, 1e-5)`` instead.
        reduce: The mean over all frames, as one frame.
    """

    def __init__(
        self,
        n_fft: int = 1024,
        hop_length: int = 256,
        sample_rate: int = 16000,
        window: str = "hann",
        frames: Frames = "full",
        log: bool = False,
        reduce: bool = False,
    ) -> None:
        if min(n_fft, hop_length, sample_rate) < 1:
            raise ValueError(f"Sizes start at 1, got {n_fft=}, {hop_length=}, {sample_rate=}.")
        super().__init__(np.arange(n_fft // 2 + 1) * (sample_rate / n_fft))
        if frames not in ("full", "padded"):
            raise ValueError(f"frames is 'full' or 'padded', got {frames!r}.")
        self.register_buffer("window", named_window(window, n_fft).float(), persistent=False)
        self.n_fft, self.hop_length, self.sample_rate = n_fft, hop_length, sample_rate
        self.frames: Frames = frames
        self.log, self.reduce = log, reduce

    def forward(self, audio: Audio) -> Spectrogram:
        magnitudes = short_time_magnitudes(audio, self.n_fft, self.hop_length, self.window, self.frames)
        if self.reduce:
            magnitudes = magnitudes.mean(dim=1, keepdim=True)
        return magnitudes.clamp(min=1e-5).log() if self.log else magnitudes


class Mel(SpectralMap):
    """Power in mel bands (HTK triangles), the root of it: magnitudes of an :class:`STFT` joined in bands.

    Args:
        num_mels: Bands between 0 and Nyquist.
        n_fft: Samples of a frame and points of its FFT.
        hop_length: Samples from a frame to the next.
        sample_rate: Samples per second.
        window: Name of a periodic window, as scipy has them.
        frames: As an :class:`STFT` has them.

    Examples:
        >>> mel = Mel(num_mels=40)
        >>> mel(torch.zeros(2, 4096)).shape, bool(mel.freqs_hz[-1] < 8000)
        (torch.Size([2, 9, 40]), True)
    """

    def __init__(
        self,
        num_mels: int = 128,
        n_fft: int = 2048,
        hop_length: int = 256,
        sample_rate: int = 16000,
        window: str = "hann",
        frames: Frames = "full",
    ) -> None:
        if not 1 <= num_mels <= n_fft // 2:
            raise ValueError(f"Need 1 to n_fft / 2 = {n_fft // 2} mel bands, got {num_mels=}.")
        highest = 2595 * math.log10(1 + sample_rate / 2 / 700)
        centres = np.linspace(0, highest, num_mels + 2)[1:-1]
        super().__init__(700 * (10 ** (centres / 2595) - 1))
        self.stft = STFT(n_fft, hop_length, sample_rate, window, frames)
        bands = mel_bands(n_fft // 2 + 1, 0.0, num_mels, sample_rate)
        self.register_buffer("bands", bands.clone(), persistent=False)

    def forward(self, audio: Audio) -> Spectrogram:
        power = self.stft(audio).square() @ self.bands.to(audio.dtype)
        return safe_root(power)


class CQT(SpectralMap):
    """Magnitudes of a constant-Q transform in librosa's scale (nnAudio's ``CQT1992v2``), centred frames.

    Examples:
        >>> CQT()(torch.zeros(1, 4095)).shape
        torch.Size([1, 16, 285])

    Args:
        bins_per_semitone: Bins in a semitone.
        fmin: Frequency of the lowest bin, in Hz.
        n_bins: Number of bins; ``"auto"``: as many whole semitones as fit below Nyquist.
        hop_length: Samples from a frame to the next.
        sample_rate: Samples per second.
        pad_mode: What is heard before and after the sound: nothing (``"constant"``) or its mirror image.
        log: ``20 ln max(magnitude, 1.19e-7)`` instead.
        reduce: The mean over all frames, as one frame.
    """

    def __init__(
        self,
        bins_per_semitone: int = 3,
        fmin: float = 32.7,
        n_bins: int | Literal["auto"] = "auto",
        hop_length: int = 256,
        sample_rate: int = 16000,
        pad_mode: Literal["constant", "reflect"] = "constant",
        log: bool = False,
        reduce: bool = False,
    ) -> None:
        settings = CQTSettings(
            sample_rate=sample_rate,
            hop_length=hop_length,
            fmin_hz=fmin,
            n_bins=cqt_bins(sample_rate, fmin, bins_per_semitone) if n_bins == "auto" else n_bins,
            bins_per_octave=12 * bins_per_semitone,
            scale="sqrt_length",
            pad_mode=pad_mode,
        )
        super().__init__(settings.freqs_hz)
        self.settings, self.log, self.reduce = settings, log, reduce

    def forward(self, audio: Audio) -> Spectrogram:
        magnitudes = cqt_magnitudes(audio, self.settings).transpose(1, 2)
        if self.reduce:
            magnitudes = magnitudes.mean(dim=1, keepdim=True)
        return 20 * magnitudes.clamp(min=1.19e-7).log() if self.log else magnitudes


def cqt_bins(sample_rate: float, fmin: float, bins_per_semitone: int) -> int:
    """Bins of all whole semitones between ``fmin`` and Nyquist.

    Examples:
        >>> cqt_bins(16000, 32.7, 3)
        285
    """
    if not 0 < fmin < sample_rate / 2 or bins_per_semitone < 1:
        raise ValueError(f"Need 0 < fmin < {sample_rate / 2:g} Hz, got {fmin=}, {bins_per_semitone=}.")
    return math.floor(12 * math.log2(sample_rate / 2 / fmin)) * bins_per_semitone
