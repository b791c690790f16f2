"""Notes from a track of pitch."""

import math
from typing import NamedTuple

import numpy as np

from drumblender.features.tracking import Track


class Segment(NamedTuple):
    """A stretch of one pitch."""

    start_s: float
    end_s: float
    f0_hz: float  # the median of its frames

    @property
    def midi(self) -> float:
        """Its pitch in semitones; 69 is 440 Hz."""
        return 69 + 12 * math.log2(self.f0_hz / 440)


def segment_notes(
    track: Track, *, apart_cents: float = 70.0, gap_s: float = 0.03, shortest_s: float = 0.06
) -> list[Segment]:
    """Cut a track where it is unvoiced, and where its pitch leaves that of the note so far and stays away.

    Notes that are struck again at the same pitch, without a gap, are one: a track of pitch cannot tell them.

    Args:
        track: The track.
        apart_cents: How far from the median of a note the pitch of another is: more than a vibrato.
        gap_s: Unvoiced stretches up to so long, and excursions of the pitch, do not end a note.
        shortest_s: Shorter notes are dropped.

    Raises:
        ValueError: A length is below 0, or ``apart_cents`` is not above 0.

    >>> import torch
    >>> pitch = torch.tensor([220.0] * 20 + [330.0] * 20)
    >>> track = Track(pitch, torch.ones(40), torch.ones(40, dtype=torch.bool), 0.01)
    >>> [(round(note.start_s, 2), round(note.midi)) for note in segment_notes(track)]
    [(0.0, 57), (0.2, 64)]
    """
    if not apart_cents > 0 or min(gap_s, shortest_s) < 0:
        raise ValueError(
            f"Need apart_cents above 0 and lengths of 0 or more, got {apart_cents=}, {gap_s=}, {shortest_s=}."
        )
    cents = 1200 * np.log2(track.f0_hz.double().numpy())
    most = round(gap_s / track.hop_s)  # frames that may be missing
    notes: list[list[int]] = []
    note: list[int] = []
    away: list[int] = []  # frames of another pitch, which begin a note if there are enough
    for frame in np.flatnonzero(track.voiced.numpy()).tolist():
        if note and frame - (away or note)[-1] > most + 1:
            notes, note, away = [*notes, note], [], []
        if not note or abs(cents[frame] - np.median(cents[note[-50:]])) <= apart_cents:
            note, away = [*note, frame], []
            continue
        if away and abs(cents[frame] - np.median(cents[away])) > apart_cents:
            away = []
        away.append(frame)
        if len(away) > most:
            notes, note, away = [*notes, note], away, []
    segments = [_segment(frames, track) for frames in [*notes, note] if frames]
    return [found for found in segments if found.end_s - found.start_s >= shortest_s - 1e-9]


def _segment(frames: list[int], track: Track) -> Segment:
    hop = track.hop_s
    return Segment(frames[0] * hop, (frames[-1] + 1) * hop, track.f0_hz[frames].median().item())
