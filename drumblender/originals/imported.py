"""What an importer makes of a checkpoint of an original code base, and how that is saved."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import lightning as L
from torch import Tensor

from drumblender import __version__
from drumblender.checkpoint_file import save_checkpoint
from drumblender.checkpoints import build
from drumblender.trust import Trust, check_training
from drumblender.upgrade import of_today
from drumblender.weights_check import load_weights


@dataclass(frozen=True)
class Imported:
    """A converted checkpoint.

    Args:
        config: Sections ``model`` and ``data`` of ours, and whatever else of the old file still holds
            (``trainer``, ``optimizer`` ...).
        state_dict: The weights under our names; empty when only a configuration was converted.
        sample_rate: Of the audio the model works on.
        dropped: Dotted keys of the old configuration, or names of the old weights, that have no successor.
        training: Other entries of the old checkpoint that our Lightning understands (epoch, step ...).
    """

    config: dict[str, Any]
    state_dict: dict[str, Tensor]
    sample_rate: int
    dropped: list[str] = field(default_factory=list)
    training: dict[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        object.__setattr__(self, "config", of_today(self.config))


def save_imported(imported: Imported, path: str | Path, trust: Trust | None = None) -> None:
    """Check what was imported, and write a checkpoint of ours. Raises what :func:`check_imported` raises."""
    check_imported(imported, trust)
    write_imported(imported, path)


def check_imported(imported: Imported, trust: Trust | None = None) -> None:
    """Build the task of the configuration, and check the weights against it.

    Raises:
        UntrustedError: The configuration names what a stranger's file may not name.
        ValueError: The weights do not fit.
    """
    source = "the original configuration"
    check_training(imported.config, source=source)
    task, _ = build(imported.config, source=source, trust=trust)
    load_weights(task, imported.state_dict, source="the original checkpoint")


def write_imported(imported: Imported, path: str | Path) -> None:
    """Write a checkpoint of ours."""
    kept = ("model", "data", "seed_everything")
    content = {
        "epoch": 0,
        "global_step": 0,
        "pytorch-lightning_version": L.__version__,
        **imported.training,
        "state_dict": imported.state_dict,
        "drumblender": {
            "version": __version__,
            "sample_rate": imported.sample_rate,
            "config": {key: imported.config[key] for key in kept if key in imported.config},
        },
    }
    save_checkpoint(content, path)
