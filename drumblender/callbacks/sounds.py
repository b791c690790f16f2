"""What the callbacks share: sounds that steps return, and the files they go to."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import lightning as L
import torch
from jaxtyping import Float
from lightning.pytorch.loggers import WandbLogger
from torch import Tensor

from drumblender.types import HasSampleRate


class Pair(NamedTuple):
    """Target and prediction of one item, ``(samples,)`` float32 on the CPU."""

    target: Float[Tensor, "samples"]
    prediction: Float[Tensor, "samples"]


def pairs_of(outputs: Any, limit: int | None = None) -> list[Pair]:
    """The first ``limit`` pairs of sounds a step returned; none if it returned no sounds of equal length."""
    if not isinstance(outputs, Mapping):
        return []
    prediction, target = outputs.get("prediction"), outputs.get("target")
    if not (isinstance(prediction, Tensor) and isinstance(target, Tensor)):
        return []
    if prediction.ndim != 2 or prediction.shape != target.shape:
        return []
    sounds = (sound[:limit].detach().float().cpu() for sound in (target, prediction))
    return [Pair(*pair) for pair in zip(*sounds, strict=True)]


def interleave(pairs: list[Pair]) -> Float[Tensor, "samples"]:
    """One sound after the other: target, prediction, target, prediction."""
    return torch.cat([sound for pair in pairs for sound in pair])


def run_folder(trainer: L.Trainer) -> Path:
    """Where a run keeps its files: by its checkpoints. All processes must ask, because they agree on it."""
    if isinstance(trainer.logger, WandbLogger):  # names a folder that all of its runs share
        run = trainer.logger
        own = Path(run.save_dir or trainer.default_root_dir) / str(run.name) / str(run.version)
        return Path(trainer.strategy.broadcast(str(own)))
    return Path(trainer.log_dir or trainer.default_root_dir)


def sample_rate_of(module: L.LightningModule) -> int:
    """Samples a second of the sounds of a task.

    Raises:
        ValueError: The module has no ``sample_rate``.
    """
    if not isinstance(module, HasSampleRate) or not module.sample_rate:
        raise ValueError(f"{type(module).__name__} has no sample_rate, which its sounds are written with.")
    return int(module.sample_rate)
