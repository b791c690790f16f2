"""Checkpoints that rebuild themselves: the task, its data and its sample rate from one file."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from jsonargparse import ArgumentError, ArgumentParser, Namespace

from drumblender.checkpoint_file import own_record, read_checkpoint
from drumblender.config_check import checked_config, without_training
from drumblender.console import config_reason
from drumblender.data import Data
from drumblender.dsp.limits import UNBUILDABLE, NothingHuge
from drumblender.tasks import Voices
from drumblender.trust import Config, Trust, listed_imports_only
from drumblender.weights_check import load_weights

if TYPE_CHECKING:
    from lightning import LightningDataModule

    from drumblender.tasks import SynthesisTask


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
