"""Tones of unknown pitch: a network finds fundamental and partials from the sound alone."""

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.func import functional_call
from torchmetrics import Metric

from drumblender.controllers import Controller
from drumblender.features.trackers import tracker
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
from drumblender.tasks.exchange import exchanged, mean_of_others, of_another
from drumblender.tasks.played import PitchVoices
from drumblender.types import Audio, AudioBatch, Controls, ToneBatch


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

    told_of_all = (
        "raw_pitch_accuracy",
        "raw_chroma_accuracy",
        "octave_difference",
        "ratio_locked",
        "lowest_terms_accuracy",
    )

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
        """Log what tells a right pitch from one that merely sounds right; metrics, over all of an epoch."""
        heard: dict[str, Metric] = {}
        if stage == "validation":
            heard |= self.metrics
            for metric in self.metrics.values():
                metric.update(step["prediction"], step["target"])
        units = self.voices["tone"].synth.to_units(controls)
        logs = {"batch_size": len(step["target"]), "on_step": False, "on_epoch": True}
        if "amp" in units:
            number = mean_harmonic_number(units["amp"])
            self.log(f"{stage}/mean_harmonic_number", number, sync_dist=True, **logs)
        if "f0_hz" in batch:
            found = units["f0_hz"][..., 0]
            truth = batch["f0_hz"].expand_as(found).contiguous()
            heard |= self.pitch_metrics
            for metric in self.pitch_metrics.values():
                metric.update(found, truth)
            if "amp" in units and len(units["amp"][0]) == len(found[0]):
                heard["lowest_terms_accuracy"] = self.lowest_terms
                self.lowest_terms.update(lowest_terms(found, units["amp"]), truth)
            if stage == "test":
                self.ratios.update(found, truth)
        for name, metric in heard.items():
            self.log(f"{stage}/{name}", metric, **logs)

    @torch.no_grad()
    def baselines(self, batch: ToneBatch) -> dict[str, Audio]:
        """Also, the tones of the model at the pitch that YIN hears, which needs no training."""
        heard = _unjudged(batch)
        controls = self.voice_controls(heard)
        found = super().baselines(heard)
        return found | {"pitch by YIN": self.render(heard, {"tone": controls["tone"] | self._by_yin(heard)})}

    @torch.no_grad()
    def compare(self, batch: ToneBatch, batch_idx: int = 0) -> dict[str, dict[str, Tensor]]:
        """Where the pitch is known, the share of each tone that is over half a semitone off it comes first; a
        sound without a pitch is off it all the time."""
        found = super().compare(batch, batch_idx)
        if "f0_hz" not in batch:
            return found
        pitches = self._pitches(_unjudged(batch))
        wrong = {kind: (batch["f0_hz"] / f0_hz).log2().abs() * 12 > 0.5 for kind, f0_hz in pitches.items()}
        never = torch.ones_like(wrong["model"])
        return {
            kind: {"wrong_pitch": wrong.get(kind, never).float().mean(dim=1)} | figures
            for kind, figures in found.items()
        }

    def _pitches(self, heard: AudioBatch) -> dict[str, Float[Tensor, "batch frames"]]:
        """In Hz: what the model and those of its baselines that have one take for the pitch."""
        controls, made = self.voices["tone"].controls, self.voice_controls(heard)
        now = dict(controls.named_parameters()) | dict(controls.named_buffers())  # where and how precise
        of_start = {name: self.start.get(f"voices.tone.controls.{name}") for name in now}
        start = {name: value.to(now[name]) for name, value in of_start.items() if value is not None}
        kinds = {
            "model": made["tone"],
            "untrained": functional_call(controls, start, (heard,)),
            "pitch by YIN": self._by_yin(heard),
        }
        if len(heard["audio"]) > 1:
            kinds["mean controls"] = exchanged(made, heard, mean_of_others)["tone"]
            kinds["controls of another"] = exchanged(made, heard, of_another)["tone"]
        names = [name for name in self.voices["tone"].synth.control_sizes if name in ("f0_hz", "f0")]
        to_units = self.voices["tone"].synth.to_units
        return {
            kind: to_units({name: controls[name] for name in names})["f0_hz"][..., 0]
            for kind, controls in kinds.items()
        }

    def _by_yin(self, heard: AudioBatch) -> Controls:
        """The fundamental of each tone, as the median over YIN's frames."""
        ear = tracker("yin")
        found = [ear(sound.float().cpu(), self.sample_rate).f0_hz.median() for sound in heard["audio"]]
        f0_hz = torch.stack(found).to(heard["audio"])[:, None, None]
        synth = self.voices["tone"].synth
        name = next(name for name in synth.control_sizes if synth.unit_name(name) == "f0_hz")
        return {name: synth.ranges[name].normalize(f0_hz) if name in synth.ranges else f0_hz}

    def on_test_epoch_end(self) -> None:
        """Log the share of frames at each ratio of prediction to truth, as ``test/ratio_1:2``."""
        for name, share in self.ratios.compute().items():
            self.log(f"test/ratio_{name.replace('/', ':')}", share)
        self.ratios.reset()


def _unjudged(batch: ToneBatch) -> AudioBatch:
    """The batch without the truth, which is for judging only."""
    return {name: value for name, value in batch.items() if name not in ("f0_hz", "amp")}
