"""What analyses of bands share: which bands, and how many frames are averaged."""

from torch import Tensor

from drumblender.dsp.bands import band_powers, smoothed
from drumblender.features.analysis import Analysis
from drumblender.types import Audio


class BandAnalysis(Analysis):
    """An analysis in the bands of a synth: at even steps of the ERB-rate, frame by frame.

    Args:
        sample_rate: Samples per second.
        num_bands, n_fft, hop_length, low_hz, high_hz: As the synth has them; None: 96 % of Nyquist.
        smooth_frames: Frames that are averaged, an odd number.

    Raises:
        ValueError: An even number of frames.
    """

    def __init__(
        self,
        sample_rate: int,
        num_bands: int,
        n_fft: int,
        hop_length: int,
        low_hz: float,
        high_hz: float | None,
        smooth_frames: int,
    ) -> None:
        super().__init__()
        if smooth_frames < 1 or smooth_frames % 2 == 0:
            raise ValueError(f"A mean around a frame takes an odd number of them, got {smooth_frames=}.")
        self.sample_rate, self.smooth_frames = sample_rate, smooth_frames
        self.bands = {
            "n_fft": n_fft,
            "hop_length": hop_length,
            "sample_rate": sample_rate,
            "num_bands": num_bands,
            "low_hz": low_hz,
            "high_hz": 0.48 * sample_rate if high_hz is None else high_hz,
        }

    def smooth_powers(self, sound: Audio) -> Tensor:
        """Powers of the bands, averaged over frames, ``(batch, frames, bands)``."""
        return smoothed(band_powers(sound, **self.bands), self.smooth_frames)
