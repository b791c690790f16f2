"""Tones of unknown pitch: a network finds fundamental and partials from the sound alone."""

from torch import Tensor, nn
from torchmetrics import Metric

from drumblender.controllers import Controller
from drumblender.losses.calling import call_loss
from drumblender.metrics import OctaveDifference, RawChromaAccuracy, RawPitchAccuracy
from drumblender.metrics.pitch_ratios import (
    RatioHistogram,
    RatioLockedAccuracy,
    lowest_terms,
    mean_harmonic_number,
)
from drumblender.synths import Synth
from drumblender.tasks.base import Step, SynthesisTask
from drumblender.tasks.played import PitchVoices
from drumblender.types import Controls, ToneBatch


class PitchTask(PitchVoices, SynthesisTask):
    """Resynthesises tones; their pitch, where the batch brings it, is for judging only.

    Torres, Peeters and Richard (ICASSP 2024). No reconstruction loss tells f from f / 2 or 2 f where the
    amplitudes are free, so beside the accuracies it logs at which ratios to the truth the pitches lie.

    Args:
        controls: Make fundamental and amplitudes, such as ``HeardControls`` of a ``PitchCNN`` and a
            ``PitchHead``.
        synth: Plays them: a :class:`~drumblender.synths.HarmonicSynth`.
        loss: Compares sounds.
        hold_steps: So many first steps of training move the pitch alone: amplitudes get no gradient.
        hold_loss: Compares sounds in those steps; by default as ``loss``. It should hear nothing of the
            amplitudes, which are wrong then, or the pitch makes up for them, by up to an octave:
            ``cfg/losses/lowest_partial.yaml`` does not.
        sample_rate, metrics, eval_seed: As every :class:`~drumblender.tasks.base.SynthesisTask`; the metrics
            are logged in validation too.

    Raises:
        ValueError: The synth has no fundamental, or ``hold_steps`` is below 0.

    Examples:
        >>> import torch
        >>> from drumblender.controllers import HeardControls, PitchHead
        >>> from drumblender.encoders import PitchCNN
        >>> from drumblender.losses import SpectralTransportLoss
        >>> from drumblender.synths import HarmonicSynth
        >>> controls = HeardControls(PitchCNN(channels=(4, 3, 3, 2, 1)), PitchHead())
        >>> task = PitchTask(controls, HarmonicSynth(20, 16000), SpectralTransportLoss())
        >>> task({"audio": torch.randn(1, 4000)}).shape
        torch.Size([1, 4000])
    """

    def __init__(
        self,
        controls: Controller,
        synth: Synth,
        loss: nn.Module,
        hold_steps: int = 0,
        hold_loss: nn.Module | None = None,
        sample_rate: int = 16000,
        metrics: dict[str, Metric] | None = None,
        eval_seed: int | None = 0,
    ) -> None:
        if hold_steps < 0:
            raise ValueError(f"hold_steps counts steps, got {hold_steps}.")
        super().__init__(controls, synth, sample_rate, loss=loss, metrics=metrics, eval_seed=eval_seed)
        self.save_arguments()
        self.hold_steps = hold_steps
        self.hold_loss = loss if hold_loss is None else hold_loss
        self.pitch_metrics = nn.ModuleDict(
            {
                "raw_pitch_accuracy": RawPitchAccuracy(),
                "raw_chroma_accuracy": RawChromaAccuracy(),
                "octave_difference": OctaveDifference(),
                "ratio_locked": RatioLockedAccuracy(),
            }
        )
        self.lowest_terms, self.ratios = RawPitchAccuracy(), RatioHistogram()

    def _step(self, batch: ToneBatch, stage: str) -> Step:
        voice, target = self.voices["tone"], batch["audio"]
        controls = voice.controls(batch)
        holds = stage == "train" and self.global_step < self.hold_steps
        if holds:
            controls = {
                name: value if name.startswith("f0") else value.detach() for name, value in controls.items()
            }
        prediction = voice.synth(controls, target.shape[-1])
        loss = call_loss(self.hold_loss if holds else self.loss, prediction, target)
        if holds:
            self.log("train/loss", loss, prog_bar=True, batch_size=len(target))
        else:
            self.log_loss(stage, loss, len(target))
        step: dict[str, Tensor] = {"loss": loss, "prediction": prediction.detach(), "target": target}
        if stage != "train":
            self._judge(stage, controls, batch, step)
        return step

    def _judge(self, stage: str, controls: Controls, batch: ToneBatch, step: Step) -> None:
        """Log what tells a right pitch from one that merely sounds right."""
        values: dict[str, Tensor] = {}
        if stage == "validation":
            for name, metric in self.metrics.items():
                values[name] = metric(step["prediction"], step["target"])
        units = self.voices["tone"].synth.to_units(controls)
        if "amp" in units:
            values["mean_harmonic_number"] = mean_harmonic_number(units["amp"])
        if "f0_hz" in batch:
            found = units["f0_hz"][..., 0]
            truth = batch["f0_hz"].expand_as(found).contiguous()
            values |= {name: metric(found, truth) for name, metric in self.pitch_metrics.items()}
            if "amp" in units and len(units["amp"][0]) == len(found[0]):
                values["lowest_terms_accuracy"] = self.lowest_terms(lowest_terms(found, units["amp"]), truth)
            if stage == "test":
                self.ratios.update(found, truth)
        for name, value in values.items():
            self.log(f"{stage}/{name}", value, batch_size=len(step["target"]), sync_dist=True)

    def on_test_epoch_end(self) -> None:
        """Log the share of frames at each ratio of prediction to truth, as ``test/ratio_1:2``."""
        for name, share in self.ratios.compute().items():
            self.log(f"test/ratio_{name.replace('/', ':')}", share)
        self.ratios.reset()
