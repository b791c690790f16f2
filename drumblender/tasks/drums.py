"""Percussion resynthesis: voices that play together (Shier et al., Forum Acusticum 2023)."""

import torch
from torch import nn
from torchmetrics import Metric

from drumblender.synths import ModalSynth
from drumblender.tasks.base import SynthesisTask
from drumblender.tasks.played import DrumVoices
from drumblender.tasks.voices import Voice
from drumblender.types import Audio, ModalBatch


class DrumTask(DrumVoices, SynthesisTask):
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

    Examples:
        >>> from drumblender.controllers import FreeControls
        >>> from drumblender.synths import ModalSynth, NoiseSynth
        >>> modal = Voice(ModalSynth(num_modes=3))  # without controls of its own, it plays those of the batch
        >>> noise = Voice(NoiseSynth(num_bands=8, win_length=64), FreeControls(num_frames=4))
        >>> task = DrumTask({"modal": modal, "noise": noise}, nn.L1Loss(), sample_rate=16000)
        >>> batch = dict.fromkeys(("freq_rad", "amp", "phase_rad"), torch.rand(2, 5, 3))
        >>> stems = task.stems(batch | {"audio": torch.zeros(2, 4000)})
        >>> {name: tuple(sound.shape) for name, sound in stems.items()}
        {'modal': (2, 4000), 'noise': (2, 4000)}
    """

    def __init__(
        self,
        voices: dict[str, Voice],
        loss: nn.Module,
        sample_rate: int,
        metrics: dict[str, Metric] | None = None,
        eval_seed: int | None = 0,
    ) -> None:
        super().__init__(voices, loss, sample_rate, metrics, eval_seed)
        self.save_arguments()

    @torch.no_grad()
    def baselines(self, batch: ModalBatch) -> dict[str, Audio]:
        """As of every task; and the modal stem, which is what the analysis of the recording left behind."""
        found = super().baselines(batch)
        stems = self.stems(batch)
        if len(self.voices) == 1:
            return found
        modal = [name for name, voice in self.voices.items() if isinstance(voice.synth, ModalSynth)]
        return found | {f"{name} stem": stems[name] for name in modal}
