"""How far apart the levels of two sounds are, band by band and bin by bin."""

import math

import torch
from jaxtyping import Float
from torch import Tensor

from drumblender.dsp.bands import band_powers, smoothed
from drumblender.dsp.checks import check_sounds
from drumblender.dsp.spectra import power, stft
from drumblender.metrics.base import ItemMetric
from drumblender.types import Audio


class BandLevelDistance(ItemMetric):
    """Mean distance of band levels, in dB: whether level and colour are right.

    Powers in mel bands, a frame every 5 ms, are smoothed over some frames, so that the randomness of noise
    hardly counts. Cells count where either sound is above the floor; what lies below it is lifted to it. Two
    silent sounds are at distance 0.

    Args:
        sample_rate: Samples per second.
        num_bands: Mel bands between ``low_hz`` and ``high_hz`` (or 95 % of Nyquist, if that is lower).
        low_hz, high_hz: Centres of the outermost bands.
        hop_s: From frame to frame, in seconds.
        smooth_frames: Frames that are averaged, an odd number.
        floor_db: Under the loudest cell of the target.

    Examples:
        >>> sound = torch.randn(1, 48000, generator=torch.Generator().manual_seed(0))
        >>> round(BandLevelDistance(48000).per_item(2 * sound, sound).item(), 2)
        6.02
    """

    def __init__(
        self,
        sample_rate: int,
        num_bands: int = 32,
        low_hz: float = 50.0,
        high_hz: float = 18000.0,
        hop_s: float = 0.005,
        smooth_frames: int = 5,
        floor_db: float = -60.0,
    ) -> None:
        super().__init__()
        if sample_rate < 1 or hop_s <= 0 or floor_db >= 0:
            raise ValueError(
                f"Need a rate, a hop and a floor below 0 dB, got {sample_rate=}, {hop_s=}, {floor_db=}."
            )
        self.sample_rate, self.smooth_frames, self.floor_db = sample_rate, smooth_frames, floor_db
        self.bands = {
            "n_fft": 2 ** round(math.log2(sample_rate * 0.0214)),  # 1024 at 48 kHz
            "hop_length": max(1, round(sample_rate * hop_s)),
            "sample_rate": sample_rate,
            "num_bands": num_bands,
            "low_hz": low_hz,
            "high_hz": min(high_hz, 0.95 * sample_rate / 2),
            "scale": "mel",
        }

    def per_item(self, prediction: Audio, target: Audio) -> Float[Tensor, "batch"]:
        check_sounds(prediction, target)
        powers = [
            smoothed(band_powers(audio.detach(), **self.bands), self.smooth_frames)
            for audio in (prediction, target)
        ]
        floor = powers[1].amax(dim=(1, 2), keepdim=True).clamp(min=1e-20) * 10 ** (self.floor_db / 10)
        heard = (powers[0] > floor) | (powers[1] > floor)
        levels_db = [10 * torch.log10(torch.maximum(part, floor)) for part in powers]
        distance = (levels_db[0] - levels_db[1]).abs() * heard
        return distance.sum(dim=(1, 2)) / heard.sum(dim=(1, 2)).clamp(min=1)


class LoudSpectralDistance(ItemMetric):
    """Distance of spectra in dB where the target sounds: root mean square over bins, mean over loud frames.

    Unlike :class:`~drumblender.metrics.LogSpectralDistance` it is blind to what nobody hears: levels end at a
    floor, and frames count only where the target is loud enough.

    Args:
        n_fft: Points of the FFT and of its periodic Hann window.
        hop_length: Samples between frames.
        floor_db: Levels end here, under the loudest bin of the target.
        frame_floor_db: Frames count whose power is above this, under the loudest frame of the target.

    Examples:
        >>> sound = torch.randn(1, 16000, generator=torch.Generator().manual_seed(0))
        >>> round(LoudSpectralDistance().per_item(2 * sound, sound).item(), 2)
        6.02
    """

    def __init__(
        self, n_fft: int = 2048, hop_length: int = 512, floor_db: float = -80.0, frame_floor_db: float = -60.0
    ) -> None:
        super().__init__()
        if min(n_fft, hop_length) < 1 or max(floor_db, frame_floor_db) >= 0:
            raise ValueError(
                f"Sizes start at 1 and floors end below 0, got {n_fft=}, {hop_length=}, {floor_db=}, "
                f"{frame_floor_db=}."
            )
        self.n_fft, self.hop_length = n_fft, hop_length
        self.floor_db, self.frame_floor_db = floor_db, frame_floor_db

    def per_item(self, prediction: Audio, target: Audio) -> Float[Tensor, "batch"]:
        check_sounds(prediction, target)
        powers = [
            power(stft(audio.detach(), self.n_fft, self.hop_length, pad_mode="constant"))
            for audio in (prediction, target)
        ]
        floor = powers[1].amax(dim=(1, 2), keepdim=True).clamp(min=1e-20) * 10 ** (self.floor_db / 10)
        levels_db = [10 * torch.log10(torch.maximum(part, floor)) for part in powers]
        frame = powers[1].sum(dim=2)
        heard = frame > frame.amax(dim=1, keepdim=True) * 10 ** (self.frame_floor_db / 10)
        distance = (levels_db[0] - levels_db[1]).square().mean(dim=2).sqrt() * heard
        return distance.sum(dim=1) / heard.sum(dim=1).clamp(min=1)
