"""What a run leaves on disk, whole and of one record, so that it can be run again or gone on from."""

import shutil
from pathlib import Path
from typing import Any

import lightning as L
from jsonargparse import Namespace
from lightning.fabric.plugins import TorchCheckpointIO
from lightning.pytorch.cli import SaveConfigCallback
from lightning.pytorch.loggers import WandbLogger

from drumblender.callbacks.sounds import run_folder
from drumblender.checkpoint_file import save_checkpoint
from drumblender.checkpoints import read_whole

_WRITTEN_AT_THE_START = ("config.yaml", "hparams.yaml", "events.out.tfevents.", "metrics.csv")

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


def keep_whole(trainer: L.Trainer) -> None:
    """Let a trainer that saves in the ordinary way save as :class:`WholeCheckpoints`."""
    if type(trainer.strategy.checkpoint_io) is TorchCheckpointIO:
        trainer.strategy.checkpoint_io = WholeCheckpoints()


def drop_unbegun(trainer: L.Trainer) -> None:
    """Take the folder of a run that failed before its first step away, which would count as a run.

    Nothing else than what was written at the start may lie in it.
    """
    if trainer.global_step or trainer.world_size > 1 or not trainer.loggers:
        return  # several processes would have to agree on it, of which one has failed
    folder = run_folder(trainer)
    if not folder.is_dir() or not folder.name.startswith("version_"):  # a name that a logger counts
        return
    for logger in trainer.loggers:
        logger.finalize("failed")  # which closes its files
    if all(path.is_file() and path.name.startswith(_WRITTEN_AT_THE_START) for path in folder.iterdir()):
        shutil.rmtree(folder)


def one_of_each_file(callbacks: list[Namespace]) -> list[Namespace]:
    """Of callbacks that save under one name, such as ``best``, the last: a variant brings its own rule."""
    last = {name: place for place, each in enumerate(callbacks) if (name := _saves_as(each))}
    return [each for place, each in enumerate(callbacks) if last.get(_saves_as(each), place) == place]


def _saves_as(callback: Namespace) -> tuple[str | None, str] | None:
    """Folder and name of what a checkpoint callback saves, where both are fixed."""
    given = callback.get("init_args") or {}
    if not callback.class_path.endswith("Checkpoint") or not given.get("filename"):
        return None
    return given.get("dirpath"), given["filename"]
