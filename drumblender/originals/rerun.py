"""Command lines that name a checkpoint, or files of an original code base, as the configuration."""

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

import yaml

from drumblender.checkpoints import own_record, read_checkpoint
from drumblender.console import UsageError
from drumblender.originals.command import convert, recognises
from drumblender.originals.imported import save_imported
from drumblender.originals.lightning1 import is_lightning_1

log = logging.getLogger(__name__)
_FILES = ("-c", "--config", "--ckpt_path")


@contextmanager
def expand_checkpoint(verb: str, args: list[str]) -> Iterator[list[str]]:
    """Give the Lightning verbs a configuration file where the user names a checkpoint or an old file.

    ``test run.ckpt`` becomes ``test -c <its configuration> --ckpt_path run.ckpt``; a configuration saved by
    Lightning 1.9 is migrated and its checkpoint imported. The files made live as long as the context.
    """
    with TemporaryDirectory(prefix="drumblender-") as folder:
        if args and not args[0].startswith("-"):
            args = _from_checkpoint(args, verb, Path(folder))
        yield _from_original(args, Path(folder))


def _from_checkpoint(args: list[str], verb: str, folder: Path) -> list[str]:
    checkpoint, *rest = args
    if Path(checkpoint).suffix in (".yaml", ".yml"):
        raise UsageError(f"{checkpoint} is a configuration: drumblender {verb} -c {checkpoint}.")
    config = own_record(read_checkpoint(checkpoint), checkpoint)["config"]
    path = folder / f"{config.get('name') or Path(checkpoint).stem}-{verb}.yaml"
    path.write_text(yaml.safe_dump({key: config[key] for key in ("model", "data")}, sort_keys=False))
    return ["-c", str(path), *rest, "--ckpt_path", checkpoint]


def _from_original(args: list[str], folder: Path) -> list[str]:
    """Replace an original configuration and checkpoint by converted ones; other command lines pass."""
    args = _split_options(args)
    for option, path in zip(args, args[1:], strict=False):
        if option in ("-c", "--config") and Path(path).is_file():
            _check_yaml(path)
    places = {args[i]: i + 1 for i in range(len(args) - 1) if args[i] in _FILES}
    at = places.get("-c", places.get("--config"))
    if at is None or not Path(args[at]).is_file():
        return args
    old = yaml.safe_load(Path(args[at]).read_text())
    if not isinstance(old, dict) or not (is_lightning_1(old) or recognises(old)):
        return args
    checkpoint_at = places.get("--ckpt_path")
    content = read_checkpoint(args[checkpoint_at]) if checkpoint_at is not None else {"state_dict": {}}
    imported = convert(old, content)
    log.warning("%s is of an original code base; dropped: %s", args[at], ", ".join(imported.dropped) or "-")
    args[at] = str(folder / Path(args[at]).name)
    Path(args[at]).write_text(yaml.safe_dump(imported.config, sort_keys=False))
    if checkpoint_at is not None:
        args[checkpoint_at] = str(folder / Path(args[checkpoint_at]).name)
        save_imported(imported, args[checkpoint_at])
    return args


def _check_yaml(path: str) -> None:
    try:
        content = yaml.safe_load(Path(path).read_text())
    except (UnicodeDecodeError, yaml.YAMLError) as error:
        where = f", line {error.problem_mark.line + 1}" if getattr(error, "problem_mark", None) else ""
        raise UsageError(f"{path} is no YAML configuration{where}.") from error
    if not isinstance(content, dict):
        raise UsageError(
            f"{path} is no configuration: it holds {'nothing' if content is None else 'no mapping'}."
        )


def _split_options(args: list[str]) -> list[str]:
    """``--config=FILE`` as two arguments."""
    split = []
    for arg in args:
        name, equals, value = arg.partition("=")
        split += [name, value] if equals and name in _FILES else [arg]
    return split
