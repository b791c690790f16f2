"""`drumblender import`: checkpoints of the original code bases, under our names."""

import argparse
import logging
from pathlib import Path
from typing import Any

import yaml

from drumblender.checkpoint_file import read_checkpoint
from drumblender.console import UsageError
from drumblender.originals import drums, guitar, pitch, remap, strings
from drumblender.originals.imported import Imported, save_imported
from drumblender.sound_files import check_apart
from drumblender.trust import plain_copy, trusted

log = logging.getLogger(__name__)

# Each has recognises(config, checkpoint) -> bool and convert(config, checkpoint) -> Imported.
_BROUGHT = ("state_dict", "model_state_dict", "epoch", "global_step", "hyper_parameters")
IMPORTERS = (drums, guitar, remap, strings, pitch)


def recognises(config: dict[str, Any]) -> bool:
    """Whether a configuration was saved by one of the original code bases."""
    return any(importer.recognises(config, {}) for importer in IMPORTERS)


def convert(config: dict[str, Any] | None, checkpoint: dict[str, Any]) -> Imported:
    """Convert with the importer that knows the files.

    Args:
        config: The saved configuration, for code bases that save one.
        checkpoint: The content of the checkpoint file.

    Raises:
        ValueError: No importer knows them.
    """
    if not isinstance(checkpoint.get("state_dict", {}), dict):
        raise ValueError("This is no checkpoint: its state_dict holds no weights by name.")
    for importer in IMPORTERS:
        name = importer.__name__.rpartition(".")[2]
        try:
            if importer.recognises(config, checkpoint):
                return importer.convert(config, checkpoint)
        except (LookupError, TypeError, AttributeError, StopIteration) as error:
            raise ValueError(
                f"This is no whole checkpoint and configuration of the original {name}: "
                f"{type(error).__name__} {str(error)[:100]}."
            ) from error
    if "drumblender" in checkpoint:
        raise ValueError("This checkpoint is of drumblender already: play, test and train it as it is.")
    keys = ", ".join(sorted(checkpoint)[:6])
    raise ValueError(
        f"No importer knows a checkpoint with the entries {keys}. Does its YAML file come first?"
    )


def left_out(checkpoint: dict[str, Any]) -> list[str]:
    """Entries of a checkpoint that only the training which wrote it could go on with.

    >>> left_out({"state_dict": {}, "epoch": 3, "optimizer_states": []})
    ['optimizer_states']
    """
    if not any(isinstance(checkpoint.get(name), dict) for name in ("state_dict", "model_state_dict")):
        return []  # bare weights
    return sorted(str(name) for name in checkpoint if name not in _BROUGHT)


def read_config(path: str | Path) -> dict[str, Any]:
    """The content of a configuration file, as plain values.

    Raises:
        UsageError: It is no YAML, or holds no mapping, or unfolds to far too much.
    """
    try:
        content = yaml.safe_load(Path(path).read_text(encoding="utf-8"))
        content = plain_copy(content, source=str(path))
    except (UnicodeDecodeError, yaml.YAMLError, RecursionError) as error:
        where = f", line {error.problem_mark.line + 1}" if getattr(error, "problem_mark", None) else ""
        raise UsageError(f"{path} is no YAML configuration{where}.") from error
    except (ValueError, TypeError) as error:
        raise UsageError(str(error)) from error
    if not isinstance(content, dict):
        raise UsageError(
            f"{path} is no configuration: it holds {'nothing' if content is None else 'no mapping'}."
        )
    return content


def read_original(path: str | Path) -> dict[str, Any]:
    """The content of a checkpoint of any code base; modules in one of the original pitch code are inert.

    Raises:
        FileNotFoundError, ValueError: As :func:`~drumblender.checkpoint_file.read_checkpoint`.
    """
    return pitch.read(path) if pitch.holds_modules(path) else read_checkpoint(path)


def command(given: argparse.Namespace) -> int:
    """`drumblender import [OLD] OLD.ckpt OUT`; see :func:`drumblender.options.converting.importing`."""
    config = None if given.config is None else read_config(given.config)
    output = Path(given.output)
    read = [Path(path) for path in (given.config, given.checkpoint) if path is not None]
    check_apart(read, [output, output.with_suffix(".yaml")])
    original = read_original(given.checkpoint)
    imported = convert(config, original)
    save_imported(imported, given.output, trusted(given.trust))
    output.with_suffix(".yaml").write_text(yaml.safe_dump(imported.config, sort_keys=False))
    if imported.dropped:
        log.warning("No successor, dropped: %s.", ", ".join(imported.dropped))
    if left := left_out(original):
        log.warning("Of the training alone, left out: %s.", ", ".join(left))
    log.warning("Wrote %s and %s.", output, output.with_suffix(".yaml"))
    return 0
