"""Go on with a training that was stopped: which run of a folder that is, and what it had written."""

import csv
import re
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml
from jsonargparse import Namespace
from lightning.pytorch.loggers import CSVLogger

from drumblender.checkpoint_file import read_checkpoint
from drumblender.yaml_check import check_yaml

_NAME_OF_RUNS = {"TensorBoardLogger": "name", "CSVLogger": "name", "WandbLogger": "project"}
"""What the folder that a logger gives to all runs of one name is called by."""

_NUMBERED = re.compile(r"version_\d+")

_DECISIVE = ("model", "data", "optimizer", "lr_scheduler", "seed_everything")
_INDIFFERENT = {"num_workers", "pin_memory", "persistent_workers", "prefetch_factor"}


def folder_of_runs(config: Namespace, run_name: str) -> Path | None:
    """The folder of all runs of this configuration; the logger takes its name unless it has one."""
    logger = config.trainer.logger
    key = _NAME_OF_RUNS.get(logger.class_path.split(".")[-1]) if isinstance(logger, Namespace) else None
    if key is None:
        return None
    settings = logger.init_args
    settings[key] = settings[key] or run_name
    return Path(str(settings.save_dir)) / settings[key]


def resume_newest(config: Namespace, folder: Path | None, settings: dict[str, Any]) -> None:
    """Point the run to the newest checkpoint in ``folder`` that it can go on from, and to the run of that.

    Args:
        config: Of the command line; its ``ckpt_path`` and the logger's run are set.
        folder: Of all runs of one name; None: the logger's are not known.
        settings: The same configuration as plain values.

    Raises:
        ValueError: A checkpoint is given beside, the logger's runs are not known, or every run there was set
            otherwise; the message says how.
        FileNotFoundError: There is no run.
    """
    if config.ckpt_path:
        raise ValueError(f"--resume finds its own checkpoint; leave out --ckpt_path {config.ckpt_path}.")
    if folder is None:
        raise ValueError(f"--resume knows the runs of {', '.join(_NAME_OF_RUNS)}; give --ckpt_path instead.")
    logger = config.trainer.logger.init_args
    found = resumable(folder, settings, numbered="project" not in logger)
    config.ckpt_path, run = str(found), found.parents[1].name
    if "project" in logger:
        logger.id = run
    else:
        logger.version = int(run.removeprefix("version_"))


def resumable(folder: Path, settings: dict[str, Any], numbered: bool = True) -> Path:
    """The newest ``last.ckpt`` of the runs in a folder that had the same model, data and optimiser.

    Args:
        folder: Of all runs of one name.
        settings: The configuration that goes on.
        numbered: Those that a logger counts (``version_0``); else those with an id of Weights & Biases, which
            may lie beside them.

    Raises:
        FileNotFoundError: None of them has one.
        ValueError: Every run was set otherwise, or the checkpoint is damaged; the message names another that
            is whole, where there is one.
    """
    runs = [
        path
        for path in folder.glob("*/checkpoints/last.ckpt")
        if bool(_NUMBERED.fullmatch(path.parents[1].name)) == numbered
    ]
    runs.sort(key=lambda path: path.stat().st_mtime, reverse=True)
    if not runs:
        raise FileNotFoundError(f"No run to resume in {folder}: run once without --resume.")
    changes = {path: changed_settings(path.parents[1] / "config.yaml", settings) for path in runs}
    same = [path for path in runs if not changes[path]]
    if not same:
        newest, *_ = runs
        raise ValueError(
            f"--resume goes on with the settings that a run has had, and {newest.parents[1]} had "
            f"{'; '.join(changes[newest][:3])}. Repeat them; or go on in a run of its own with --ckpt_path "
            f"{newest}, or begin a new training from its weights with --init-from."
        )
    try:
        read_checkpoint(same[0])
    except ValueError as error:
        others = [path for path in same[0].parent.glob("*.ckpt") if path != same[0] and _is_whole(path)]
        advice = f": go on from {others[0]} with --ckpt_path" if others else ""
        raise ValueError(f"{same[0]} is damaged{advice}.") from error
    return same[0]


def changed_settings(before: Path, now: dict[str, Any]) -> list[str]:
    """Settings that decide what is learned and that a run had otherwise, as ``data.batch_size: 8, now 16``.

    What one of both does not know is no difference: versions add settings. A run without a readable
    configuration differs in nothing.

    Examples:
        >>> changed_settings(Path("no such file"), {"model": {"size": 3}})
        []
    """
    try:
        check_yaml(before)
    except (OSError, ValueError):
        return []
    had = yaml.safe_load(before.read_text(encoding="utf-8"))
    old, new = (
        dict(_leaves({part: settings.get(part) for part in _DECISIVE})) if isinstance(settings, dict) else {}
        for settings in (had, now)
    )
    both = [name for name in old if name in new and name.rsplit(".", 1)[-1] not in _INDIFFERENT]
    return [f"{name}: {old[name]}, now {new[name]}" for name in both if old[name] != new[name]]


def _leaves(settings: dict[str, Any], above: str = "") -> Iterator[tuple[str, Any]]:
    for name, value in settings.items():
        if isinstance(value, dict) and value:
            yield from _leaves(value, f"{above}{name}.")
        else:
            yield f"{above}{name}", value


def _is_whole(path: Path) -> bool:
    try:
        read_checkpoint(path)
    except (ValueError, OSError):
        return False
    return True


def newest_step(path: str | Path) -> int:
    """Optimiser steps that a checkpoint has behind it."""
    return int(read_checkpoint(path).get("global_step", 0))


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
