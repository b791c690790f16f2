"""A checkpoint as a file: read without running what is in it, and written whole or not at all."""

import io
import pickle
import struct
import warnings
import zipfile
from pathlib import Path
from typing import Any

import torch

from drumblender.atomic import atomic_write
from drumblender.data.upgrade import upgrade_data
from drumblender.upgrade import check_version, is_earlier, upgrade

_HIGHEST_RATE = 1_000_000
# What torch's reader raises on bytes that are no checkpoint: found by cutting and changing good ones.
_DAMAGE = (
    RuntimeError,
    EOFError,
    LookupError,
    ValueError,
    TypeError,
    AttributeError,
    AssertionError,
    OverflowError,
    MemoryError,
    RecursionError,
    struct.error,
    zipfile.BadZipFile,
)


def read_checkpoint(path: str | Path) -> dict[str, Any]:
    """Read a checkpoint of any code base; nothing in the file is executed.

    What an earlier version of ours wrote comes as of today.

    Raises:
        FileNotFoundError: No such file.
        ValueError: Not a checkpoint, holds more than tensors and plain values, or is of a later version.
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
    except OSError as error:
        if error.errno is not None:  # of the disk or of its permissions, not of the content
            raise
        raise ValueError(f"{path} is not a checkpoint, or is damaged.") from error
    except _DAMAGE as error:
        raise ValueError(f"{path} is not a checkpoint, or is damaged.") from error
    if not isinstance(content, dict):
        raise ValueError(f"{path} holds a {type(content).__name__}, no checkpoint.")
    record = content.get("drumblender")
    if isinstance(record, dict):
        check_version(str(record.get("version")), source=str(path))
    return _of_today(content)


def _of_today(content: dict[str, Any]) -> dict[str, Any]:
    """A checkpoint of an earlier version of ours as this one writes it; any other as it is."""
    record, weights = content.get("drumblender"), content.get("state_dict")
    if not (
        isinstance(record, dict) and isinstance(record.get("config"), dict) and isinstance(weights, dict)
    ):
        return content
    config = dict(record["config"])
    if is_earlier(str(record.get("version"))):
        config, weights = upgrade(config, weights)
        if isinstance(config.get("data"), dict):
            config["data"] = upgrade_data(config["data"])
    return content | {"drumblender": record | {"config": config}, "state_dict": weights}


def save_checkpoint(content: dict[str, Any], path: str | Path) -> None:
    """Write a checkpoint that is whole under its name or absent.

    Raises:
        OSError: The disk is full, or the folder is not writable.
    """
    buffer = io.BytesIO()  # to a file, torch's own writer would hide the reason of a failure
    torch.save(content, buffer)
    with atomic_write(Path(path)) as aside:
        aside.write_bytes(buffer.getbuffer())


def own_record(content: dict[str, Any], path: str | Path) -> dict[str, Any]:
    """What our tasks write into their checkpoints: version, sample rate and configuration.

    Its configuration is as the file gives it, not checked; :func:`~drumblender.checkpoints.build` does that.

    Raises:
        ValueError: The checkpoint has no such record, or was made outside the command line.
    """
    record = content.get("drumblender")
    if not isinstance(record, dict):
        raise ValueError(
            f"{path} is not a drumblender checkpoint. `drumblender import` brings those of the original code."
        )
    config = record.get("config", {})
    if not isinstance(config, dict) or not config.get("model"):
        raise ValueError(f"{path} carries no configuration: only runs started by `drumblender fit` do.")
    lacking = [name for name in ("model", "data") if name not in config]
    lacking += [name for name in ("sample_rate",) if name not in record]
    lacking += [name for name in ("state_dict",) if name not in content]
    if lacking:
        raise ValueError(f"{path} is incomplete: it has no {', '.join(lacking)}.")
    rate = record["sample_rate"]
    if type(rate) is not int or not 1 <= rate <= _HIGHEST_RATE:
        raise ValueError(f"{path}: its sample_rate is {str(rate)[:50]}, not samples a second.")
    return record
