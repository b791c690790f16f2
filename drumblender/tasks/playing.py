"""Voices that play together: the part of a task that sounds, free of Lightning and so quick to import.

A task trains one of these; a command that plays a trained model builds it alone, from the same configuration
(see :func:`drumblender.checkpoints.load_played`).
"""

from collections.abc import Iterator
from itertools import chain

import torch
from torch import Tensor, nn

from drumblender.encoders.base import Encoder
from drumblender.tasks.voices import Voice
from drumblender.types import Audio, AudioBatch, Controls


class Voices(nn.Module):
    """Plays voices in order: each hears the mix so far and adds to it or replaces it.

    Args:
        voices: The voices by name, in the order they join.
        sample_rate: Samples a second of the audio in the batches.

    Raises:
        ValueError: No voice at all, the first one needs a mix to hear, or one renders at another rate.

    Examples:
        >>> from drumblender.controllers import FreeControls
        >>> from drumblender.synths import NoiseSynth
        >>> hiss = Voice(NoiseSynth(num_bands=8, win_length=64), FreeControls(num_frames=4))
        >>> Voices({"hiss": hiss}, sample_rate=16000)({"audio": torch.zeros(2, 4000)}).shape
        torch.Size([2, 4000])
    """

    verb = "synth"
    """The command that plays a trained task."""

    verb_takes = "{checkpoint} in.wav out.wav"
    """What is given to that command."""

    hears_any_rate = False
    """Whether its data may have another sample rate than what it plays."""

    for_training: tuple[str, ...] = ("loss", "metrics", "eval_seed")
    """What a task of this kind is also given, and has weights under, that plays no part in its sound."""

    def __init__(self, voices: dict[str, Voice], sample_rate: int) -> None:
        super().__init__()
        if sample_rate < 1:
            raise ValueError(f"sample_rate is samples a second, got {sample_rate}.")
        _check_voices(voices, sample_rate)
        self.voices = nn.ModuleDict(voices)
        self.sample_rate = sample_rate
        check_rates(self, sample_rate)

    @property
    def device(self) -> torch.device:
        """Where it plays."""
        return next(chain(self.parameters(), self.buffers()), torch.empty(0)).device

    def forward(self, batch: AudioBatch, noise: Tensor | None = None) -> Audio:
        """Render the batch; ``noise`` replaces the draw of the voices that take it, shaped as they say.

        Raises:
            ValueError: There is noise, and no voice takes it.
        """
        return self.render(batch, {}, noise)

    def voice_controls(self, batch: AudioBatch) -> dict[str, Controls]:
        """What each voice is played with, by name; for one that hears the mix, those before it are played."""
        found: dict[str, Controls] = {}
        mix, voices = None, list(self.voices.items())
        for place, (name, voice) in enumerate(voices):
            found[name] = voice.controls(voice.heard(batch, mix))
            if any(later.controls.hears_mix for _, later in voices[place + 1 :]):
                with torch.no_grad():
                    mix = voice.join(
                        mix, voice.play(found[name], batch, mix, num_samples=self.length_of(batch))
                    )
        return found

    def render(self, batch: AudioBatch, controls: dict[str, Controls], noise: Tensor | None = None) -> Audio:
        """The mix of the voices, played with these controls, or with those that a voice makes itself."""
        mix = None
        for name, sound in self._play(batch, controls, noise):
            mix = self.voices[name].join(mix, sound)
        return mix

    def stems(
        self,
        batch: AudioBatch,
        noise: Tensor | None = None,
        controls: dict[str, Controls] | None = None,
    ) -> dict[str, Audio]:
        """The sound of each voice alone, by name; ``controls`` instead of those that the voices make."""
        return dict(self._play(batch, controls or {}, noise))

    def _play(
        self, batch: AudioBatch, controls: dict[str, Controls], noise: Tensor | None
    ) -> Iterator[tuple[str, Audio]]:
        if noise is not None and not any(voice.synth.takes_noise for voice in self.voices.values()):
            raise ValueError(f"None of the voices {', '.join(self.voices)} takes noise.")
        mix, num_samples = None, self.length_of(batch)
        for name, voice in self.voices.items():
            played = controls[name] if name in controls else voice.controls(voice.heard(batch, mix))
            sound = voice.play(played, batch, mix, noise, num_samples=num_samples)
            yield name, sound
            mix = voice.join(mix, sound)

    def length_of(self, batch: AudioBatch) -> int:
        """Samples to render: as many as the recordings have."""
        return batch["audio"].shape[-1]


def check_rates(whole: nn.Module, sample_rate: int) -> None:
    """Make sure that parts which work at a rate work at this one.

    Encoders learn from whatever they hear (the published one of strings takes 16 kHz at any rate), and parts
    of other packages may resample.

    Raises:
        ValueError: One works at another; says which.

    Examples:
        >>> from drumblender.losses import BandLoss
        >>> check_rates(nn.ModuleDict({"loss": BandLoss(16000)}), 48000)
        Traceback (most recent call last):
        ValueError: loss (BandLoss) works at 16000 Hz, the task at 48000 Hz: set its sample_rate to that.
    """
    for name, part in whole.named_modules():
        rate = getattr(part, "sample_rate", None)
        ours = type(part).__module__.startswith("drumblender.") and not isinstance(part, Encoder)
        if not ours or rate in (None, sample_rate):
            continue
        raise ValueError(
            f"{name} ({type(part).__name__}) works at {rate} Hz, the task at {sample_rate} Hz: "
            "set its sample_rate to that."
        )


def _check_voices(voices: dict[str, Voice], sample_rate: int) -> None:
    if not voices:
        raise ValueError("A task needs at least one voice.")
    first, voice = next(iter(voices.items()))
    if voice.needs_mix:
        raise ValueError(f"Voice {first!r} works on the mix before it, so it cannot be the first.")
    for name, voice in voices.items():
        rate = voice.synth.sample_rate
        if rate not in (None, sample_rate):
            raise ValueError(
                f"The synth of voice {name!r} renders at {rate} Hz, the task is at {sample_rate} Hz."
            )
