"""Where in its note each frame lies: onsets from level and from pitch, age and loudness so far."""

from collections import deque
from collections.abc import Sequence

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

Curve = Float[Tensor, "frames"]

_OLDEST_S = 10.0


class NotePosition:
    """Finds onsets frame by frame, without looking ahead, so that it serves whole sounds and streams alike.

    A note begins where the level rises, and where the pitch has stepped to another steady value: a legato
    voice has no rise. Until the first onset the age counts from the start.

    Args:
        frame_s: Seconds from frame to frame.
        rise_db: Rise within ``look_back`` frames that begins a note.
        step_semitones: Change of a steady pitch that begins one.
        lowest_db: Frames below begin none.
        voiced_above: Periodicity above which a frame has a pitch.
        look_back: Frames over which the level rises.
        shortest_s: A note lasts at least so long.

    Examples:
        >>> levels = torch.tensor([-80.0] * 20 + [-20.0] * 20)  # silence, then a note, in frames of 10 ms
        >>> age_s, peak_db, onsets = NotePosition().advance(torch.full((40,), 220.0), levels, torch.ones(40))
        >>> onsets, round(age_s[39].item(), 2), peak_db[39].item()
        ([20], 0.19, -20.0)
    """

    def __init__(
        self,
        frame_s: float = 0.01,
        rise_db: float = 3.0,
        step_semitones: float = 0.7,
        lowest_db: float = -60.0,
        voiced_above: float = 0.1,
        look_back: int = 4,
        shortest_s: float = 0.06,
    ) -> None:
        if not frame_s > 0 or look_back < 1:
            raise ValueError(f"Frames are longer than 0, look_back at least 1: {frame_s=}, {look_back=}.")
        self.frame_s, self.rise_db, self.step_semitones = frame_s, rise_db, step_semitones
        self.lowest_db, self.voiced_above, self.shortest_s = lowest_db, voiced_above, shortest_s
        self._levels: deque[float] = deque(maxlen=look_back)
        self._pitches: deque[float] = deque(maxlen=3)  # of the latest voiced frames
        self._age_s, self._peak_db = 0.0, -200.0
        self._note: float | None = None  # the steady pitch of the present note

    def advance(
        self, f0_hz: Curve, loudness_db: Curve, periodicity: Curve
    ) -> tuple[Curve, Curve, Sequence[int]]:
        """Seconds since the last onset, the loudest level since then, and the frames that are onsets.

        Args:
            f0_hz: Pitch of the next frames, above 0.
            loudness_db: Their level.
            periodicity: How sure the pitch is.
        """
        ages, peaks, onsets = np.empty(len(f0_hz)), np.empty(len(f0_hz)), []
        semitones = 12 * np.log2(np.maximum(f0_hz.double().numpy(force=True), 1e-3))
        curves = zip(semitones, loudness_db.tolist(), periodicity.tolist(), strict=True)
        for frame, (pitch, level_db, sure) in enumerate(curves):
            if self._begins(float(pitch), level_db, sure > self.voiced_above):
                onsets.append(frame)
                self._age_s, self._peak_db = 0.0, level_db
            self._peak_db = max(self._peak_db, level_db)
            ages[frame], peaks[frame] = min(self._age_s, _OLDEST_S), self._peak_db
            self._age_s += self.frame_s
        return torch.from_numpy(ages).to(f0_hz), torch.from_numpy(peaks).to(f0_hz), onsets

    def _begins(self, pitch: float, level_db: float, voiced: bool) -> bool:
        rose = bool(self._levels) and level_db - min(self._levels) > self.rise_db
        self._levels.append(level_db)
        stepped = self._steps(pitch, voiced)
        if level_db < self.lowest_db or self._age_s < self.shortest_s:
            return False
        if rose:
            self._levels.clear()  # one rise begins one note
            self._levels.append(level_db)
        if rose or stepped:
            self._note = None
        return rose or stepped

    def _steps(self, pitch: float, voiced: bool) -> bool:
        """Whether the latest pitches agree with each other and not with the note."""
        if not voiced or self._age_s < self.shortest_s:  # at an onset trackers still say the old pitch
            self._pitches.clear()
            return False
        self._pitches.append(pitch)
        if len(self._pitches) < 3 or max(self._pitches) - min(self._pitches) > 0.5:
            return False
        steady = sum(self._pitches) / 3
        stepped = self._note is not None and abs(steady - self._note) > self.step_semitones
        if self._note is None:
            self._note = steady
        elif not stepped:
            self._note += 0.1 * (steady - self._note)  # follows vibrato and slow slides
        return stepped


def note_position(
    f0_hz: Float[Tensor, "batch frames"],
    loudness_db: Float[Tensor, "batch frames"],
    periodicity: Float[Tensor, "batch frames"],
    frame_s: float = 0.01,
    **settings: float,
) -> tuple[Float[Tensor, "batch frames"], Float[Tensor, "batch frames"]]:
    """Age in seconds and peak so far in dB, for whole sounds; settings as of :class:`NotePosition`.

    Examples:
        >>> levels = torch.tensor([[-80.0] * 20 + [-20.0] * 20])
        >>> age_s, peak_db = note_position(torch.full((1, 40), 220.0), levels, torch.ones(1, 40))
        >>> age_s[0, [20, 30]], peak_db[0, -1]
        (tensor([0.0000, 0.1000]), tensor(-20.))
    """
    rows = [
        NotePosition(frame_s, **settings).advance(*curves)[:2]
        for curves in zip(f0_hz, loudness_db, periodicity, strict=True)
    ]
    ages, peaks = zip(*rows, strict=True)
    return torch.stack(ages), torch.stack(peaks)
