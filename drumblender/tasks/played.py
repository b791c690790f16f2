"""The voices of each system: how the parts that a task is given become what sounds.

Arguments that a task takes beside these are named in ``for_training``; in a task they pass through to
:class:`~drumblender.tasks.base.SynthesisTask`.
"""

from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, nn

from drumblender import __version__
from drumblender.controllers import Controller, MappedControls
from drumblender.features.base import Feature
from drumblender.synths.base import Synth
from drumblender.synths.preset import load_controls
from drumblender.tasks.playing import Voices
from drumblender.tasks.voices import Voice
from drumblender.types import Audio, Controls, OnsetBatch

QUANTILES = 101  # of the range of an instrument that is kept


class DrumVoices(Voices):
    """What a :class:`~drumblender.tasks.DrumTask` plays: any voices, as every :class:`Voices`.

    Examples:
        >>> from drumblender.controllers import FreeControls
        >>> from drumblender.synths import ModalSynth, NoiseSynth
        >>> noise = Voice(NoiseSynth(num_bands=8, win_length=64), FreeControls(num_frames=4))
        >>> drums = DrumVoices({"modal": Voice(ModalSynth(num_modes=3)), "noise": noise}, sample_rate=16000)
        >>> batch = dict.fromkeys(("freq_rad", "amp", "phase_rad"), torch.rand(2, 5, 3))
        >>> drums(batch | {"audio": torch.zeros(2, 4000)}).shape
        torch.Size([2, 4000])
    """


class StringVoices(Voices):
    """What a :class:`~drumblender.tasks.StringTask` plays: a string that the target may excite, and a body.

    Args:
        controls: Play the string.
        synth: The string, or any other synth.
        sample_rate: Samples a second.
        voices: What joins after the ``string``, by name: a body, a room.
        **training: What its task takes beside these.

    Examples:
        >>> from drumblender.controllers import FreeControls
        >>> from drumblender.synths import StringSynth
        >>> string = StringVoices(FreeControls(), StringSynth(internal_rate=16000, excitation="burst"))
        >>> string({"audio": torch.zeros(1, 4000), "f0_hz": torch.full((1, 26), 220.0)}).shape
        torch.Size([1, 4000])
    """

    for_training = (*Voices.for_training, "mode")

    def __init__(
        self,
        controls: Controller,
        synth: Synth,
        sample_rate: int = 16000,
        voices: dict[str, Voice] | None = None,
        **training: Any,
    ) -> None:
        if "string" in (voices or {}):
            raise ValueError("The voice 'string' is that of synth and controls: name others otherwise.")
        string = Voice(synth, controls, source="target")
        super().__init__({"string": string} | (voices or {}), sample_rate=sample_rate, **training)


class PitchVoices(Voices):
    """What a :class:`~drumblender.tasks.PitchTask` plays: tones of a fundamental and partials.

    Args:
        controls: Make fundamental and amplitudes.
        synth: Plays them.
        sample_rate: Samples a second.
        **training: What its task takes beside these.

    Raises:
        ValueError: The synth has no fundamental.

    Examples:
        >>> from drumblender.controllers import HeardControls, PitchHead
        >>> from drumblender.encoders import PitchCNN
        >>> from drumblender.synths import HarmonicSynth
        >>> controls = HeardControls(PitchCNN(channels=(4, 3, 3, 2, 1)), PitchHead())
        >>> PitchVoices(controls, HarmonicSynth(20, 16000))({"audio": torch.randn(1, 4000)}).shape
        torch.Size([1, 4000])
    """

    verb, verb_takes = "pitch", "in.wav out.csv --tracker {checkpoint}"
    for_training = (
        *Voices.for_training,
        "hold_steps",
        "hold_loss",
        "pitch_metrics",
        "lowest_terms",
        "ratios",
    )

    def __init__(self, controls: Controller, synth: Synth, sample_rate: int = 16000, **training: Any) -> None:
        if "f0_hz" not in {synth.unit_name(name) for name in synth.control_sizes}:
            raise ValueError(f"PitchTask needs a synth with a fundamental, f0_hz; got {synth!r}.")
        super().__init__({"tone": Voice(synth, controls)}, sample_rate=sample_rate, **training)


