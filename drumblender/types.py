"""Audio, controls and batches: all that data and tasks share."""

from typing import NotRequired, TypedDict

from jaxtyping import Float
from torch import Tensor

Audio = Float[Tensor, "batch samples"]
"""Mono sound in [-1, 1]."""

Controls = dict[str, Tensor]
"""What a synth is played with: one tensor ``(batch, frames, size)`` for each name; one frame holds for the whole sound."""


class AudioBatch(TypedDict):
    """Recordings, and the names that files made from them will carry."""

    audio: Audio
    name: NotRequired[list[str]]


class ModalBatch(AudioBatch):
    """Recordings with the sinusoidal modes found in them, at most ``modes`` in each of the analysis frames."""

    freq_rad: Float[Tensor, "batch frames modes"]  # radians a sample
    amp: Float[Tensor, "batch frames modes"]  # linear; 0 where a mode is silent
    phase_rad: Float[Tensor, "batch frames modes"]


class NoteBatch(AudioBatch):
    """Recordings of a melody instrument with its pitch and loudness."""

    f0_hz: Float[Tensor, "batch frames"]
    loudness_db: Float[Tensor, "batch frames"]


class OnsetBatch(TypedDict):
    """Drum hits as features: what is heard at the onset, and how the whole hit differs from the reference hit."""

    onset: Float[Tensor, "batch onset_features"]
    difference: Float[Tensor, "batch features"]
    weight: Float[Tensor, "batch features"]
