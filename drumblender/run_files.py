"""What a run leaves on disk, whole and of one record, so that it can be run again or gone on from."""

import csv
import logging
import warnings
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import lightning as L
import torch
from jsonargparse import Namespace
from lightning.fabric.plugins import TorchCheckpointIO
from lightning.pytorch.cli import SaveConfigCallback
from lightning.pytorch.loggers import CSVLogger, WandbLogger

from drumblender.callbacks.sounds import run_folder
from drumblender.checkpoints import check_tensors, read_checkpoint, read_whole, save_checkpoint
from drumblender.console import UsageError
from drumblender.inference.shelf import find_checkpoint
from drumblender.tasks import SynthesisTask

_log = logging.getLogger(__name__)

ONE_OFF = {"resume": False, "ckpt_path": None, "init_from": None, "init_part": None}
"""Options of one command line, as they are in a configuration that can be run again."""


class WholeCheckpoints(TorchCheckpointIO):
    """Checkpoints that appear under their name when whole, and are read without executing anything."""

    def save_checkpoint(
        self, checkpoint: dict[str, Any], path: str | Path, storage_options: Any = None
    ) -> None:
        if "://" in str(path):
            super().save_checkpoint(checkpoint, path, storage_options)
            return
        save_checkpoint(checkpoint, path)

    def load_checkpoint(
        self, path: str | Path, map_location: Any = None, weights_only: bool | None = None
    ) -> dict[str, Any]:
        if "://" in str(path):
            return super().load_checkpoint(path, weights_only=True)
        return read_whole(path)


class SaveRunConfig(SaveConfigCallback):
    """Saves the configuration of a run in its folder, without the options of one command line.

    Weights & Biases gets it as well, as ``model-config.yaml``: the program writes a ``config.yaml`` itself.
    """

    def __init__(self, *args: Any, **settings: Any) -> None:
        super().__init__(*args, **settings | {"save_to_log_dir": False})
        self.folder = Path()

    def setup(self, trainer: L.Trainer, pl_module: L.LightningModule, stage: str) -> None:
        self.folder = run_folder(trainer)
        super().setup(trainer, pl_module, stage)

    def save_config(self, trainer: L.Trainer, pl_module: L.LightningModule, stage: str) -> None:
        paths = [self.folder / self.config_filename]
        paths += [
            Path(run.experiment.dir) / "model-config.yaml"
            for run in trainer.loggers
            if isinstance(run, WandbLogger)
        ]
        for path in paths:
            path.parent.mkdir(parents=True, exist_ok=True)
            self.parser.save(
                self.config, path, skip_unset=False, overwrite=self.overwrite, multifile=self.multifile
            )

    def keep(self, config: Namespace) -> None:
        """Save this configuration, one-off options left out, instead of the one that is run."""
        self.config = config
        for name, value in ONE_OFF.items():
            if name in config:
                config[name] = value


def go_on_in(logger: CSVLogger, last_step: int) -> None:
    """Let a CSV logger keep the rows that a run had written up to the step it resumes from.

    Lightning's own begins a new record in the same file.
    """
    path = Path(logger.log_dir) / "metrics.csv"
    rows: list[dict[str, Any]] = []
    if path.is_file():
        with path.open(newline="", encoding="utf-8") as file:
            read = csv.DictReader(file)
            rows = [{key: value for key, value in row.items() if value != ""} for row in read]
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message=".*exists and is not empty")
        writer = logger.experiment
    writer.metrics = [row for row in rows if _step(row) < last_step]
    writer.save()


def _step(row: dict[str, Any]) -> int:
    try:
        return int(row["step"])
    except (KeyError, ValueError, TypeError):
        return 0


