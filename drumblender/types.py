"""Audio, controls and batches: all that data and tasks share."""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple, NotRequired, Protocol, TypedDict, runtime_checkable

from jaxtyping import Float
from torch import Tensor

Audio = Float[Tensor, "batch samples"]
"""Mono sound in [-1, 1]."""

Controls = dict[str, Tensor]
"""What a synth is played with: a tensor ``(batch, frames, size)`` for each name; one frame is held."""


class AudioBatch(TypedDict):
    """Recordings, and the names that files made from them will carry."""

    audio: Audio
    name: NotRequired[list[str]]
    file: NotRequired[list[str]]  # the recordings they were made from, for people


class ModalBatch(AudioBatch):
    """Recordings with the sinusoidal modes found in them."""

    freq_rad: Float[Tensor, "batch frames modes"]  # radians a sample
    amp: Float[Tensor, "batch frames modes"]  # linear; 0 where a mode is silent
    phase_rad: Float[Tensor, "batch frames modes"]
    quadrature: NotRequired[
        Float[Tensor, "batch frames modes"]
    ]  # amplitude a quarter turn ahead, if refitted


class NoteBatch(AudioBatch):
    """Recordings of a melody instrument with its pitch and loudness."""

    f0_hz: Float[Tensor, "batch frames"]
    loudness_db: Float[Tensor, "batch frames"]


class ToneBatch(AudioBatch):
    """Tones with the pitch and the partials they were made of; one frame is held."""

    f0_hz: Float[Tensor, "batch frames"]
    amp: Float[Tensor, "batch frames partials"]
    cqt: NotRequired[Float[Tensor, "batch cqt_frames bins"]]  # made once, for a PitchCNN that is ``cached``


class StringBatch(NoteBatch):
    """Notes of a string; where they were made on the fly, also the coefficients that made them."""

    loop_coefficients: NotRequired[Float[Tensor, "batch loop_frames taps"]]  # with the loop gain
    excitation_coefficients: NotRequired[Float[Tensor, "batch excitation_frames order"]]


@runtime_checkable
class NormalisesLoudness(Protocol):
    """A part that hears loudness and wants to know how loud its training data is."""

    def set_loudness_statistics(self, mean_db: float, std_db: float) -> None:
        """Normalise with these from here on."""


@runtime_checkable
class HasPhrases(Protocol):
    """Data that know the whole phrases that train, with curves and measured spectra."""

    def training_phrases(self) -> list[dict[str, Tensor]]:
        """Fields of every phrase, without a batch axis."""


@runtime_checkable
class HearsRecordings(Protocol):
    """Data that can make the fields of a batch for a recording never seen."""

    num_samples: int
    unusable: tuple[type[Exception], ...]

    def analyse(self, audio: Audio) -> dict[str, Tensor]:
        """Fields beside the audio; raises one of ``unusable`` for a sound that has none."""


@runtime_checkable
class HasLoudnessStatistics(Protocol):
    """Data that know how loud their training split is, so that a task can normalise."""

    def loudness_statistics(self) -> tuple[float, float]:
        """Mean and deviation of ``loudness_db`` over all frames that train."""


class OnsetBatch(TypedDict):
    """Drum hits as features: of the onset, and of the whole hit less those of a reference hit."""

    onset: Float[Tensor, "batch onset_features"]
    difference: Float[Tensor, "batch features"]
    weight: Float[Tensor, "batch features"]


class HitFeatures(Protocol):
    """Features of the hits of one drum."""

    onset: Float[Tensor, "hits onset_features"]
    full: Float[Tensor, "hits features"]
    onset_low: Float[Tensor, "onset_features"]
    onset_span: Float[Tensor, "onset_features"]


@runtime_checkable
class HasHits(Protocol):
    """Data that know the hits of the drum that a mapping is trained on."""

    hits: HitFeatures
    onset_offset: Float[Tensor, "onset_features"]
    sample_rate: int


@runtime_checkable
class HasSampleRate(Protocol):
    """A task or data whose sounds have one sample rate."""

    sample_rate: int


@runtime_checkable
class PlayedByVerb(Protocol):
    """A task that names the command which plays it once it is trained, and what that takes."""

    verb: str
    verb_takes: str


@runtime_checkable
class MeasuresItems(Protocol):
    """A metric that has a number for each item of a batch."""

    def per_item(self, prediction: Audio, target: Audio) -> Float[Tensor, "batch"]:
        """The number of each item."""


@runtime_checkable
class MakesControls(Protocol):
    """A task whose voices say what they are played with."""

    voices: Mapping[str, Any]

    def voice_controls(self, batch: AudioBatch) -> dict[str, Controls]:
        """The controls of each voice, by its name."""


@runtime_checkable
class ComparesBaselines(Protocol):
    """A task that knows what needs no training, and how it measures beside the model."""

    def compare(self, batch: AudioBatch, batch_idx: int = 0) -> dict[str, dict[str, Tensor]]:
        """By ``model`` and name of baseline, then by measure: a value an item; the first measure decides."""


class Reach(NamedTuple):
    """How far features can be moved from where they rest, each alone."""

    low: Float[Tensor, "features"]
    high: Float[Tensor, "features"]


@runtime_checkable
class FollowsFeatures(Protocol):
    """A task whose steps return the ``difference`` of features that was played and the ``target_difference``
    that was wanted, and that knows what its synth could have done."""

    labels: Sequence[str]

    def reach(self) -> Reach | None:
        """How far each feature can go; None where nothing moves around a preset."""

    def direct(self, batch: OnsetBatch) -> Float[Tensor, "batch features"] | None:
        """The differences of a search for each hit alone, without a mapping; None likewise."""

    def in_hz(self, label: str, difference: Tensor) -> Tensor | None:
        """The frequency at a difference, for features that are one."""
