"""What a run leaves on disk, whole and of one record, so that it can be run again or gone on from."""

import csv
import re
import warnings
from pathlib import Path
from typing import Any

import lightning as L
from jsonargparse import Namespace
from lightning.fabric.plugins import TorchCheckpointIO
from lightning.pytorch.cli import SaveConfigCallback
from lightning.pytorch.loggers import CSVLogger, WandbLogger

from drumblender.callbacks.sounds import run_folder
from drumblender.checkpoint_file import read_checkpoint, save_checkpoint
from drumblender.checkpoints import read_whole

_NAME_OF_RUNS = {"TensorBoardLogger": "name", "CSVLogger": "name", "WandbLogger": "project"}
"""What the folder that a logger gives to all runs of one name is called by."""

_NUMBERED = re.compile(r"version_\d+")

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
                self.config,
                path,
                skip_unset=False,
                skip_validation=True,  # what was parsed was checked
                overwrite=self.overwrite,
                multifile=self.multifile,
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


def folder_of_runs(config: Namespace, run_name: str) -> Path | None:
    """The folder of all runs of this configuration; the logger takes its name unless it has one."""
    logger = config.trainer.logger
    key = _NAME_OF_RUNS.get(logger.class_path.split(".")[-1]) if isinstance(logger, Namespace) else None
    if key is None:
        return None
    settings = logger.init_args
    settings[key] = settings[key] or run_name
    return Path(str(settings.save_dir)) / settings[key]


def resume_newest(config: Namespace, folder: Path | None) -> None:
    """Point the run to the newest checkpoint in ``folder`` and to the run it belongs to."""
    if config.ckpt_path:
        raise ValueError(f"--resume finds its own checkpoint; leave out --ckpt_path {config.ckpt_path}.")
    if folder is None:
        raise ValueError(f"--resume knows the runs of {', '.join(_NAME_OF_RUNS)}; give --ckpt_path instead.")
    settings = config.trainer.logger.init_args
    found = resumable(folder, numbered="project" not in settings)
    config.ckpt_path, run = str(found), found.parents[1].name
    if "project" in settings:
        settings.id = run
    else:
        settings.version = int(run.removeprefix("version_"))


def resumable(folder: Path, numbered: bool = True) -> Path:
    """The newest ``last.ckpt`` of the runs in a folder.

    Args:
        folder: Of all runs of one name.
        numbered: Those that a logger counts (``version_0``); else those with an id of Weights & Biases, which
            may lie beside them.

    Raises:
        FileNotFoundError: None of them has one.
        ValueError: It is damaged; the message names another that is whole, where there is one.
    """
    found = [
        path
        for path in folder.glob("*/checkpoints/last.ckpt")
        if bool(_NUMBERED.fullmatch(path.parents[1].name)) == numbered
    ]
    found.sort(key=lambda path: path.stat().st_mtime)
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
