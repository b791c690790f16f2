"""All curves of a melody that timbre transfer hears: pitch, level, place in the note, brightness."""

from functools import cache

import torch
from jaxtyping import Float
from torch import Tensor, nn

from drumblender.audio_io import resample
from drumblender.dsp.precision import in_full_precision
from drumblender.dsp.spectra import hann_window, power, stft
from drumblender.features.frame_loudness import FrameLoudness
from drumblender.features.note_position import note_position
from drumblender.types import Audio

_LOWEST_HZ, _SURE = 30.0, 0.1
_BLOCK_S = 20.0  # of sound that the network of PESTO sees at a time
_MARGIN_S = 1.0  # around a block, so that its edges do not show


class NoteCurves(nn.Module):
    """Curves of ``samples // hop_size + 1`` frames, frame t centred on sample ``t hop_size``.

    ``f0_hz`` (held where no pitch is sure), ``periodicity``, ``loudness_db``, ``age_s`` and ``peak_db`` (time
    since the last onset and loudest level since then), ``brightness_hz`` (centroid of the spectrum).

    Args:
        sample_rate: Samples per second.
        hop_size: Samples from frame to frame.
        loudness: How level is measured; by default a Hann window of 16 ms, unweighted.
        hold_below: Periodicity below which a frame keeps the pitch before it. Of PESTO's pitches on plucked
            notes 1 % are wrong with 0.1 and 17 % with 0.4: it doubts many that are right.
    """

    def __init__(
        self,
        sample_rate: int = 16000,
        hop_size: int = 160,
        loudness: FrameLoudness | None = None,
        hold_below: float = _SURE,
    ) -> None:
        super().__init__()
        self.loudness = FrameLoudness(sample_rate, hop_size) if loudness is None else loudness
        if (self.loudness.sample_rate, self.loudness.hop_size) != (sample_rate, hop_size):
            raise ValueError(
                f"loudness is of {self.loudness.hop_size} in {self.loudness.sample_rate} samples, "
                f"not of {hop_size} in {sample_rate}."
            )
        self.sample_rate, self.hop_size, self.hold_below = sample_rate, hop_size, hold_below

    @torch.no_grad()
    def forward(self, audio: Audio) -> dict[str, Float[Tensor, "batch frames"]]:
        f0_hz, periodicity = pesto_pitch(audio, self.sample_rate, self.hop_size)
        f0_hz = hold_unsure(f0_hz, periodicity, self.hold_below)
        loudness_db = self.loudness(audio)
        frame_s = self.hop_size / self.sample_rate
        age_s, peak_db = note_position(f0_hz, loudness_db, periodicity, frame_s)
        return {
            "f0_hz": f0_hz,
            "periodicity": periodicity,
            "loudness_db": loudness_db,
            "age_s": age_s,
            "peak_db": peak_db,
            "brightness_hz": brightness_hz(audio, self.sample_rate, self.hop_size),
        }


@in_full_precision
def brightness_hz(audio: Audio, sample_rate: int, hop_size: int) -> Float[Tensor, "batch frames"]:
    """Centroid of the power spectrum of 64 ms around every hop; half of Nyquist in silence."""
    n_fft = 1 << int(0.064 * sample_rate - 1).bit_length()
    spectra = power(stft(audio, n_fft, hop_size, hann_window(n_fft), pad_mode="constant")) + 1e-10
    freq_hz = torch.linspace(0, sample_rate / 2, n_fft // 2 + 1, device=audio.device)
    return (spectra * freq_hz).sum(dim=-1) / spectra.sum(dim=-1)


@torch.no_grad()
def pesto_pitch(
    audio: Audio, sample_rate: int, hop_size: int
) -> tuple[Float[Tensor, "batch frames"], Float[Tensor, "batch frames"]]:
    """Pitch in Hz and confidence of PESTO (Riou et al., ISMIR 2023), for every hop; needs ``pesto-pitch``.

    Blocks of 20 s with a second around them: a long recording takes no more memory than a short one.
    """
    rate = 16000
    step_s = hop_size / sample_rate
    model = _pesto(step_s * 1000, rate)
    num_frames = audio.shape[-1] // hop_size + 1
    block, margin = round(_BLOCK_S / step_s), round(_MARGIN_S / step_s)
    pitches, confidences = [], []
    for first in range(0, num_frames, block):
        before = min(first, margin)
        start, stop = (first - before) * hop_size, (first + block + margin) * hop_size
        piece = resample(audio[:, start:stop], sample_rate, rate)
        piece = torch.nn.functional.pad(piece, (0, max(0, rate // 4 - piece.shape[-1])))
        f0_hz, confidence, *_ = model(piece, convert_to_freq=True, return_activations=False)
        kept = slice(before, before + min(block, num_frames - first))
        pitches.append(f0_hz[:, kept])
        confidences.append(confidence[:, kept])
    both = torch.cat(pitches, dim=1), torch.cat(confidences, dim=1)
    short = num_frames - both[0].shape[1]
    if short > 0:
        both = tuple(torch.cat([part, part[:, -1:].expand(-1, short)], dim=1) for part in both)
    return both[0].clamp(min=_LOWEST_HZ, max=sample_rate / 2), both[1]


@cache
def _pesto(step_ms: float, rate: int):
    try:
        import pesto
    except ModuleNotFoundError as error:
        raise ModuleNotFoundError("PESTO needs pesto-pitch: pip install pesto-pitch.") from error
    return pesto.load_model("mir-1k_g7", step_size=step_ms, sampling_rate=rate).eval()


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
