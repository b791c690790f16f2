"""Command lines that name a checkpoint, or files of an original code base, as the configuration."""

import logging
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import yaml

from drumblender.checkpoint_file import own_record, read_checkpoint
from drumblender.config_check import checked_config
from drumblender.console import UsageError
from drumblender.data.upgrade import is_earlier_data, upgrade_data
from drumblender.originals.command import convert, read_config, read_original, recognises
from drumblender.originals.imported import save_imported
from drumblender.originals.lightning1 import is_lightning_1
from drumblender.trust import Trust, check_training
from drumblender.upgrade import task_name, upgrade_model, was_earlier

log = logging.getLogger(__name__)
_CONFIG = ("-c", "--config")
_FILES = (*_CONFIG, "--ckpt_path")
_NAME = re.compile(r"\w[\w.-]{0,99}")


@contextmanager
def expand_checkpoint(verb: str, args: list[str], trust: Trust | None = None) -> Iterator[list[str]]:
    """Give the Lightning verbs a configuration file where the user names a checkpoint or an old file.

    ``test run.ckpt`` becomes ``test -c <its configuration> --ckpt_path run.ckpt``; a configuration saved by
    Lightning 1.9 is migrated and its checkpoint imported. The files made live as long as the context.

    Raises:
        UntrustedError: The checkpoint's configuration asks for what a stranger's file may not have.
    """
    with TemporaryDirectory(prefix="drumblender-") as folder:
        if names_checkpoint(args):
            args = _from_checkpoint(args, verb, Path(folder), trust)
        yield _from_original(args, Path(folder), trust)


def names_checkpoint(args: list[str]) -> bool:
    """Whether the command line starts with a checkpoint, whose configuration it then runs."""
    return bool(args) and not args[0].startswith("-")


def _from_checkpoint(args: list[str], verb: str, folder: Path, trust: Trust | None) -> list[str]:
    checkpoint, *rest = args
    if Path(checkpoint).suffix in (".yaml", ".yml"):
        raise UsageError(f"{checkpoint} is a configuration: drumblender {verb} -c {checkpoint}.")
    config = own_record(read_checkpoint(checkpoint), checkpoint)["config"]
    sections = checked_config(config, source=checkpoint, trust=trust)
    path = folder / f"{_run_name(config, checkpoint)}-{verb}.yaml"
    path.write_text(yaml.safe_dump(sections, sort_keys=False))
    return ["-c", str(path), *rest, "--ckpt_path", checkpoint]


def _run_name(config: dict[str, Any], checkpoint: str) -> str:
    """The name of the run that a checkpoint tells; a folder is named by it, so a path is no name."""
    name = config.get("name")
    return name if isinstance(name, str) and _NAME.fullmatch(name) else Path(checkpoint).stem


def _from_original(args: list[str], folder: Path, trust: Trust | None) -> list[str]:
    """Replace an original configuration and checkpoint by converted ones; other command lines pass."""
    args = _of_today(_split_options(args), folder)
    places = {args[i]: i + 1 for i in range(len(args) - 1) if args[i] in _FILES}
    at = places.get("-c", places.get("--config"))
    if at is None or not Path(args[at]).is_file():
        return args
    old = read_config(args[at])
    if not (is_lightning_1(old) or recognises(old)):
        return args
    checkpoint_at = places.get("--ckpt_path")
    content = read_original(args[checkpoint_at]) if checkpoint_at is not None else {"state_dict": {}}
    imported = convert(old, content)
    check_training(imported.config, source=args[at])
    checked_config(imported.config, source=args[at], trust=trust)
    log.warning("%s is of an original code base; dropped: %s", args[at], ", ".join(imported.dropped) or "-")
    args[at] = str(folder / Path(args[at]).name)
    Path(args[at]).write_text(yaml.safe_dump(imported.config, sort_keys=False))
    if checkpoint_at is not None:
        args[checkpoint_at] = str(folder / Path(args[checkpoint_at]).name)
        save_imported(imported, args[checkpoint_at], trust)
    return args


def _of_today(args: list[str], folder: Path) -> list[str]:
    """Configurations that 0.1 wrote, as this version reads them; those of today pass.

    Raises:
        UsageError: One is no configuration.
    """
    at = [i + 1 for i in range(len(args) - 1) if args[i] in _CONFIG and Path(args[i + 1]).is_file()]
    contents = {i: read_config(args[i]) for i in at}
    tasks = [name for content in contents.values() if (name := task_name(content))]
    args = list(args)
    for i, old in contents.items():
        data = old.get("data")
        flat = isinstance(data, dict) and is_earlier_data(data)
        if is_lightning_1(old) or recognises(old) or not (flat or was_earlier(old, *tasks[:1])):
            continue
        new = _with_whole_paths(upgrade_model(old, *tasks[:1]), Path(args[i]).parent)
        if isinstance(new.get("data"), dict):
            new["data"] = upgrade_data(new["data"])
        path = folder / f"{i}" / Path(args[i]).name
        path.parent.mkdir()
        path.write_text(yaml.safe_dump(new, sort_keys=False))
        log.warning("%s is of drumblender 0.1 and is read as of today.", args[i])
        args[i] = str(path)
    return args


def _with_whole_paths(value: Any, folder: Path) -> Any:
    """Files that a configuration names relative to itself, by their whole paths: it moves elsewhere."""
    if isinstance(value, dict):
        return {key: _with_whole_paths(item, folder) for key, item in value.items()}
    if isinstance(value, list):
        return [_with_whole_paths(item, folder) for item in value]
    if isinstance(value, str) and value.endswith((".yaml", ".yml")) and (folder / value).is_file():
        return str((folder / value).resolve())
    return value


def _split_options(args: list[str]) -> list[str]:
    """``--config=FILE`` as two arguments."""
    split = []
    for arg in args:
        name, equals, value = arg.partition("=")
        split += [name, value] if equals and name in _FILES else [arg]
    return split