class GuitarVoices(Voices):
    """What a :class:`~drumblender.tasks.GuitarTask` plays: an instrument of known range, and maybe a room.

    Args:
        voices: The voices by name; the first plays the instrument, a room may follow.
        sample_rate: Samples a second.
        **training: What its task takes beside these.

    Examples:
        >>> from drumblender.controllers import HarmonicControls
        >>> from drumblender.encoders import ControlGRU
        >>> from drumblender.synths import HarmonicSynth
        >>> guitar = Voice(HarmonicSynth(num_harmonics=20), HarmonicControls(ControlGRU(8)))
        >>> curves = {"f0_hz": torch.full((1, 26), 220.0), "loudness_db": torch.full((1, 26), -20.0)}
        >>> GuitarVoices({"guitar": guitar})(curves | {"audio": torch.zeros(1, 4000)}).shape
        torch.Size([1, 4000])
    """

    verb = "transfer"
    for_training = (*Voices.for_training, "supervised_steps", "warmup_samples")

    def __init__(self, voices: dict[str, Voice], sample_rate: int = 16000, **training: Any) -> None:
        super().__init__(voices, sample_rate=sample_rate, **training)
        self.register_buffer("range_f0_hz", torch.zeros(QUANTILES))
        self.register_buffer("range_loudness_db", torch.zeros(QUANTILES))
        brightness_hz = (
            torch.zeros(QUANTILES) if "brightness_hz" in getattr(self.player, "hears", ()) else None
        )
        self.register_buffer("range_brightness_hz", brightness_hz)

    @property
    def player(self) -> nn.Module:
        """What plays the instrument."""
        return next(iter(self.voices.values())).controls


class RemapVoices(Voices):
    """What a :class:`~drumblender.tasks.RemapTask` plays: a synth around a preset, hit by hit.

    Args:
        controls: What plays the synth from the features of an onset.
        synth: Any synth that plays without a source.
        features: Describe what was rendered.
        sample_rate: Samples a second of the synth and of the features.
        num_samples: Length of a rendered hit; None renders what the features read.
        preset: What the features of a hit are compared with, for controls that have no preset of their own.
        **training: What its task takes beside these.

    Raises:
        ValueError: The synth needs a source.

    Examples:
        >>> from drumblender.controllers import LinearMapping
        >>> from drumblender.features import CascadingFrameExtractor, Loudness
        >>> from drumblender.synths import SimpleDrumSynth
        >>> loudness = CascadingFrameExtractor([Loudness(44100)], num_frames=[2])
        >>> controls = MappedControls(LinearMapping(in_size=3, out_size=9))  # around random controls
        >>> drum = RemapVoices(controls, SimpleDrumSynth(44100), loudness, 44100, num_samples=4410)
        >>> drum({"onset": torch.rand(2, 3)}).shape
        torch.Size([2, 4410])
    """

    reference: Float[Tensor, "1 features"]

    verb = "remap"
    hears_any_rate = True  # told in setup, as in the published runs
    for_training = (*Voices.for_training, "preset_baseline")

    def __init__(
        self,
        controls: Controller,
        synth: Synth,
        features: Feature,
        sample_rate: int,
        num_samples: int | None = None,
        preset: str | None = None,
        **training: Any,
    ) -> None:
        if synth.needs_source:
            raise ValueError(f"{type(synth).__name__} needs a source to play; remapping has none to give.")
        super().__init__({"drum": Voice(synth, controls)}, sample_rate=sample_rate, **training)
        self.features = features
        self.num_samples = num_samples or features.receptive_field or sample_rate
        with torch.no_grad():
            self.register_buffer("reference", features(self.play(self._rest(preset))))
        self.labels = features.labels or [str(i) for i in range(self.reference.shape[1])]

    @property
    def synth(self) -> Synth:
        """What sounds."""
        return self.voices["drum"].synth

    @property
    def controls(self) -> Controller:
        """What plays it."""
        return self.voices["drum"].controls

    @property
    def mapping(self) -> MappedControls:
        """The controls, where they are those of a mapper around a preset.

        Raises:
            ValueError: They are of another kind.
        """
        if not isinstance(self.controls, MappedControls):
            raise ValueError(f"This needs MappedControls; the model has {type(self.controls).__name__}.")
        return self.controls

    def play(self, controls: Controls, num_samples: int | None = None) -> Audio:
        """Render controls."""
        return self.synth(controls, num_samples or self.num_samples)

    def length_of(self, batch: OnsetBatch) -> int:
        return self.num_samples

    def export_metadata(self) -> dict[str, object]:
        """What a reader of an exported mapper may want to know."""
        scale = self.mapping.onset_scale
        known = {"onset_low": scale.low.tolist(), "onset_span": scale.span.tolist()} if scale.known else {}
        return {
            "version": __version__,
            "sample_rate": self.sample_rate,
            "features": self.labels,
            "parameters": self.mapping.param_names,
            "onset_center": scale.center.tolist(),
            **known,
        }

    def _rest(self, preset: str | None) -> Controls:
        """What the features of a hit are compared with."""
        if isinstance(self.controls, MappedControls):
            return self.controls.controls_of(self.controls.preset)
        if preset is None:
            kind = type(self.controls).__name__
            raise ValueError(f"{kind} has no preset: give the task one to compare with.")
        return load_controls(preset, self.synth)
