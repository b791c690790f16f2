"""Plucked strings: a network finds the loop and the excitation of a note (DiffKS, WASPAA 2025)."""

from typing import Literal

import torch
from torch import Tensor, nn
from torchmetrics import Metric

from drumblender.controllers import Controller
from drumblender.features.string_decay import StringDecay
from drumblender.synths import StringSynth, Synth
from drumblender.tasks.base import Step, SynthesisTask
from drumblender.tasks.played import StringVoices
from drumblender.tasks.voices import Voice
from drumblender.types import Audio, Controls, StringBatch


class StringTask(StringVoices, SynthesisTask):
    """Resynthesises notes of known pitch, from sound or, where their string is known, from its coefficients.

    Args:
        controls: Play the string.
        synth: The string, or any other synth. One that needs a source is given the target itself:
            resynthesis, as published.
        loss: Compares sounds; in mode ``parameters`` the coefficients of the string at the frames, as a
            :class:`~drumblender.losses.ControlLoss` does.
        mode: Train on ``audio``, or on ``parameters`` that the batch brings; for a
            :class:`~drumblender.synths.StringSynth`. Recordings bring none: on them such a model is tested
            by its sound alone, without a loss.
        voices: What joins after the string, by name, such as an equaliser that is its body.
        sample_rate, metrics, eval_seed: As every :class:`~drumblender.tasks.base.SynthesisTask`.

    Raises:
        ValueError: Unknown mode, a synth without such parameters, or one that renders at another rate.

    Examples:
        >>> from drumblender.controllers import FreeControls
        >>> from drumblender.losses import MultiResolutionSTFTLoss
        >>> from drumblender.synths import StringSynth
        >>> string = StringSynth(internal_rate=16000, excitation="burst")
        >>> task = StringTask(FreeControls(), string, MultiResolutionSTFTLoss())
        >>> task({"audio": torch.zeros(1, 4000), "f0_hz": torch.full((1, 26), 220.0)}).shape
        torch.Size([1, 4000])
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
        voices: dict[str, Voice] | None = None,
    ) -> None:
        super().__init__(
            controls, synth, sample_rate, voices, loss=loss, metrics=metrics, eval_seed=eval_seed
        )
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

    @torch.no_grad()
    def baselines(self, batch: StringBatch) -> dict[str, Audio]:
        """As of every task; and the loop that the fading of the recording tells, with nothing learned."""
        found = super().baselines(batch)
        voice = self.voices["string"]
        synth = voice.synth
        if not isinstance(synth, StringSynth) or synth.control_sizes["loop_taps"] != 3:
            return found
        analysis = StringDecay(
            self.sample_rate,
            synth.internal_rate,
            synth.control_frames["loop_gain"],
            synth.control_frames["excitation_gain"],
            synth.control_sizes["excitation_taps"],
            synth.loop_gain.low,
            synth.loop_gain.high,
            onset_s=synth.onset_s,
            excitation_s=synth.window / synth.internal_rate,
        )
        controls = voice.controls(batch) | analysis(batch).controls
        sound = voice.play(controls, batch, num_samples=self.length_of(batch))
        return found | {"measured decay": sound}

    def judged(self, audio: Audio) -> Audio:
        """Without the windows whose excitation is the recording itself, whatever the weights."""
        synth = self.voices["string"].synth
        if not isinstance(synth, StringSynth) or synth.excitation != "resynthesis":
            return audio
        kept = torch.ones(audio.shape[-1], dtype=torch.bool, device=audio.device)
        for onset_s in synth.onset_s:
            first = round(onset_s * self.sample_rate)
            kept[first : first + round(synth.window / synth.internal_rate * self.sample_rate)] = False
        return audio[:, kept]

    def _step(self, batch: StringBatch, stage: str) -> Step:
        if self.mode == "audio":
            return super()._step(batch, stage)
        found = self.coefficients(self.voices["string"].controls(batch))
        missing = [name for name in found if name not in batch]
        if missing and stage != "test":
            raise ValueError(
                f"Mode 'parameters' needs {missing} in the batch; pair it with SyntheticStringsDataModule."
            )
        step: dict[str, Tensor] = {}
        if not missing:
            step["loss"] = self.loss(found, {name: batch[name] for name in found})
            self.log_loss(stage, step["loss"], len(batch["audio"]))
        if stage != "train":  # nothing hears the training, and the sound would take longer than the step
            with torch.no_grad():
                step |= {"prediction": self(batch), "target": batch["audio"]}
        return step
