"""Makes the curves of a voice into those of a player while it sings: what needs no future."""

from dataclasses import dataclass

import torch
from torch import Tensor

from drumblender.dsp.units import hz_to_midi, midi_to_hz
from drumblender.features.note_position import NotePosition
from drumblender.inference.transfer_curves import (
    FADE_FRAMES,
    SILENT_DB,
    Curves,
    Instrument,
    glided,
    matched,
)
from drumblender.inference.transfer_limits import LIMITS, out_of_limits


@dataclass(frozen=True)
class Live:
    """How a voice becomes an instrument while it sings: what needs none of its future.

    Args:
        transpose: Semitones.
        octave: Octaves to shift by; None: as ``voice`` says, else 0.
        voice: The range of the voice, from a recording of it: ``Instrument.of(curves)``. With it the loudness
            gets middle and spread of the training, and the pitch its octave.
        gain_db: Added to the loudness.
        unvoiced_below: Periodicity below which a frame is silent, with short fades; 0 lets all sound.
        glide_s: Time in which the pitch moves from note to note.
        seed: Of the noise.
    """

    transpose: float = 0.0
    octave: int | None = None
    voice: Instrument | None = None
    gain_db: float = 0.0
    unvoiced_below: float = 0.8
    glide_s: float = 0.0
    seed: int = 0

    def __post_init__(self) -> None:
        if not (self.octave is None or isinstance(self.octave, int)):
            raise ValueError(f"octave is a whole number, or None for what voice says; got {self.octave!r}.")
        for name in LIMITS.keys() & vars(self).keys():
            value = getattr(self, name)
            if value is not None and (wrong := out_of_limits(name, value)):
                raise ValueError(f"{name} {wrong}.")


class CurveAdapter:
    """Makes curves of a voice into those to play, as they come; two frames late, for the fades.

    What :func:`~drumblender.inference.transfer_curves.adapt` makes of the whole, with options that need no
    future.

    Args:
        options: What to change.
        instrument: The range to fit into.
        frame_s: Seconds from frame to frame.
    """

    late_frames = FADE_FRAMES

    def __init__(self, options: Live, instrument: Instrument | None, frame_s: float) -> None:
        self.options, self.instrument, self.frame_s = options, instrument, frame_s
        octave = options.octave
        if octave is None and options.voice is not None and instrument is not None:
            octave = round((instrument.median_midi - options.voice.median_midi) / 12)
        self._shift = options.transpose + 12 * (octave or 0)
        self._position = NotePosition(frame_s)
        self._glide: float | None = None
        self._voiced = torch.zeros(0)  # from two frames before the first that waits
        self._before = 0
        self._waiting: Curves = {}

    def push(self, curves: Curves) -> Curves:
        """The curves to play of the frames whose fades are known."""
        waiting = {
            name: torch.cat([self._waiting[name], curve]) if self._waiting else curve
            for name, curve in curves.items()
        }
        voiced = (curves["periodicity"] >= self.options.unvoiced_below).float()
        self._voiced = torch.cat([self._voiced, voiced])
        ready = max(0, len(waiting["f0_hz"]) - self.late_frames)
        self._waiting = {name: curve[ready:] for name, curve in waiting.items()}
        return self._played({name: curve[:ready] for name, curve in waiting.items()})

    def _played(self, curves: Curves) -> Curves:
        loudness_db, frames = curves["loudness_db"], len(curves["f0_hz"])
        pitch = hz_to_midi(curves["f0_hz"].double())  # float32 would round by the place in a block
        if self.options.glide_s > 0 and frames:
            pitch, self._glide = glided(pitch, self.options.glide_s, self.frame_s, self._glide)
        if self.options.voice is not None and self.instrument is not None:
            curves = curves | matched(curves, self.options.voice, self.instrument)
            loudness_db = curves["loudness_db"]
        gain_db = self.options.gain_db + 20 * torch.log10(self._gate(frames).clamp(min=1e-6))
        loudness_db = (loudness_db + gain_db).clamp(min=SILENT_DB)
        f0_hz = midi_to_hz(pitch + self._shift).float()
        age_s, peak_db, _ = self._position.advance(f0_hz, loudness_db, curves["periodicity"])
        return curves | {"f0_hz": f0_hz, "loudness_db": loudness_db, "age_s": age_s, "peak_db": peak_db}

    def _gate(self, frames: int) -> Tensor:
        """How far the next frames are open: the mean over five frames, of those that are voiced."""
        gate = torch.ones(frames)
        if self.options.unvoiced_below > 0:
            for frame in range(frames):
                place = self._before + frame
                near = self._voiced[max(0, place - FADE_FRAMES) : place + FADE_FRAMES + 1]
                gate[frame] = torch.minimum(near.mean(), self._voiced[place])
        drop = max(0, self._before + frames - FADE_FRAMES)
        self._voiced, self._before = self._voiced[drop:], self._before + frames - drop
        return gate
