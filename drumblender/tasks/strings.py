"""Plucked strings: a network finds the loop and the excitation of a note (DiffKS, WASPAA 2025)."""

from typing import Literal

import torch
from torch import Tensor, nn
from torchmetrics import Metric

from drumblender.controllers import LinearHead
from drumblender.encoders import NoteEncoder
from drumblender.synths import StringSynth
from drumblender.tasks.base import Step, SynthesisTask
from drumblender.types import Audio, Controls, HasLoudnessStatistics, StringBatch


class StringTask(SynthesisTask):
    """Resynthesises notes of a string of known pitch.

    Args:
        encoder: Hears the note.
        synth: Plays it. One that ``hears`` is given the target itself: resynthesis, as published.
        loss: Compares sounds; in mode ``parameters`` the coefficients of the string at the frames, as a
            :class:`~drumblender.losses.ControlLoss` does.
        mode: Train on ``audio``, or on ``parameters`` that the batch brings.
        sample_rate, metrics, eval_seed: As every :class:`~drumblender.tasks.base.SynthesisTask`.

    Raises:
        ValueError: Unknown mode, or the synth renders at another rate.
    """

    def __init__(
        self,
        encoder: NoteEncoder,
        synth: StringSynth,
        loss: nn.Module,
        mode: Literal["audio", "parameters"] = "audio",
        sample_rate: int = 16000,
        metrics: dict[str, Metric] | None = None,
        eval_seed: int | None = 0,
    ) -> None:
        super().__init__(sample_rate, loss, metrics, eval_seed)
        self.save_hyperparameters(logger=False)
        if mode not in ("audio", "parameters"):
            raise ValueError(f"mode is 'audio' or 'parameters', got {mode!r}.")
        if synth.sample_rate != sample_rate:
            raise ValueError(f"The synth renders at {synth.sample_rate} Hz, the task is at {sample_rate} Hz.")
        self.encoder, self.synth, self.mode = encoder, synth, mode
        heard = {name: size for name, size in synth.control_sizes.items() if name != "f0_hz"}
        self.head = LinearHead(encoder.num_features, heard, synth.control_frames)

    def setup(self, stage: str) -> None:
        """Take the loudness of the training data from the data, before training starts."""
        data = getattr(self.trainer, "datamodule", None)
        if stage == "fit" and isinstance(data, HasLoudnessStatistics):
            self.encoder.set_loudness_statistics(*data.loudness_statistics())

    def controls(self, batch: StringBatch) -> Controls:
        """What the string is played with."""
        features = self.encoder(batch["audio"], batch["f0_hz"], batch["loudness_db"])
        return self.head(features) | {"f0_hz": batch["f0_hz"][..., None]}

    def forward(self, batch: StringBatch) -> Audio:
        return self._render(self.controls(batch), batch["audio"])

    def coefficients(self, controls: Controls) -> Controls:
        """What supervised training compares: the loop filter with its gain, and the excitation filter."""
        units = self.synth.to_units(controls)
        return {
            "loop_coefficients": units["loop_coefficients"] * units["loop_gain"],
            "excitation_coefficients": units["excitation_coefficients"],
        }

    def _render(self, controls: Controls, audio: Audio) -> Audio:
        return self.synth(controls, audio.shape[-1], audio if self.synth.hears else None)

    def _step(self, batch: StringBatch, stage: str) -> Step:
        if self.mode == "audio":
            return super()._step(batch, stage)
        controls = self.controls(batch)
        found = self.coefficients(controls)
        if missing := [name for name in found if name not in batch]:
            raise ValueError(
                f"Mode 'parameters' needs {missing} in the batch; pair it with SyntheticStringsDataModule."
            )
        loss = self.loss(found, {name: batch[name] for name in found})
        self.log_loss(stage, loss, len(batch["audio"]))
        step: dict[str, Tensor] = {"loss": loss}
        if stage != "train":  # nothing hears the training, and the sound would take longer than the step
            with torch.no_grad():
                step |= {"prediction": self._render(controls, batch["audio"]), "target": batch["audio"]}
        return step
