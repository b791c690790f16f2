"""Percussion resynthesis: voices that play together (Shier et al., Forum Acusticum 2023)."""

from torch import Tensor, nn
from torchmetrics import Metric

from drumblender.tasks.base import SynthesisTask
from drumblender.tasks.voices import Voice
from drumblender.types import Audio, AudioBatch


class DrumTask(SynthesisTask):
    """Resynthesises drum hits with voices in order: each hears the mix so far and adds to it or replaces it.

    The six configurations of the paper are orders of the same three voices::

        01  modal, noise                        04  modal, transient (replace), noise
        02  modal, transient (replace)          05  modal, transient, noise
        03  modal, noise, transient (replace)   06  modal with learned gains

    Args:
        voices: The voices by name, in the order they join.
        loss, sample_rate, metrics, eval_seed: As every :class:`~drumblender.tasks.base.SynthesisTask`.

    Raises:
        ValueError: No voice at all, or the first one needs a mix to hear.
    """

    def __init__(
        self,
        voices: dict[str, Voice],
        loss: nn.Module,
        sample_rate: int,
        metrics: dict[str, Metric] | None = None,
        eval_seed: int | None = 0,
    ) -> None:
        super().__init__(sample_rate, loss, metrics, eval_seed)
        self.save_arguments()
        if not voices:
            raise ValueError("A drum needs at least one voice.")
        first, voice = next(iter(voices.items()))
        if voice.synth.hears:
            raise ValueError(f"Voice {first!r} works on the mix before it, so it cannot be the first.")
        self.voices = nn.ModuleDict(voices)

    def forward(self, batch: AudioBatch, noise: Tensor | None = None) -> Audio:
        """Render the batch; ``noise`` replaces the draw of the noise voice."""
        mix = None
        for _, voice, sound in self._play(batch, noise):
            mix = sound if mix is None or voice.combine == "replace" else mix + sound
        return mix

    def stems(self, batch: AudioBatch, noise: Tensor | None = None) -> dict[str, Audio]:
        """The sound of each voice alone, by name."""
        return {name: sound for name, _, sound in self._play(batch, noise)}

    def _play(self, batch: AudioBatch, noise: Tensor | None):
        mix = None
        for name, voice in self.voices.items():
            sound = voice(batch, mix, noise)
            yield name, voice, sound
            mix = sound if mix is None or voice.combine == "replace" else mix + sound
