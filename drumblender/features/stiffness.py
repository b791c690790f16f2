"""How stiff a string is: by how much its partials lie above whole multiples of its pitch."""

import torch
from jaxtyping import Float
from torch import Tensor

from drumblender.dsp.partials import partials_hz
from drumblender.dsp.precision import in_full_precision
from drumblender.types import Audio

_N_FFT = 16384
_TUNINGS = torch.linspace(0.992, 1.008, 33)  # trackers of pitch err by some cents
_STIFF = torch.logspace(-5.3, -3.3, 62)  # 8 % apart: 1e-4 at partial 20 to within 3 Hz of 4 kHz
_LEAST_DB = -5.0  # that one partial counts for: one that is missing is in a valley


@torch.no_grad()
@in_full_precision
def stiffness_of(
    audio: Audio,
    f0_hz: Float[Tensor, "batch frames"],
    age_s: Float[Tensor, "batch frames"],
    sample_rate: int,
    hop_length: int,
    after_s: float = 0.04,
    window_s: float = 0.5,
    shortest_s: float = 0.1,
    num_partials: int = 60,
    sure_db: float = 10.0,
) -> Float[Tensor, "batch frames"]:
    """Stiffness B of each note (see :func:`~drumblender.dsp.partials.partials_hz`); 0 where it is not sure.

    Of all B and small errors of the pitch, those at whose partials the spectrum of the note stands out most.

    Args:
        audio: Notes one after the other.
        f0_hz: Their pitch, on every hop; that of a note is its median.
        age_s: Time since the last onset, which begins a note.
        sample_rate: Samples per second.
        hop_length: Samples from frame to frame.
        after_s: Time after the onset that is not heard.
        window_s: Longest stretch of a note that is.
        shortest_s: Shortest.
        num_partials: Partials to look at, as far as they are below Nyquist.
        sure_db: Mean level of the partials above what surrounds them, from which a note is sure.

    Examples:
        >>> string_hz = partials_hz(torch.tensor([220.0]), torch.tensor([1e-4]), 30)[0]
        >>> turns = string_hz[:, None] * torch.arange(16000) / 16000
        >>> note = torch.sin(2 * torch.pi * turns).sum(dim=0)[None]
        >>> age_s = torch.arange(101)[None] / 100
        >>> found = stiffness_of(note, torch.full((1, 101), 221.0), age_s, 16000, hop_length=160)
        >>> round(1e5 * found[0, 50].item())
        10
    """
    found = torch.zeros_like(f0_hz)
    first, shortest = round(after_s * sample_rate / hop_length), int(shortest_s * sample_rate)
    for row, sound in enumerate(audio):
        begins = (age_s[row].diff() < 0).nonzero()[:, 0] + 1
        edges = [0, *begins.tolist(), f0_hz.shape[1]]
        for start, stop in zip(edges[:-1], edges[1:], strict=True):
            heard = sound[(start + first) * hop_length : stop * hop_length][: int(window_s * sample_rate)]
            if len(heard) >= shortest and heard.any():
                pitch_hz = f0_hz[row, start + first : stop].median()
                found[row, start:stop] = _of_note(heard, pitch_hz, sample_rate, num_partials, sure_db)
    return found


def _of_note(
    sound: Float[Tensor, "samples"], f0_hz: Tensor, sample_rate: int, num_partials: int, sure_db: float
) -> float:
    bin_hz = sample_rate / _N_FFT
    window = torch.blackman_window(len(sound)).to(sound)
    level_db = 20 * torch.log10(torch.fft.rfft(sound * window, _N_FFT).abs() + 1e-7)
    level_db = level_db.clamp(min=float(level_db.max()) - 75)
    width = max(1, int(f0_hz / bin_hz)) | 1  # a fundamental holds one partial and one valley
    padded = torch.nn.functional.pad(level_db[None], (width // 2, width // 2), mode="replicate")
    around_db = torch.nn.functional.avg_pool1d(padded, width, stride=1)[0]
    stands_out = (level_db - around_db).clamp(min=_LEAST_DB)
    stiff = torch.cat([torch.zeros(1), _STIFF]).to(sound)
    tuned_hz = f0_hz * _TUNINGS.to(sound)
    tuned_hz, tried = torch.meshgrid(tuned_hz, stiff, indexing="ij")
    places = partials_hz(tuned_hz, tried, num_partials)
    below = places < 0.95 * sample_rate / 2
    index = (places / bin_hz).round().long().clamp(max=len(level_db) - 1)
    score = (stands_out[index] * below).sum(dim=-1) / below.sum(dim=-1).clamp(min=1)
    best = int(score.argmax())
    return float(stiff[best % len(stiff)]) if float(score.flatten()[best]) >= sure_db else 0.0