def resumable(folder: Path) -> Path:
    """The newest ``last.ckpt`` of the runs in a folder.

    Raises:
        FileNotFoundError: None of them has one.
        ValueError: It is damaged; the message names another that is whole, where there is one.
    """
    found = sorted(folder.glob("*/checkpoints/last.ckpt"), key=lambda path: path.stat().st_mtime)
    if not found:
        raise FileNotFoundError(f"No run to resume in {folder}: run once without --resume.")
    try:
        read_checkpoint(found[-1])
    except ValueError as error:
        others = [path for path in found[-1].parent.glob("*.ckpt") if path != found[-1] and _is_whole(path)]
        advice = f": go on from {others[0]} with --ckpt_path" if others else ""
        raise ValueError(f"{found[-1]} is damaged{advice}.") from error
    return found[-1]


def _is_whole(path: Path) -> bool:
    try:
        read_checkpoint(path)
    except (ValueError, OSError):
        return False
    return True


def newest_step(path: str | Path) -> int:
    """Optimiser steps that a checkpoint has behind it."""
    return int(read_checkpoint(path).get("global_step", 0))


def keep_whole(trainer: L.Trainer) -> None:
    """Let a trainer that saves in the ordinary way save as :class:`WholeCheckpoints`."""
    if type(trainer.strategy.checkpoint_io) is TorchCheckpointIO:
        trainer.strategy.checkpoint_io = WholeCheckpoints()


def start_from(model: SynthesisTask, config: Namespace) -> None:
    """Take weights of another training where --init-from names one, and tell which."""
    path, parts = config.get("init_from"), config.get("init_part") or []
    if path is None:
        if parts:
            raise UsageError("--init-part says what of --init-from is taken: name a checkpoint.")
        return
    if config.ckpt_path or config.get("resume"):
        raise UsageError("--init-from starts a new training, --resume and --ckpt_path go on with one.")
    found = find_checkpoint(path)
    weights = read_whole(found).get("state_dict", {})
    taken = take_weights(model, weights, parts, source=path)
    told = {"not taken": set(weights) - taken, "as it was built": set(model.state_dict()) - taken}
    left = "".join(f"; {what}: {_named(names)}" for what, names in told.items() if names)
    _log.info("Took %d weights of %s%s.", len(taken), path, left or ", which is all")


def _named(names: Iterable[str], most: int = 4) -> str:
    parts = sorted({".".join(name.split(".")[:4]) for name in names})
    more = f" and {len(parts) - most} more" if len(parts) > most else ""
    return f"{', '.join(parts[:most])}{more} ({len(set(names))} weights)"


def take_weights(
    task: torch.nn.Module, state_dict: dict[str, torch.Tensor], parts: Sequence[str] = (), *, source: str
) -> set[str]:
    """Start from the weights of another training: all that both models have, or only some parts.

    Args:
        task: Takes them.
        state_dict: Weights by name.
        parts: Dotted names such as ``voices.noise``; none takes every weight of a name that both have.
        source: The file, for messages.

    Returns:
        The names that were taken.

    Raises:
        ValueError: A part that either model lacks, nothing in common, or a weight of another shape.
    """
    own = task.state_dict()
    check_tensors(state_dict, source)
    for part in parts:
        for where, names in ((source, state_dict), ("this model", own)):
            if not any(_inside(name, part) for name in names):
                raise ValueError(f"{where} has no {part}; it has {', '.join(_two_deep(names))}.")
    wanted = [name for name in own if not parts or any(_inside(name, part) for part in parts)]
    taken = {name for name in wanted if name in state_dict}
    if not taken:
        raise ValueError(f"{source} and this model have no weights in common.")
    for name in sorted(taken):
        theirs, ours = tuple(state_dict[name].shape), tuple(own[name].shape)
        if theirs != ours:
            remedy = "leave that part out" if parts else "name the parts to take with --init-part"
            raise ValueError(f"{name} is {theirs} in {source} and {ours} in this model: {remedy}.")
    task.load_state_dict({name: state_dict[name] for name in taken}, strict=False)
    return taken


def _inside(name: str, part: str) -> bool:
    return name == part or name.startswith(f"{part}.")


def _two_deep(names: Iterable[str]) -> list[str]:
    """The parts that names of weights tell, such as ``voices.noise``."""
    return sorted({".".join(name.split(".")[:2]) for name in names})
