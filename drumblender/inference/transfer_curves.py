"""Makes the curves of a voice into those of a player: register, level, vibrato, plucks."""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

import torch
from jaxtyping import Float
from torch import Tensor

from drumblender.dsp.units import hz_to_midi
from drumblender.features.note_position import NotePosition
from drumblender.inference.transfer_limits import LIMITS, out_of_limits

Curves = dict[str, Tensor]
Curve = Float[Tensor, "frames"]

SILENT_DB = -80.0
FADE_FRAMES = 2  # at either side of what is unvoiced
_AUDIBLE_DB = -60.0
_QUANTILES = 101
_ANCHORS = [10, 50, 90]


@dataclass(frozen=True)
class Transfer:
    """How a voice becomes an instrument.

    Args:
        transpose: Semitones, after the shift by octaves.
        octave: ``auto`` shifts by octaves into the range of the training; a number shifts by so many.
        loudness: ``match`` gives loudness, and brightness where a model hears it, the middle and the spread
            that the training has; ``keep`` leaves both.
        gain_db: Added to the loudness after that.
        unvoiced_below: Periodicity below which a frame is silent, with short fades; 0 lets all sound.
        vibrato: Factor on how far the pitch swings within a note: 0 plays it straight, 1 as sung.
        glide_s: Time in which the pitch moves from note to note; 0 as sung.
        pluck: Every onset starts as loud as its note gets, and dies away by ``pluck_db_s``.
        pluck_db_s: Decay of plucks, in dB a second.
        normalize: ``peak``: the largest sample is 0.95. ``lufs``: -23 LUFS. ``none``: as rendered.
        seed: Of the noise.
    """

    transpose: float = 0.0
    octave: Literal["auto"] | int = "auto"
    loudness: Literal["match", "keep"] = "match"
    gain_db: float = 0.0
    unvoiced_below: float = 0.1
    vibrato: float = 1.0
    glide_s: float = 0.0
    pluck: bool = False
    pluck_db_s: float = 30.0
    normalize: Literal["peak", "lufs", "none"] = "peak"
    seed: int = 0

    def __post_init__(self) -> None:
        for name, value, known in (
            ("loudness", self.loudness, ("match", "keep")),
            ("normalize", self.normalize, ("peak", "lufs", "none")),
        ):
            if value not in known:
                raise ValueError(f"{name} is one of {', '.join(known)}, got {value!r}.")
        if not (self.octave == "auto" or isinstance(self.octave, int)):
            raise ValueError(f"octave is auto or a whole number, got {self.octave!r}.")
        for name in LIMITS:
            value = getattr(self, name)
            if value != "auto" and (wrong := out_of_limits(name, value)):
                raise ValueError(f"{name} {wrong}.")


@dataclass(frozen=True)
class Instrument:
    """What the training says of an instrument's range.

    Args:
        median_midi: Of the pitch, weighted by loudness.
        loudness_db: 101 quantiles of the loudness of frames that sound.
        brightness_hz: The same of the brightness; None where it is unknown.
    """

    median_midi: float
    loudness_db: tuple[float, ...]
    brightness_hz: tuple[float, ...] | None = None

    def __post_init__(self) -> None:
        known = [curve for curve in (self.loudness_db, self.brightness_hz) if curve is not None]
        rising = all(list(curve) == sorted(curve) and len(curve) == _QUANTILES for curve in known)
        if not rising or not math.isfinite(self.median_midi):
            raise ValueError(f"Needs a median pitch and {_QUANTILES} rising quantiles of each curve.")

    @classmethod
    def of(cls, curves: Mapping[str, Tensor]) -> "Instrument":
        """From the curves of all training frames."""
        heard = audible(curves["loudness_db"])
        if not heard.any():
            raise ValueError(f"No frame is louder than {_AUDIBLE_DB:g} dB: the range is unknown.")
        loudness_db, brightness_hz = (
            tuple(quantiles_of(curves[name][heard]).tolist()) if name in curves else None
            for name in ("loudness_db", "brightness_hz")
        )
        return cls(median_midi(curves), loudness_db, brightness_hz)


def audible(loudness_db: Curve) -> Tensor:
    """Frames that count as sound."""
    return loudness_db > _AUDIBLE_DB


def quantiles_of(curve: Curve) -> Float[Tensor, "quantiles"]:
    """A curve at 101 even steps from its lowest frame to its highest; of any number of frames."""
    ordered = curve.sort().values
    return ordered[torch.linspace(0, len(ordered) - 1, _QUANTILES).round().long()]


def median_midi(curves: Mapping[str, Tensor]) -> float:
    """The pitch with half of the sound below it: frames weigh as their amplitude."""
    weight = 10 ** (curves["loudness_db"].double() / 20) * (curves["periodicity"] > 0.1)
    if not weight.sum() > 0:
        return float(hz_to_midi(curves["f0_hz"].median()))
    order = curves["f0_hz"].argsort()
    middle = int(torch.searchsorted(weight[order].cumsum(0), weight.sum() / 2))
    return float(hz_to_midi(curves["f0_hz"][order[min(middle, len(order) - 1)]]))


