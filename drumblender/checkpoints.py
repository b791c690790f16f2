"""Checkpoints that rebuild themselves: the task, its data and its sample rate from one file."""

import io
import pickle
import struct
import warnings
import zipfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from jsonargparse import ArgumentError, ArgumentParser, Namespace

from drumblender.atomic import atomic_write
from drumblender.config_check import checked_config, without_training
from drumblender.console import config_reason
from drumblender.data import Data
from drumblender.data.upgrade import upgrade_data
from drumblender.dsp.limits import UNBUILDABLE, NothingHuge
from drumblender.tasks import Voices
from drumblender.trust import Config, Trust, listed_imports_only
from drumblender.upgrade import check_version, is_earlier, upgrade
from drumblender.weights_check import load_weights

if TYPE_CHECKING:
    from lightning import LightningDataModule

    from drumblender.tasks import SynthesisTask

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


@dataclass(frozen=True)
class Loaded:
    """What a checkpoint holds.

    Attributes:
        task: The task that was trained, or its voices alone, in eval mode.
        data: The data module that it was trained with, or the same without Lightning.
        sample_rate: Samples a second of what it plays.
    """

    task: "SynthesisTask | Voices"
    data: "LightningDataModule | Data"
    sample_rate: int

    @property
    def kind(self) -> str:
        """The name of its task's class."""
        name = type(self.task).__name__
        return f"{name.removesuffix('Voices')}Task" if name.endswith("Voices") else name


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


def read_whole(path: str | Path, trust: Trust | None = None) -> dict[str, Any]:
    """A checkpoint with the buffers that it leaves to be drawn anew, such as the noise of a drum machine.

    Its record names them and the seed that they were drawn from; the task is built with that seed.

    Raises:
        FileNotFoundError: No such file.
        UntrustedError: Its configuration asks for what a stranger's file may not have.
        ValueError: As :func:`read_checkpoint`, or it leaves out what no buffer of its task is.
    """
    content = read_checkpoint(path)
    record = content.get("drumblender")
    if not isinstance(record, dict) or record.get("redrawn") is None:
        return content
    return _built(content, path, trust)[2]


def _built(
    content: dict[str, Any], path: str | Path, trust: Trust | None, played: Config | None = None
) -> tuple["SynthesisTask | Voices", Any, dict[str, Any]]:
    """Task and data of a checkpoint, and the checkpoint with what it leaves to be drawn anew; what ``played``
    names in place of its own configuration."""
    record = own_record(content, path)
    config, left_out = played or record["config"], record.get("redrawn")
    if left_out is None:
        return *build(config, source=str(path), trust=trust, played=played is not None), content
    seed, names = (left_out.get(key) if isinstance(left_out, dict) else None for key in ("seed", "names"))
    if type(seed) is not int or not 0 <= seed < 2**63 or not isinstance(names, list):
        raise ValueError(f"{path}: what it leaves to be drawn anew has no seed and names.")
    with _seeded(seed):
        task, data = build(config, source=str(path), trust=trust, played=played is not None)
    buffers = dict(task.named_buffers())
    if unknown := [str(name)[:50] for name in names if not (isinstance(name, str) and name in buffers)]:
        raise ValueError(f"{path} leaves out {unknown[0]}, which is no buffer of its task.")
    drawn = {name: buffers[name].clone() for name in names}
    return task, data, content | {"state_dict": drawn | content["state_dict"]}


@contextmanager
def _seeded(seed: int) -> Iterator[None]:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        yield


def drawn_buffers(
    config: dict[str, Any], seed: int, *, source: str, trust: Trust | None = None
) -> dict[str, torch.Tensor]:
    """The buffers of a task that is built with a seed, by name. Raises what :func:`build` raises."""
    with _seeded(seed):
        task, _ = build(config, source=source, trust=trust)
    return dict(task.named_buffers())


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

    Its configuration is as the file gives it: :func:`build` checks it before anything of it is used.

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


def load_checkpoint(path: str | Path, trust: Trust | None = None) -> Loaded:
    """Rebuild a task and its data from a checkpoint of ours.

    Args:
        path: The file. Nothing in it is executed, and its configuration may name parts of this package and
            a few of torch's only.
        trust: Modules of your own whose classes it may name as well.

    Raises:
        FileNotFoundError: No such file.
        UntrustedError: Its configuration asks for what a stranger's file may not have.
        ValueError: No checkpoint of ours, or its weights do not fit its configuration.
    """
    return _loaded(read_checkpoint(path), path, trust)


def load_played(path: str | Path, trust: Trust | None = None) -> Loaded:
    """What a checkpoint of ours plays with: its voices and its data, equal to those of its task.

    Neither Lightning nor torchmetrics is imported, which takes longer than to play a sound. A task or a data
    module of your own comes whole. Arguments and errors as of :func:`load_checkpoint`.
    """
    content = read_checkpoint(path)
    played = without_training(own_record(content, path)["config"], source=str(path), trust=trust)
    return _loaded(content, path, trust, played)


def _loaded(
    content: dict[str, Any], path: str | Path, trust: Trust | None, played: Config | None = None
) -> Loaded:
    record = own_record(content, path)
    task, data, content = _built(content, path, trust, played)
    weights, left_out = content["state_dict"], () if played is None else task.for_training
    if isinstance(weights, Mapping):
        weights = {key: value for key, value in weights.items() if str(key).split(".")[0] not in left_out}
    load_weights(task, weights, source=str(path))
    task.config = record["config"]
    return Loaded(task.eval(), data, record["sample_rate"])


def build(
    config: dict[str, Any],
    *,
    source: str = "the configuration",
    trust: Trust | None = None,
    played: bool = False,
) -> "tuple[SynthesisTask, LightningDataModule]":
    """Instantiate the ``model`` and ``data`` sections of a configuration that a file brought.

    Args:
        config: Both sections; others are not looked at.
        source: The file, for messages.
        trust: Modules of your own whose classes it may name.
        played: It names voices and data without Lightning, as
            :func:`~drumblender.config_check.without_training` makes it.

    Raises:
        UntrustedError: It asks for what a stranger's file may not have; nothing was imported for it.
        ValueError: It does not fit the classes that it names.
    """
    trust = trust or Trust()
    sections = checked_config(config, source=source, trust=trust)
    parser = ArgumentParser(exit_on_error=False)
    task_class, data_class = (Voices, Data) if played else _trained_classes()
    parser.add_subclass_arguments(task_class, "model", required=True)
    parser.add_subclass_arguments(data_class, "data", required=True)
    with listed_imports_only(trust):
        try:
            parsed = _parsed(parser, sections)
        except ArgumentError as error:
            raise ValueError(f"{source}: {config_reason(error)}") from error
        try:
            with NothingHuge():
                parts = parser.instantiate(parsed)
        except UNBUILDABLE as error:
            reason = " ".join(str(error).split())[:150]
            raise ValueError(
                f"{source}: its parts cannot be built as it describes them: {type(error).__name__}: {reason}"
            ) from error
    return parts.model, parts.data


def _parsed(parser: ArgumentParser, sections: dict[str, Any]) -> Namespace:
    """The sections as objects that parts are made of. Those of a run say all that they need, and the classes
    have defaults of their own; to fill in a shorter one takes four times as long."""
    try:
        return parser.parse_object(sections, defaults=False)
    except ArgumentError:
        return parser.parse_object(sections)


def _trained_classes() -> tuple[type, type]:
    from lightning import LightningDataModule  # slow to import

    from drumblender.tasks import SynthesisTask

    return SynthesisTask, LightningDataModule
