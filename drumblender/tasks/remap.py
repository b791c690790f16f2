"""Timbre remapping: play a synth so that it changes from hit to hit as a recorded drum does."""

import logging
from typing import Literal

import torch
from torch import Tensor, nn

from drumblender.controllers import Controller, MappedControls
from drumblender.features.base import Feature
from drumblender.losses.features import FeatureDifferenceLoss
from drumblender.metrics.features import FeatureError, RankCorrelation, Slope
from drumblender.synths.base import Synth
from drumblender.tasks.base import Step, SynthesisTask
from drumblender.tasks.exchange import exchanged, mean_of_others, of_another
from drumblender.tasks.played import RemapVoices
from drumblender.tasks.remap_reach import centroids, extremes, in_chunks, offsets, optimise
from drumblender.types import Audio, HasHits, OnsetBatch, Reach

log = logging.getLogger(__name__)


class RemapTask(RemapVoices, SynthesisTask):
    """Learns to move a synth's controls around a preset (Shier et al., NIME 2024).

    The features of the rendered hit less those of the preset should be those of the recorded hit less those
    of the drum's reference hit. Batches are ``OnsetBatch``. The ``prediction`` of a step is sound, for which
    there is no target; it returns the features' ``difference`` and ``target_difference`` instead.

    Args:
        controls: What plays the synth from the features of an onset, as
            :class:`~drumblender.controllers.MappedControls` around its preset.
        synth: Any synth that plays without a source.
        features: Describe what was rendered.
        sample_rate: Samples a second of the synth and of the features.
        loss: Compares the differences of features.
        num_samples: Length of a rendered hit; None renders what the features read.
        preset: What the features of a hit are compared with, for controls that have no preset of their own.
        preset_baseline: What ``test/preset_<feature>`` compares with the target: no change at all
            (``unchanged``), or the features of the preset themselves, as the published tables did
            (``original``).
        eval_seed: Validation and test draw their noise from this seed.

    Examples:
        >>> from drumblender.controllers import LinearMapping
        >>> from drumblender.features import CascadingFrameExtractor, Loudness
        >>> from drumblender.synths import SimpleDrumSynth
        >>> loudness = CascadingFrameExtractor([Loudness(44100)], num_frames=[2])
        >>> controls = MappedControls(LinearMapping(in_size=3, out_size=9))  # around random controls
        >>> task = RemapTask(controls, SimpleDrumSynth(44100), loudness, sample_rate=44100, num_samples=4410)
        >>> task({"onset": torch.rand(2, 3)}).shape
        torch.Size([2, 4410])
    """

    def __init__(
        self,
        controls: Controller,
        synth: Synth,
        features: Feature,
        sample_rate: int,
        loss: FeatureDifferenceLoss | None = None,
        num_samples: int | None = None,
        preset: str | None = None,
        preset_baseline: Literal["unchanged", "original"] = "unchanged",
        eval_seed: int | None = 0,
    ) -> None:
        loss = FeatureDifferenceLoss() if loss is None else loss
        super().__init__(
            controls, synth, features, sample_rate, num_samples, preset, loss=loss, eval_seed=eval_seed
        )
        self.save_arguments()
        self.preset_baseline = preset_baseline
        errors = {key: FeatureError() for key in self._metric_names()}
        ranks = {f"rho_{label}": RankCorrelation() for label in self.labels}
        slopes = {f"slope_{label}": Slope() for label in self.labels}
        self.metrics = nn.ModuleDict(errors | ranks | slopes)

    def setup(self, stage: str) -> None:
        data = self.data_module
        if not isinstance(data, HasHits):
            return
        hits = data.hits
        if hits.full.shape[1] != self.reference.shape[1]:
            raise ValueError(
                f"model.features gives {self.reference.shape[1]} numbers a hit, data.features "
                f"{hits.full.shape[1]}."
            )
        if data.sample_rate != self.sample_rate:
            log.warning(
                "The data is at %d Hz but synth and features are at %d Hz: the targets are measured off "
                "by that ratio, as in the published runs.",
                data.sample_rate,
                self.sample_rate,
            )
        if not isinstance(self.controls, MappedControls):
            return
        if hits.onset.shape[1] != self.mapping.mapper.in_size:
            raise ValueError(
                f"mapper.in_size is {self.mapping.mapper.in_size}, but data.onset_features gives "
                f"{hits.onset.shape[1]} numbers."
            )
        if stage == "fit":
            self.mapping.onset_scale.learn(hits.onset_low, hits.onset_span, data.onset_offset)

    def on_train_epoch_end(self) -> None:
        # Schedules and checkpoints watch the validation loss: the training's, without hits to validate with.
        if not self.trainer.num_val_batches or not sum(self.trainer.num_val_batches):
            loss = self.trainer.callback_metrics["train/loss_epoch"]
            self.log("validation/loss", loss, batch_size=1, sync_dist=True)

    def test_step(self, batch: OnsetBatch, batch_idx: int) -> Step:
        with self.repeatable(batch_idx):
            step = self._step(batch, "test")
        prediction, target = step["difference"], step["target_difference"]
        still = self.reference.expand_as(target)
        still = still if self.preset_baseline == "original" else torch.zeros_like(still)
        for i, label in enumerate(self.labels):
            for key in (label, f"rho_{label}", f"slope_{label}"):
                self._update(key, prediction[:, i], target[:, i])
            self._update(f"preset_{label}", still[:, i], target[:, i])
        errors = torch.cat([(prediction - target).abs(), (still - target).abs()], dim=1)
        return step | {"item_metrics": dict(zip(self._metric_names(), errors.unbind(dim=1), strict=True))}

    @torch.no_grad()
    def baselines(self, batch: OnsetBatch) -> dict[str, Audio]:
        """What needs no training: the preset whatever was played, the task as it was built, and, where the
        batch has several hits, the mean of the controls made for the others and those made for another."""
        controls = self.voice_controls(batch)
        found = {"untrained": self.untrained(batch)}
        if isinstance(self.controls, MappedControls):
            still = self.controls.controls_of(self.controls.preset.expand(len(batch["onset"]), -1))
            found["preset"] = self.play(still)
        if len(batch["onset"]) > 1:
            found["mean controls"] = self.render(batch, exchanged(controls, batch, mean_of_others))
            found["controls of another"] = self.render(batch, exchanged(controls, batch, of_another))
        return found

    @torch.no_grad()
    def compare(self, batch: OnsetBatch, batch_idx: int = 0) -> dict[str, dict[str, Tensor]]:
        """Loss and errors of all features, hit by hit, of the ``model`` and each of its baselines."""
        with self.repeatable(batch_idx):
            sounds = {"model": self(batch)}
        with self.repeatable(batch_idx):
            sounds |= self.baselines(batch)
        return {name: self._figures(sound, batch) for name, sound in sounds.items()}

    def _figures(self, audio: Audio, batch: OnsetBatch) -> dict[str, Tensor]:
        features, target = self.features(audio), batch["difference"]
        weight = batch["weight"].expand_as(target)
        rows = zip(features.split(1), target.split(1), weight.split(1), strict=True)
        losses = [self.loss(row, self.reference, wanted, heavy) for row, wanted, heavy in rows]
        errors = (features - self.reference - target).abs().unbind(dim=1)
        return {"loss": torch.stack(losses)} | dict(zip(self.labels, errors, strict=True))

    @torch.no_grad()
    def reach(self, draws: int = 192) -> Reach | None:
        """How far the synth moves each feature from the preset's, at the most that was found: parameters are
        drawn over all that the damping lets a mapper move them, and moved one by one. None where the controls
        have no preset."""
        if not isinstance(self.controls, MappedControls):
            return None
        preset, damping = self.controls.preset, self.controls.damping
        moved = offsets(preset.shape[1], draws).to(preset)
        with self.repeatable(0):
            return Reach(*extremes(in_chunks(self._moved_by, (preset + moved * damping).clamp(0, 1))))

    def direct(self, batch: OnsetBatch, steps: int = 80) -> Tensor | None:
        """The differences ``(batch, features)`` after a search for each hit alone, without a mapping: what a
        perfect one could play. None where the controls have no preset."""
        if not isinstance(self.controls, MappedControls):
            return None
        # A test runs without gradients, and its tensors cannot take part in one.
        with torch.inference_mode(False), torch.enable_grad(), self.repeatable(0):
            preset, damping = self.controls.preset.clone(), self.controls.damping.clone()
            return optimise(self._moved_by, preset, damping, batch["difference"].clone(), steps)

    def in_hz(self, label: str, difference: Tensor) -> Tensor | None:
        """The spectral centroid in Hz at a difference from the preset; None of other features.

        Of the feature as it is defined, with its weights and its mean over frames.
        """
        feature = centroids(self.features, self.labels).get(label)
        if feature is None:
            return None
        return feature.to_hz(self.reference[0, self.labels.index(label)].to(difference) + difference)

    def _moved_by(self, params: Tensor) -> Tensor:
        return self.features(self.play(self.mapping.controls_of(params))) - self.reference

    def predict_step(self, batch: OnsetBatch, batch_idx: int) -> Step:
        with self.repeatable(batch_idx):
            audio = self(batch)
        difference = self.features(audio) - self.reference
        return {"prediction": audio, "difference": difference, "target_difference": batch["difference"]}

    def _step(self, batch: OnsetBatch, stage: str) -> Step:
        audio = self(batch)
        features = self.features(audio)
        target = batch["difference"]
        loss = self.loss(features, self.reference, target, batch["weight"])
        self.log_loss(stage, loss, len(target))
        return {
            "loss": loss,
            "prediction": audio.detach(),
            "difference": (features - self.reference).detach(),
            "target_difference": target,
        }

    def _update(self, key: str, prediction: Tensor, target: Tensor) -> None:
        metric = self.metrics[key]
        metric.update(prediction, target)
        self.log(f"test/{key}", metric, on_step=False, on_epoch=True, batch_size=len(target))

    def _metric_names(self) -> list[str]:
        return [prefix + label for prefix in ("", "preset_") for label in self.labels]
