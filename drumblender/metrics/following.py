"""How well a resynthesis follows the pitch and loudness that it was given."""

import math

import torch
from jaxtyping import Float
from torch import Tensor

from drumblender.features.frame_loudness import FrameLoudness
from drumblender.features.trackers import YINTracker
from drumblender.types import Audio

_HEARD_DB = -60.0
_SURE = 0.5


@torch.no_grad()
def following_errors(
    audio: Audio,
    f0_hz: Float[Tensor, "batch frames"],
    loudness_db: Float[Tensor, "batch frames"],
    periodicity: Float[Tensor, "batch frames"],
    sample_rate: int,
) -> dict[str, float]:
    """``f0_cents``, the median distance of pitches, and ``loudness_db``, the mean distance of levels.

    Pitch is tracked by YIN and counts in frames above -60 dB whose given pitch is sure, level in all above
    -60 dB; NaN where no frame counts. YIN hears 128 ms, so that it is late to follow a slide.

    Args:
        audio: The resynthesis, with a frame of the curves on every hop.
        f0_hz, loudness_db, periodicity: What it was given, as of ``NoteCurves``.
        sample_rate: Samples per second.

    Examples:
        >>> tone = 0.1 * torch.sin(2 * torch.pi * 220 * torch.arange(16000) / 16000)[None]
        >>> semitone = torch.full((1, 101), 220 * 2 ** (1 / 12))
        >>> found = following_errors(tone, semitone, torch.full((1, 101), -20.0), torch.ones(1, 101), 16000)
        >>> round(found["f0_cents"], -1), round(found["loudness_db"])
        (100.0, 3)
    """
    hop = max(1, round(audio.shape[-1] / max(1, f0_hz.shape[1] - 1)))
    tracker = YINTracker(hop / sample_rate)
    cents, apart_db = [], []
    level_db = FrameLoudness(sample_rate, hop)(audio)
    for row, sound in enumerate(audio):
        tracked = tracker(torch.nn.functional.pad(sound, (0, 1)).cpu(), sample_rate).f0_hz.to(f0_hz)
        count = min(len(tracked), f0_hz.shape[1], level_db.shape[1])
        heard = loudness_db[row, :count] > _HEARD_DB
        sure = heard & (periodicity[row, :count] > _SURE)
        cents.append((1200 * torch.log2(tracked[:count] / f0_hz[row, :count])).abs()[sure])
        apart_db.append((level_db[row, :count] - loudness_db[row, :count]).abs()[heard])
    far, away = torch.cat(cents), torch.cat(apart_db)
    return {
        "f0_cents": float(far.median()) if len(far) else math.nan,
        "loudness_db": float(away.mean()) if len(away) else math.nan,
    }
