"""What every task is: parts that render a batch, a loss, and steps that log."""

import inspect
import warnings
from abc import ABC
from typing import Any

import lightning as L
from torch import Tensor, nn
from torchmetrics import Metric

from drumblender import __version__
from drumblender.controllers import Controller
from drumblender.encoders.base import Encoder
from drumblender.losses.calling import call_loss
from drumblender.losses.weighted import WeightedLoss
from drumblender.metrics import ItemMetric
from drumblender.synths import Synth
from drumblender.tasks.compared import ComparedTask
from drumblender.tasks.playing import Voices, check_rates
from drumblender.tasks.voices import Voice
from drumblender.types import AudioBatch, HasLoudnessStatistics, NormalisesLoudness
from drumblender.upgrade import is_earlier, upgrade

Step = dict[str, Any]
"""``loss`` with its graph, ``prediction`` and ``target`` without; a test's ``item_metrics`` by name."""


class SynthesisTask(Voices, ComparedTask, ABC):
    """Plays voices in order and learns to make their mix, the ``prediction``, sound like ``target``.

    Each voice hears the mix so far and adds to it or replaces it. A final task says what only it can do. Its
    ``__init__`` calls ``self.save_arguments()``, so that a checkpoint of a run that the command line started
    can rebuild the task.

    Args:
        voices: The voices by name, in the order they join.
        sample_rate: Samples a second of the audio in the batches.
        loss: Module ``(prediction, target) -> scalar``.
        metrics: Test metrics by name, each a torchmetrics ``Metric`` of prediction and target.
        eval_seed: Validation, test and prediction draw their noise from this seed, batch by batch, so that
            a repeated run gives the same numbers; the training's own draws are not touched. None: as drawn.

    Examples:
        >>> import torch
        >>> from drumblender.controllers import FreeControls
        >>> from drumblender.losses import MultiResolutionSTFTLoss
        >>> from drumblender.synths import NoiseSynth
        >>> class HissTask(SynthesisTask):
        ...     def __init__(self, sample_rate: int = 16000) -> None:
        ...         hiss = Voice(NoiseSynth(num_bands=8, win_length=64), FreeControls(num_frames=4))
        ...         super().__init__({"hiss": hiss}, MultiResolutionSTFTLoss(), sample_rate)
        ...         self.save_arguments()
        >>> HissTask()({"audio": torch.zeros(2, 4000)}).shape
        torch.Size([2, 4000])
    """

    device = L.LightningModule.device  # as the trainer keeps it
    told_of_all: tuple[str, ...] = ()
    """What a test logs of all items together, beside the metrics; ``metrics_mean.csv`` has it too."""

    def __init__(
        self,
        voices: dict[str, Voice],
        loss: nn.Module,
        sample_rate: int,
        metrics: dict[str, Metric] | None = None,
        eval_seed: int | None = 0,
    ) -> None:
        super().__init__(voices, sample_rate)
        if isinstance(loss, Synth | Controller | Encoder | Metric):
            raise ValueError(
                f"A {type(loss).__name__} is no loss: give one of drumblender.losses, or your own."
            )
        self.loss = loss
        self.metrics = nn.ModuleDict(metrics or {})
        check_rates(self, sample_rate)
        self.eval_seed = eval_seed
        self.config: dict[str, Any] = {}  # what the command line ran with; travels in the checkpoint
        self.start = {name: value.detach().clone() for name, value in self.state_dict().items()}

    def save_arguments(self) -> None:
        """``save_hyperparameters`` for the caller's arguments, without its remark that some are modules."""
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", message="Attribute .* is an instance of `nn.Module`")
            self.save_hyperparameters(logger=False, frame=inspect.currentframe().f_back)

    @property
    def data_module(self) -> L.LightningDataModule | None:
        """Where the batches of the run come from; None where the trainer was given loaders."""
        return getattr(self.trainer, "datamodule", None)  # Lightning sets it only where there is one

    def setup(self, stage: str) -> None:
        """Tell the parts that hear loudness how loud the training data is, before training starts."""
        data = self.data_module
        if stage != "fit" or not isinstance(data, HasLoudnessStatistics):
            return
        for part in self.modules():
            if isinstance(part, NormalisesLoudness):
                part.set_loudness_statistics(*data.loudness_statistics())

    def training_step(self, batch: AudioBatch, batch_idx: int) -> Step:
        return self._step(batch, "train")

    def validation_step(self, batch: AudioBatch, batch_idx: int) -> Step:
        with self.repeatable(batch_idx):
            return self._step(batch, "validation")

    def test_step(self, batch: AudioBatch, batch_idx: int) -> Step:
        with self.repeatable(batch_idx):
            step = self._step(batch, "test")
        items = {}
        for name, metric in self.metrics.items():
            metric.update(step["prediction"], step["target"])
            self.log(f"test/{name}", metric, on_step=False, on_epoch=True, batch_size=len(step["target"]))
            if isinstance(metric, ItemMetric) and metric.items is not None:
                items[name] = metric.items
        return step | {"item_metrics": items}

    def predict_step(self, batch: AudioBatch, batch_idx: int) -> Step:
        with self.repeatable(batch_idx):
            return {"prediction": self(batch), "target": batch["audio"]}

    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Take the weights of an earlier version under their names of today."""
        record = checkpoint.get("drumblender") or {}
        if is_earlier(str(record.get("version"))):
            _, checkpoint["state_dict"] = upgrade(record["config"], checkpoint["state_dict"])

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        checkpoint["drumblender"] = {
            "version": __version__,
            "sample_rate": self.sample_rate,
            "config": self.config,
        }
        # Built by hand, the parts themselves are the hyperparameters, and no file that holds objects may be
        # loaded with weights_only. The command line gives plain values.
        if any(
            isinstance(value, nn.Module | dict) and not _is_plain(value) for value in self.hparams.values()
        ):
            checkpoint.pop("hyper_parameters", None)

    def _step(self, batch: AudioBatch, stage: str) -> Step:
        target = batch["audio"]
        prediction = self(batch)
        loss = call_loss(self.loss, prediction, target)
        self.log_loss(stage, loss, len(target))
        return {"loss": loss, "prediction": prediction.detach(), "target": target}

    def log_loss(self, stage: str, loss: Tensor, batch_size: int) -> None:
        """Log ``<stage>/loss``, and each part of a weighted loss under its own name, or where a metric has
        that name as ``<stage>/<name>_loss``.

        The training's is that of each step; ``train/loss_epoch`` is the mean of an epoch.
        """
        if stage == "train":
            name = "train/loss_epoch"
            self.log(name, loss, on_step=False, on_epoch=True, batch_size=batch_size, sync_dist=True)
        values = {f"{stage}/loss": loss}
        if isinstance(self.loss, WeightedLoss):
            parts = self.loss.parts.items()
            values |= {f"{stage}/{name}{'_loss' * (name in self.metrics)}": part for name, part in parts}
        for name, value in values.items():
            self.log(
                name,
                value,
                prog_bar=name.endswith("/loss"),
                batch_size=batch_size,
                sync_dist=stage != "train",
            )


def _is_plain(value: object) -> bool:
    if isinstance(value, dict):
        return all(_is_plain(item) for item in value.values())
    if isinstance(value, list | tuple):
        return all(_is_plain(item) for item in value)
    return value is None or isinstance(value, str | int | float | bool)
