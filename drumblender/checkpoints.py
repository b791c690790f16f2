"""Checkpoints that rebuild themselves: the task, its data and its sample rate from one file."""

import pickle
import warnings
from copy import deepcopy
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import lightning as L
import torch
from jsonargparse import ArgumentParser, Namespace

from drumblender.tasks import SynthesisTask
from drumblender.upgrade import is_earlier, upgrade


@dataclass(frozen=True)
class Loaded:
    """What a checkpoint holds: the task in eval mode, and the data module it was trained with."""

    task: SynthesisTask
    data: L.LightningDataModule
    sample_rate: int


def read_checkpoint(path: str | Path) -> dict[str, Any]:
    """Read a checkpoint of any code base; nothing in the file is executed.

    Raises:
        FileNotFoundError: No such file.
        ValueError: Not a checkpoint, or one that holds more than tensors and plain values.
    """
    path = Path(path)
    if not path.is_file():
        raise FileNotFoundError(f"No checkpoint {path}.")
    try:
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", message="Detected pickle protocol")
            content = torch.load(path, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as error:
        if "weights_only" in str(error).lower() or "weights only" in str(error).lower():
            raise ValueError(f"{path} holds more than tensors and plain values; it is not loaded.") from error
        raise ValueError(f"{path} is not a checkpoint, or is damaged.") from error
    except (RuntimeError, EOFError, KeyError) as error:
        raise ValueError(f"{path} is not a checkpoint, or is damaged.") from error
    if not isinstance(content, dict):
        raise ValueError(f"{path} holds a {type(content).__name__}, no checkpoint.")
    return content


def own_record(content: dict[str, Any], path: str | Path) -> dict[str, Any]:
    """What our tasks write into their checkpoints: version, sample rate and configuration.

    Raises:
        ValueError: The checkpoint has no such record, or was made outside the command line.
    """
    record = content.get("drumblender")
    if not isinstance(record, dict):
        raise ValueError(
            f"{path} is not a drumblender checkpoint. `drumblender import` brings those of the original code."
        )
    if not record.get("config", {}).get("model"):
        raise ValueError(f"{path} carries no configuration: only runs started by `drumblender fit` do.")
    lacking = [name for name in ("model", "data") if name not in record["config"]]
    lacking += [name for name in ("sample_rate",) if name not in record]
    lacking += [name for name in ("state_dict",) if name not in content]
    if lacking:
        raise ValueError(f"{path} is incomplete: it has no {', '.join(lacking)}.")
    return record


def load_checkpoint(path: str | Path) -> Loaded:
    """Rebuild a task and its data from a checkpoint of ours.

    Raises:
        FileNotFoundError: No such file.
        ValueError: No checkpoint of ours, or its weights do not fit its configuration.
    """
    content = read_checkpoint(path)
    record = own_record(content, path)
    config, weights = record["config"], content["state_dict"]
    if is_earlier(str(record.get("version"))):
        config, weights = upgrade(config, weights)
    task, data = build(config)
    load_weights(task, weights, source=str(path))
    task.config = config
    return Loaded(task.eval(), data, record["sample_rate"])


def build(config: dict[str, Any]) -> tuple[SynthesisTask, L.LightningDataModule]:
    """Instantiate the ``model`` and ``data`` sections of a configuration."""
    parser = ArgumentParser(exit_on_error=False)
    parser.add_subclass_arguments(SynthesisTask, "model", required=True)
    parser.add_subclass_arguments(L.LightningDataModule, "data", required=True)
    sections = deepcopy({key: config[key] for key in ("model", "data")})  # the parser changes them
    parsed: Namespace = parser.parse_object(sections)
    parts = parser.instantiate(parsed)
    return parts.model, parts.data


def load_weights(task: torch.nn.Module, state_dict: dict[str, torch.Tensor], *, source: str) -> None:
    """Load weights into a task. Raises what :func:`check_weights` raises."""
    check_weights(task, state_dict, source=source)
    task.load_state_dict(state_dict)


def check_weights(task: torch.nn.Module, state_dict: dict[str, torch.Tensor], *, source: str) -> None:
    """Make sure that weights are those of a task.

    Raises:
        ValueError: A key is missing, left over, or has another shape; the message names the first few.
    """
    own = task.state_dict()
    wrong = [f"{key} is missing" for key in own if key not in state_dict]
    wrong += [f"{key} is unknown" for key in state_dict if key not in own]
    wrong += [
        f"{key} is {tuple(state_dict[key].shape)} instead of {tuple(value.shape)}"
        for key, value in own.items()
        if key in state_dict and state_dict[key].shape != value.shape
    ]
    if wrong:
        more = f", and {len(wrong) - 3} more" if len(wrong) > 3 else ""
        raise ValueError(f"The weights of {source} are of another model: {', '.join(wrong[:3])}{more}.")
