"""Timbre remapping: play a synth so that it changes from hit to hit as a recorded drum does."""

import logging
from typing import Literal

import torch
from jaxtyping import Float
from torch import Tensor, nn

from drumblender import __version__
from drumblender.controllers.mapper import Mapper
from drumblender.controllers.onset_scale import OnsetScale
from drumblender.controllers.parameter_mapper import CenterOnset, ParameterMapper
from drumblender.features.base import Feature
from drumblender.losses.features import FeatureDifferenceLoss
from drumblender.metrics.features import FeatureError
from drumblender.synths.base import Synth
from drumblender.synths.preset import Preset, load_preset
from drumblender.synths.stacking import has_unit, stacked_size, unstack
from drumblender.tasks.base import Step, SynthesisTask
from drumblender.types import Audio, Controls, OnsetBatch

log = logging.getLogger(__name__)


class RemapTask(SynthesisTask):
    """Learns to move a synth's controls around a preset (Shier et al., NIME 2024).

    The features of the rendered hit less those of the preset should be those of the recorded hit less those
    of the drum's reference hit. Batches are ``OnsetBatch``. The ``prediction`` of a step is sound, for which
    there is no target; it returns the features' ``difference`` and ``target_difference`` instead.

    Args:
        mapper: Features of an onset to changes of the synth's controls, which lie in (0, 1).
        synth: Any synth that plays without a source. Controls in real units stay as the preset sets them.
        features: Describe what was rendered.
        sample_rate: Samples a second of the synth and of the features.
        preset: JSON file of the controls to move around; None draws them uniformly.
        loss: Compares the differences of features.
        num_samples: Length of a rendered hit; None renders what the features read.
        preset_baseline: What ``test/preset_<feature>`` compares with the target: no change at all
            (``unchanged``), or the features of the preset themselves, as the published tables did
            (``original``).
        eval_seed: Validation and test draw their noise from this seed.
    """

    preset: Tensor
    damping: Tensor
    reference: Tensor

    verb = "remap"

    def __init__(
        self,
        mapper: Mapper,
        synth: Synth,
        features: Feature,
        sample_rate: int,
        preset: str | None = None,
        loss: FeatureDifferenceLoss | None = None,
        num_samples: int | None = None,
        preset_baseline: Literal["unchanged", "original"] = "unchanged",
        eval_seed: int | None = 0,
    ) -> None:
        super().__init__(sample_rate, loss or FeatureDifferenceLoss(), eval_seed=eval_seed)
        self.save_arguments()
        if synth.hears:
            raise ValueError(f"{type(synth).__name__} needs a source to play; remapping has none to give.")
        self.mapper, self.synth, self.features = mapper, synth, features
        self.moved = {name: size for name, size in synth.control_sizes.items() if not has_unit(name)}
        start = _random_preset(synth, self.moved) if preset is None else load_preset(preset, synth)
        if start.values.shape[1] != mapper.out_size:
            raise ValueError(
                f"mapper.out_size is {mapper.out_size}, but {type(synth).__name__} has "
                f"{start.values.shape[1]} parameters to move."
            )
        self.register_buffer("preset", start.values)
        self.register_buffer("damping", start.damping)
        self.param_names = _param_names(self.moved, synth.control_frames)
        self.held = list(start.held)
        for name, value in start.held.items():
            self.register_buffer(name, value)
        self.num_samples = num_samples or features.reach or sample_rate
        self.preset_baseline = preset_baseline
        self.onset_scale = OnsetScale(mapper.in_size)
        with torch.no_grad():
            self.register_buffer("reference", features(self.play(start.values)))
        labels = getattr(features, "labels", None) or [str(i) for i in range(self.reference.shape[1])]
        self.labels = list(labels)
        self.metrics = nn.ModuleDict({key: FeatureError() for key in self._metric_names()})

    def forward(self, batch: OnsetBatch) -> Audio:
        """Render the hits of a batch."""
        return self.play(self.params(batch["onset"]))

    def modulation(self, onset: Float[Tensor, "batch onset_features"]) -> Float[Tensor, "batch params"]:
        """How far each parameter moves from the preset."""
        if onset.shape[-1] != self.mapper.in_size:
            raise ValueError(
                f"mapper.in_size is {self.mapper.in_size}, but there are {onset.shape[-1]} onset features."
            )
        return self.mapper(onset) * self.damping

    def params(self, onset: Float[Tensor, "batch onset_features"]) -> Float[Tensor, "batch params"]:
        """The parameters to play, in [0, 1]; one that is limited gets no gradient."""
        return (self.preset + self.modulation(onset)).clamp(0, 1)

    def play(self, params: Float[Tensor, "batch params"], num_samples: int | None = None) -> Audio:
        """Render parameters in [0, 1]."""
        controls: Controls = unstack(params, self.moved, self.synth.control_frames)
        controls |= {name: getattr(self, name).expand(len(params), -1, -1) for name in self.held}
        return self.synth(controls, num_samples or self.num_samples)

    def sweep(self, steps: int) -> Float[Tensor, "steps onset_features"]:
        """Onset features that rise together from their least to their most."""
        level = torch.linspace(0, 1, steps, device=self.device)[:, None]
        return level - self.onset_scale.center

    def parameter_mapper(self, center: bool = False) -> ParameterMapper:
        """The module that a plug-in runs; with ``center`` it subtracts what training subtracted."""
        project = CenterOnset(self.onset_scale.center) if center else None
        return ParameterMapper(self.mapper, self.damping, self.preset, project)

    def export_metadata(self) -> dict[str, object]:
        """What a reader of an exported mapper may want to know."""
        scale = self.onset_scale
        known = {"onset_low": scale.low.tolist(), "onset_span": scale.span.tolist()} if scale.known else {}
        return {
            "version": __version__,
            "sample_rate": self.sample_rate,
            "features": self.labels,
            "parameters": self.param_names,
            "onset_center": scale.center.tolist(),
            **known,
        }

    def setup(self, stage: str) -> None:
        data = getattr(self.trainer, "datamodule", None)
        hits = getattr(data, "hits", None)
        if hits is None:
            return
        if hits.onset.shape[1] != self.mapper.in_size:
            raise ValueError(
                f"mapper.in_size is {self.mapper.in_size}, but data.onset_features gives "
                f"{hits.onset.shape[1]} numbers."
            )
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
        if stage == "fit":
            self.onset_scale.learn(hits.onset_low, hits.onset_span, data.onset_offset)

    def on_train_epoch_end(self) -> None:
        # Schedules and checkpoints watch the validation loss: the training's, without hits to validate with.
        if not self.trainer.num_val_batches or not sum(self.trainer.num_val_batches):
            loss = self.trainer.callback_metrics["train/loss_epoch"]
            self.log("validation/loss", loss, batch_size=1, sync_dist=True)

    def test_step(self, batch: OnsetBatch, batch_idx: int) -> Step:
        with self._repeatable(batch_idx):
            step = self._step(batch, "test")
        prediction, target = step["difference"], step["target_difference"]
        still = self.reference.expand_as(target)
        still = still if self.preset_baseline == "original" else torch.zeros_like(still)
        for i, label in enumerate(self.labels):
            self._update(label, prediction[:, i], target[:, i])
            self._update(f"preset_{label}", still[:, i], target[:, i])
        errors = torch.cat([(prediction - target).abs(), (still - target).abs()], dim=1)
        return step | {"item_metrics": dict(zip(self._metric_names(), errors.unbind(dim=1), strict=True))}

    def predict_step(self, batch: OnsetBatch, batch_idx: int) -> Step:
        with self._repeatable(batch_idx):
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


def _param_names(moved: dict[str, int], frames: dict[str, int]) -> list[str]:
    """A name for each number of the vector; those of a control with several are numbered."""
    counts = {name: size * frames.get(name, 1) for name, size in moved.items()}
    return [name if count == 1 else f"{name}[{i}]" for name, count in counts.items() for i in range(count)]


def _random_preset(synth: Synth, moved: dict[str, int]) -> Preset:
    if held := sorted(set(synth.control_sizes) - set(moved)):
        raise ValueError(f"Give a preset: {type(synth).__name__} needs {', '.join(held)} in real units.")
    size = stacked_size(moved, synth.control_frames)
    return Preset(torch.rand(1, size), torch.ones(1, size), {})
