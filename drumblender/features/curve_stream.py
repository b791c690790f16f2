"""The curves of a melody from sound as it comes, block by block, for playing live."""

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from drumblender.dsp.spectra import hann_window, power
from drumblender.features.note_curves import LOWEST_HZ, NoteCurves, brightness_points, centroid_hz
from drumblender.features.note_position import NotePosition
from drumblender.features.trackers import YINTracker


class CurveStream:
    """Measures what :class:`NoteCurves` measures with ``tracker: yin``, from blocks of any size.

    A frame is told once all that it hears has come, which for YIN is half of its frame after the frame's
    place. Frames before the first sure pitch have their own guess, where the whole has the first sure one.

    Args:
        measure: What to measure. Its tracker is replaced by YIN, the one that needs no later sound.
        yin_frame: Samples that YIN hears; fewer are sooner, and lose low notes.
        hold_below: Periodicity below which the last sure pitch is kept; None: as suits YIN.

    Attributes:
        reach_samples: Samples after its place that a frame waits for.

    Raises:
        ValueError: The loudness is weighted by a curve of hearing, which hears all of a sound.

    Examples:
        >>> stream = CurveStream(NoteCurves(tracker="yin"))
        >>> sine = torch.sin(2 * torch.pi * 220 * torch.arange(16000) / 16000)
        >>> curves = [stream.push(block) for block in sine.split(256)]
        >>> f0_hz = torch.cat([some["f0_hz"] for some in curves])
        >>> len(f0_hz), f0_hz.median().round()
        (94, tensor(220.))
    """

    def __init__(self, measure: NoteCurves, yin_frame: int = 2048, hold_below: float | None = None) -> None:
        if measure.loudness.weighting != "none":
            raise ValueError(
                f"A stream cannot weight loudness by {measure.loudness.weighting!r}, which hears all of a "
                "sound: take a model trained with weighting='none'."
            )
        self.sample_rate, self.hop_length = measure.sample_rate, measure.hop_length
        self.loudness = measure.loudness
        self._yin = YINTracker(self.hop_length / self.sample_rate)
        if self.sample_rate != self._yin.sample_rate:
            raise ValueError(f"A stream is at {self._yin.sample_rate} Hz, the curves at {self.sample_rate}.")
        least = 2 * self.sample_rate / self._yin.lowest_hz
        if yin_frame % 2 or yin_frame < least:
            raise ValueError(f"YIN hears an even number of at least {least:.0f} samples, not {yin_frame}.")
        self._yin.frame = yin_frame
        self.hold_below = self._yin.threshold if hold_below is None else hold_below
        self._points = brightness_points(self.sample_rate)
        self.reach_samples = max(yin_frame, self.loudness.frame_size + 1, self._points) // 2
        self.reset()

    def reset(self) -> None:
        """Start again at sample 0."""
        self._held = torch.zeros(self.reach_samples)  # from `reach_samples` before the next frame on
        self._sure_hz: float | None = None
        self._position = NotePosition(self.hop_length / self.sample_rate, voiced_above=self.hold_below)

    @torch.no_grad()
    def push(self, block: Float[Tensor, "samples"]) -> dict[str, Float[Tensor, "frames"]]:
        """Curves of the frames that this block completes, perhaps none; what is no number counts as 0.

        Raises:
            ValueError: The block is not mono.
        """
        if block.ndim != 1:
            raise ValueError(f"A block is mono, (samples,); got shape {tuple(block.shape)}.")
        self._held = torch.cat([self._held, block.float().nan_to_num(posinf=0.0, neginf=0.0)])
        frames = max(0, (len(self._held) - 2 * self.reach_samples) // self.hop_length + 1)
        curves = self._measure(frames)
        self._held = self._held[frames * self.hop_length :]
        return curves

    def _measure(self, frames: int) -> dict[str, Tensor]:
        if not frames:
            names = ("f0_hz", "periodicity", "loudness_db", "age_s", "peak_db", "brightness_hz")
            return {name: torch.zeros(0) for name in names}
        pitch, sure = self._yin.frames(self._under(self._yin.frame, frames).double().numpy(), self.hop_length)
        periodicity = torch.from_numpy(np.nan_to_num(sure).clip(0, 1)).float()
        f0_hz = self._hold(
            torch.from_numpy(pitch).float().clamp(LOWEST_HZ, self.sample_rate / 2), periodicity
        )
        size = self.loudness.frame_size
        loudness_db = self.loudness.level(self._under(size, frames).square().unfold(0, size, self.hop_length))
        age_s, peak_db, _ = self._position.advance(f0_hz, loudness_db, periodicity)
        cut = self._under(self._points, frames).unfold(0, self._points, self.hop_length)
        spectra = power(torch.fft.rfft(cut * hann_window(self._points))[None])[0]
        return {
            "f0_hz": f0_hz,
            "periodicity": periodicity,
            "loudness_db": loudness_db,
            "age_s": age_s,
            "peak_db": peak_db,
            "brightness_hz": centroid_hz(spectra, self.sample_rate),
        }

    def _under(self, size: int, frames: int) -> Tensor:
        """The sound under the next frames of ``size`` samples, each centred on its hop."""
        first = self.reach_samples - size // 2
        return self._held[first : first + (frames - 1) * self.hop_length + size]

    def _hold(self, f0_hz: Tensor, periodicity: Tensor) -> Tensor:
        held = f0_hz.tolist()
        for frame, sure in enumerate((periodicity >= self.hold_below).tolist()):
            if sure:
                self._sure_hz = held[frame]
            elif self._sure_hz is not None:
                held[frame] = self._sure_hz
        return torch.tensor(held)
