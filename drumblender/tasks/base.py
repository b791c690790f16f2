"""What every task is: parts that render a batch, a loss, and steps that log."""

import inspect
import warnings
from abc import ABC, abstractmethod
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import lightning as L
import torch
from torch import Tensor, nn
from torchmetrics import Metric

from drumblender import __version__
from drumblender.losses.weighted import WeightedLoss
from drumblender.types import Audio, AudioBatch

Step = dict[str, Tensor]
"""``loss`` with its graph, ``prediction`` and ``target`` without."""


class SynthesisTask(L.LightningModule, ABC):
    """Learns to make ``prediction`` sound like ``target``.

    A final task joins its parts in ``forward``, which takes a batch and renders it; the steps here do the
    rest and return what callbacks read. Its ``__init__`` calls ``self.save_arguments()``, so that a
    checkpoint of a run that the command line started can rebuild the task.

    Args:
        sample_rate: Samples a second of the audio in the batches.
        loss: Module ``(prediction, target) -> scalar``.
        metrics: Test metrics by name, each a torchmetrics ``Metric`` of prediction and target.
        eval_seed: Validation, test and prediction draw their noise from this seed, batch by batch, so that
            a repeated run gives the same numbers; the training's own draws are not touched. None: as drawn.
    """

    verb = "synth"
    """The command that plays a trained task: ``drumblender <verb> CKPT in.wav out.wav``."""

    def __init__(
        self,
        sample_rate: int,
        loss: nn.Module,
        metrics: dict[str, Metric] | None = None,
        eval_seed: int | None = 0,
    ) -> None:
        super().__init__()
        if sample_rate < 1:
            raise ValueError(f"sample_rate is samples a second, got {sample_rate}.")
        self.sample_rate = sample_rate
        self.loss = loss
        self.metrics = nn.ModuleDict(metrics or {})
        self.eval_seed = eval_seed
        self.config: dict[str, Any] = {}  # what the command line ran with; travels in the checkpoint

    def save_arguments(self) -> None:
        """``save_hyperparameters`` for the caller's arguments, without its remark that some are modules."""
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", message="Attribute .* is an instance of `nn.Module`")
            self.save_hyperparameters(logger=False, frame=inspect.currentframe().f_back)

    @abstractmethod
    def forward(self, batch: AudioBatch) -> Audio:
        """Render the batch: as long as its audio."""

    def training_step(self, batch: AudioBatch, batch_idx: int) -> Step:
        return self._step(batch, "train")

    def validation_step(self, batch: AudioBatch, batch_idx: int) -> Step:
        with self._repeatable(batch_idx):
            return self._step(batch, "validation")

    def test_step(self, batch: AudioBatch, batch_idx: int) -> Step:
        with self._repeatable(batch_idx):
            step = self._step(batch, "test")
        for name, metric in self.metrics.items():
            metric.update(step["prediction"], step["target"])
            self.log(f"test/{name}", metric, on_step=False, on_epoch=True, batch_size=len(step["target"]))
        return step

    def predict_step(self, batch: AudioBatch, batch_idx: int) -> Step:
        with self._repeatable(batch_idx):
            return {"prediction": self(batch), "target": batch["audio"]}

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
        loss = self.loss(prediction, target)
        self.log_loss(stage, loss, len(target))
        return {"loss": loss, "prediction": prediction.detach(), "target": target}

    def log_loss(self, stage: str, loss: Tensor, batch_size: int) -> None:
        """Log ``<stage>/loss``, and each part of a weighted loss under its own name.

        The training's is that of each step; ``train/loss_epoch`` is the mean of an epoch.
        """
        if stage == "train":
            name = "train/loss_epoch"
            self.log(name, loss, on_step=False, on_epoch=True, batch_size=batch_size, sync_dist=True)
        values = {f"{stage}/loss": loss}
        if isinstance(self.loss, WeightedLoss):
            values |= {f"{stage}/{name}": part for name, part in self.loss.parts.items()}
        for name, value in values.items():
            self.log(
                name,
                value,
                prog_bar=name.endswith("/loss"),
                batch_size=batch_size,
                sync_dist=stage != "train",
            )

    @contextmanager
    def _repeatable(self, batch_idx: int) -> Iterator[None]:
        if self.eval_seed is None:
            yield
            return
        devices = [self.device] if self.device.type == "cuda" else []
        with torch.random.fork_rng(devices):
            torch.manual_seed(self.eval_seed + batch_idx)
            yield


def _is_plain(value: object) -> bool:
    if isinstance(value, dict):
        return all(_is_plain(item) for item in value.values())
    if isinstance(value, list | tuple):
        return all(_is_plain(item) for item in value)
    return value is None or isinstance(value, str | int | float | bool)