def adapt(
    curves: Mapping[str, Tensor], options: Transfer, instrument: Instrument | None, frame_s: float
) -> Curves:
    """The curves to play, ``(frames,)`` each, from those of a voice.

    Args:
        curves: ``f0_hz``, ``loudness_db``, ``periodicity`` and, handed on, others.
        options: What to change.
        instrument: The range to fit into; None leaves register and loudness.
        frame_s: Seconds from frame to frame.
    """
    f0_hz, loudness_db, periodicity = (curves[name] for name in ("f0_hz", "loudness_db", "periodicity"))
    onsets = NotePosition(frame_s).advance(f0_hz, loudness_db, periodicity)[2]
    pitch = hz_to_midi(f0_hz)
    pitch = (
        _swing(pitch, onsets, options, frame_s)
        + options.transpose
        + 12 * octaves(curves, options, instrument)
    )
    played: Curves = {}
    if options.loudness == "match" and instrument is not None and audible(loudness_db).any():
        played = matched(curves, Instrument.of(curves), instrument)
        loudness_db = played["loudness_db"]
    if options.pluck:
        loudness_db = _plucked(loudness_db, onsets, options.pluck_db_s * frame_s)
    voiced = (periodicity >= options.unvoiced_below).float()
    gate = torch.nn.functional.avg_pool1d(
        voiced[None], 2 * FADE_FRAMES + 1, 1, FADE_FRAMES, count_include_pad=False
    )[0]
    gate = torch.minimum(gate, voiced) if options.unvoiced_below > 0 else torch.ones_like(gate)
    loudness_db = loudness_db + options.gain_db + 20 * torch.log10(gate.clamp(min=1e-6))
    loudness_db = loudness_db.clamp(min=SILENT_DB)
    f0_hz = 440 * torch.exp2((pitch - 69) / 12)
    age_s, peak_db, _ = NotePosition(frame_s).advance(f0_hz, loudness_db, periodicity)
    played |= {"f0_hz": f0_hz, "loudness_db": loudness_db, "age_s": age_s, "peak_db": peak_db}
    return dict(curves) | played


def octaves(curves: Mapping[str, Tensor], options: Transfer, instrument: Instrument | None) -> int:
    """Octaves to shift by."""
    if options.octave != "auto":
        return options.octave
    if instrument is None:
        return 0
    return round((instrument.median_midi - median_midi(curves)) / 12)


def _swing(pitch: Curve, onsets: list[int], options: Transfer, frame_s: float) -> Curve:
    """Scale how far the pitch is from the middle of its note, and slow its steps."""
    if options.vibrato != 1:
        edges = sorted({0, *onsets, len(pitch)})
        for start, stop in zip(edges, edges[1:], strict=False):
            middle = pitch[start:stop].median()
            pitch = torch.cat(
                [pitch[:start], middle + options.vibrato * (pitch[start:stop] - middle), pitch[stop:]]
            )
    if options.glide_s > 0:
        pitch, _ = glided(pitch, options.glide_s, frame_s)
    return pitch


def glided(pitch: Curve, glide_s: float, frame_s: float, last: float | None = None) -> tuple[Curve, float]:
    """The pitch on its way from note to note, from where it was last, and where it is then."""
    keep = math.exp(-frame_s / (glide_s / 3))
    value, path = float(pitch[0]) if last is None else last, []
    for target in pitch.tolist():
        value = target + keep * (value - target)
        path.append(value)
    return torch.tensor(path, dtype=pitch.dtype), value


def matched(curves: Mapping[str, Tensor], own: Instrument, wanted: Instrument) -> Curves:
    """Loudness, and brightness where both know it, mapped from the range of a voice to that wanted."""
    levels = torch.tensor(own.loudness_db), torch.tensor(wanted.loudness_db)
    found = {"loudness_db": match_loudness(curves["loudness_db"], *levels)}
    if own.brightness_hz and wanted.brightness_hz and "brightness_hz" in curves:
        octaves = [torch.tensor(one.brightness_hz).clamp(min=1).log2() for one in (own, wanted)]
        found["brightness_hz"] = match_loudness(curves["brightness_hz"].clamp(min=1).log2(), *octaves).exp2()
        found["brightness_hz"].clamp_(wanted.brightness_hz[0], wanted.brightness_hz[-1])
    return found


def match_loudness(
    loudness_db: Curve, own: Float[Tensor, "quantiles"], wanted: Float[Tensor, "quantiles"]
) -> Curve:
    """Bring the middle and the spread of a voice to those wanted, by one slope from 0.5 to 2.

    Middle and spread are of the quantiles 10, 50 and 90; what is softer falls by 1 dB a dB or faster, so that
    silence stays silence. Bent through all quantiles, a voice that hardly moves would lose the shape of its
    phrases.
    """
    (low, middle, high), target = own[_ANCHORS].double(), wanted[_ANCHORS].double()
    slope = ((target[2] - target[0]) / (high - low).clamp(min=1e-6)).clamp(0.5, 2.0)
    level_db = loudness_db.double()
    softer = (level_db - low).clamp(max=0) * (1 - slope).clamp(min=0)
    return (target[1] + slope * (level_db - middle) + softer).to(loudness_db.dtype)


def _plucked(loudness_db: Curve, onsets: list[int], fall_db: float) -> Curve:
    edges = sorted({0, *onsets, len(loudness_db)})
    parts = []
    for start, stop in zip(edges, edges[1:], strict=False):
        note = loudness_db[start:stop]
        decay = note.max() - fall_db * torch.arange(len(note))
        parts.append(decay if start in onsets else note)
    return torch.cat(parts) if parts else loudness_db
