"""All curves of a melody that timbre transfer hears: pitch, level, place in the note, brightness."""

from functools import cache

import torch
from jaxtyping import Float
from torch import Tensor, nn

from drumblender.dsp.precision import in_full_precision
from drumblender.dsp.spectra import power, stft
from drumblender.features.frame_loudness import FrameLoudness
from drumblender.features.note_position import note_position
from drumblender.features.trackers import TRACKERS, tracker
from drumblender.features.tracking import Tracker
from drumblender.types import Audio

LOWEST_HZ = 30.0
_SURE = {
    "pesto": 0.1
}  # of its pitches on plucked notes 1 % are wrong with 0.1 and 17 % held with its own 0.4


class NoteCurves(nn.Module):
    """Curves of ``samples // hop_length + 1`` frames, frame t centred on sample ``t hop_length``.

    ``f0_hz`` (held where no pitch is sure), ``periodicity``, ``loudness_db``, ``age_s`` and ``peak_db`` (time
    since the last onset and loudest level since then), ``brightness_hz`` (centroid of the spectrum).

    Args:
        sample_rate: Samples per second.
        hop_length: Samples from frame to frame.
        loudness: How level is measured; by default a Hann window of 16 ms, unweighted.
        tracker: Which of :data:`~drumblender.features.trackers.TRACKERS` finds the pitch. A model is played
            with the one that it was trained with.
        hold_below: Periodicity below which a frame keeps the pitch before it; None: as suits the tracker.
            With 0.1 instead of its own 0.4, 1 % of PESTO's pitches on plucked notes are wrong instead of
            17 %: it doubts many that are right.

    Examples:
        >>> sine = torch.sin(2 * torch.pi * 220 * torch.arange(16000) / 16000)
        >>> curves = NoteCurves(tracker="yin")(sine[None])
        >>> curves["f0_hz"].shape, curves["f0_hz"].median().round()
        (torch.Size([1, 101]), tensor(220.))
    """

    def __init__(
        self,
        sample_rate: int = 16000,
        hop_length: int = 160,
        loudness: FrameLoudness | None = None,
        tracker: str = "pesto",
        hold_below: float | None = None,
    ) -> None:
        super().__init__()
        if tracker not in TRACKERS:
            raise ValueError(f"tracker is one of {', '.join(TRACKERS)}, got {tracker!r}.")
        self.loudness = FrameLoudness(sample_rate, hop_length) if loudness is None else loudness
        if (self.loudness.sample_rate, self.loudness.hop_length) != (sample_rate, hop_length):
            raise ValueError(
                f"loudness is of {self.loudness.hop_length} in {self.loudness.sample_rate} samples, "
                f"not of {hop_length} in {sample_rate}."
            )
        self.sample_rate, self.hop_length, self.tracker = sample_rate, hop_length, tracker
        self.hold_below = (
            _SURE.get(tracker, TRACKERS[tracker].threshold) if hold_below is None else hold_below
        )

    @torch.no_grad()
    def forward(self, audio: Audio) -> dict[str, Float[Tensor, "batch frames"]]:
        f0_hz, periodicity = pitch_of(audio, self.sample_rate, self.hop_length, self.tracker)
        f0_hz = hold_unsure(f0_hz, periodicity, self.hold_below)
        loudness_db = self.loudness(audio)
        frame_s = self.hop_length / self.sample_rate
        age_s, peak_db = note_position(f0_hz, loudness_db, periodicity, frame_s, voiced_above=self.hold_below)
        return {
            "f0_hz": f0_hz,
            "periodicity": periodicity,
            "loudness_db": loudness_db,
            "age_s": age_s,
            "peak_db": peak_db,
            "brightness_hz": brightness_hz(audio, self.sample_rate, self.hop_length),
        }


@in_full_precision
def brightness_hz(audio: Audio, sample_rate: int, hop_length: int) -> Float[Tensor, "batch frames"]:
    """Centroid of the power spectrum of 64 ms around every hop; half of Nyquist in silence."""
    n_fft = brightness_points(sample_rate)
    spectra = power(stft(audio, n_fft, hop_length, pad_mode="constant"))
    return centroid_hz(spectra, sample_rate)


def brightness_points(sample_rate: int) -> int:
    """Samples that a frame of :func:`brightness_hz` hears."""
    return 1 << int(0.064 * sample_rate - 1).bit_length()


def centroid_hz(spectra: Float[Tensor, "*frames bins"], sample_rate: int) -> Float[Tensor, "*frames"]:
    """Centroid of power spectra from 0 Hz to Nyquist; half of Nyquist in silence."""
    spectra = spectra + 1e-10
    freq_hz = torch.linspace(0, sample_rate / 2, spectra.shape[-1], device=spectra.device)
    return (spectra * freq_hz).sum(dim=-1) / spectra.sum(dim=-1)


@torch.no_grad()
def pitch_of(
    audio: Audio, sample_rate: int, hop_length: int, name: str
) -> tuple[Float[Tensor, "batch frames"], Float[Tensor, "batch frames"]]:
    """Pitch in Hz and confidence on every hop, by the tracker of that name."""
    num_frames = audio.shape[-1] // hop_length + 1
    hears = _tracker(name, hop_length / sample_rate)
    padded = audio if hears.hears_end else torch.nn.functional.pad(audio, (0, 1))
    tracks = [hears(row, sample_rate) for row in padded]
    f0_hz = torch.stack([track.f0_hz[:num_frames] for track in tracks])
    confidence = torch.stack([track.confidence[:num_frames] for track in tracks])
    return f0_hz.clamp(min=LOWEST_HZ, max=sample_rate / 2).to(audio), confidence.to(audio)


@cache
def _tracker(name: str, hop_s: float) -> Tracker:
    return tracker(name, hop_s=hop_s)


def hold_unsure(
    f0_hz: Float[Tensor, "batch frames"], periodicity: Float[Tensor, "batch frames"], below: float
) -> Float[Tensor, "batch frames"]:
    """Each frame that is not sure takes the pitch of the last one that is; before the first, the first's.

    Where none is sure, the pitches stay as they are.
    """
    sure = periodicity >= below
    place = torch.arange(f0_hz.shape[1], device=f0_hz.device).expand_as(f0_hz)
    last = torch.where(sure, place, -1).cummax(dim=1).values
    first = sure.float().argmax(dim=1, keepdim=True)
    held = f0_hz.gather(1, torch.where(last < 0, first, last))
    return torch.where(sure.any(dim=1, keepdim=True), held, f0_hz)
