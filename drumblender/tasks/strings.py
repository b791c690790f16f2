"""Plucked strings: a network finds the loop and the excitation of a note (DiffKS, WASPAA 2025)."""

from typing import Literal

import torch
from torch import Tensor, nn
from torchmetrics import Metric

from drumblender.controllers import Controller
from drumblender.synths import StringSynth, Synth
from drumblender.tasks.base import Step, SynthesisTask
from drumblender.tasks.voices import Voice
from drumblender.types import Controls, StringBatch


class StringTask(SynthesisTask):
    """Resynthesises notes of known pitch, from sound or, where their string is known, from its coefficients.

    Args:
        controls: Play the string.
        synth: The string, or any other synth. One that needs a source is given the target itself:
            resynthesis, as published.
        loss: Compares sounds; in mode ``parameters`` the coefficients of the string at the frames, as a
            :class:`~drumblender.losses.ControlLoss` does.
        mode: Train on ``audio``, or on ``parameters`` that the batch brings; for a
            :class:`~drumblender.synths.StringSynth`.
        sample_rate, metrics, eval_seed: As every :class:`~drumblender.tasks.base.SynthesisTask`.

    Raises:
        ValueError: Unknown mode, a synth without such parameters, or one that renders at another rate.
    """

    def __init__(
        self,
        controls: Controller,
        synth: Synth,
        loss: nn.Module,
        mode: Literal["audio", "parameters"] = "audio",
        sample_rate: int = 16000,
        metrics: dict[str, Metric] | None = None,
        eval_seed: int | None = 0,
    ) -> None:
        voice = Voice(synth, controls, source="target")
        super().__init__({"string": voice}, loss, sample_rate, metrics, eval_seed)
        self.save_arguments()
        if mode not in ("audio", "parameters"):
            raise ValueError(f"mode is 'audio' or 'parameters', got {mode!r}.")
        if mode == "parameters" and not isinstance(synth, StringSynth):
            kind = type(synth).__name__
            raise ValueError(f"Mode 'parameters' compares those of a StringSynth, got {kind}.")
        self.mode = mode

    def coefficients(self, controls: Controls) -> Controls:
        """What supervised training compares: the loop filter with its gain, and the excitation filter."""
        found = self.voices["string"].synth.coefficients(controls)
        return {
            "loop_coefficients": found["loop_coefficients"] * found["loop_gain"],
            "excitation_coefficients": found["excitation_coefficients"],
        }

    def _step(self, batch: StringBatch, stage: str) -> Step:
        if self.mode == "audio":
            return super()._step(batch, stage)
        found = self.coefficients(self.voices["string"].controls(batch))
        if missing := [name for name in found if name not in batch]:
            raise ValueError(
                f"Mode 'parameters' needs {missing} in the batch; pair it with SyntheticStringsDataModule."
            )
        loss = self.loss(found, {name: batch[name] for name in found})
        self.log_loss(stage, loss, len(batch["audio"]))
        step: dict[str, Tensor] = {"loss": loss}
        if stage != "train":  # nothing hears the training, and the sound would take longer than the step
            with torch.no_grad():
                step |= {"prediction": self(batch), "target": batch["audio"]}
        return step
