"""`drumblender import`: checkpoints of the original code bases, under our names."""

import argparse
import logging
from pathlib import Path
from typing import Any

import yaml

from drumblender.checkpoints import read_checkpoint
from drumblender.originals import drums, remap, strings
from drumblender.originals.imported import Imported, save_imported

log = logging.getLogger(__name__)

# Each has recognises(config, checkpoint) -> bool and convert(config, checkpoint) -> Imported.
IMPORTERS = (drums, remap, strings)


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
    for importer in IMPORTERS:
        if importer.recognises(config, checkpoint):
            return importer.convert(config, checkpoint)
    keys = ", ".join(sorted(checkpoint)[:6])
    raise ValueError(
        f"No importer knows a checkpoint with the entries {keys}. Does its YAML file come first?"
    )


def command(given: argparse.Namespace) -> int:
    """`drumblender import [OLD.yaml] OLD.ckpt OUT.ckpt`; see :func:`drumblender.options.importing`."""
    config = None if given.config is None else yaml.safe_load(Path(given.config).read_text())
    if not isinstance(config, dict | None):
        raise ValueError(f"{given.config} is no configuration: it holds a {type(config).__name__}.")
    imported = convert(config, read_checkpoint(given.checkpoint))
    save_imported(imported, given.output)
    output = Path(given.output)
    output.with_suffix(".yaml").write_text(yaml.safe_dump(imported.config, sort_keys=False))
    if imported.dropped:
        log.warning("No successor, dropped: %s.", ", ".join(imported.dropped))
    log.warning("Wrote %s and %s.", output, output.with_suffix(".yaml"))
    return 0
