"""Configurations of data as earlier versions wrote them, in today's form."""

from collections.abc import Mapping
from copy import deepcopy
from typing import Any

Config = dict[str, Any]

_PREPARED = ("AudioDataModule", "ModalDataModule", "FakeDrumsDataModule")
_NESTED: dict[str, dict[str, str]] = {  # group -> its argument -> the flat one that it was
    "remote": {"url": "url", "bucket": "bucket", "archive": "archive", "sha256": "archive_sha256"},
    "split": {
        "strategy": "split_strategy",
        "seed": "seed",
        "holdout": "holdout",
        "types": "types",
        "instruments": "instruments",
    },
}
_NESTED_NSYNTH: dict[str, dict[str, str]] = {
    "notes": {name: name for name in ("families", "sources", "lowest_midi", "highest_midi", "max_files")},
    "names": {"train": "train_split", "val": "val_split", "test": "test_split"},
    "archives": {"url": "url", "sha256": "archive_digests"},
    "split": {"seed": "seed", "holdout": "holdout"},
}
_UNSET_IS_DEFAULT = {"families", "sources", "archive_digests"}  # None is no value of theirs any more


def upgrade_data(config: Mapping[str, Any]) -> Config:
    """The ``data`` section of a saved configuration as this version takes it.

    Arguments that have gone into ``remote``, ``labels``, ``split`` (of NSynth: ``notes``, ``names``,
    ``archives``, ``split``) are moved there. What a run saved in full, which shows in its ``channel``, also
    keeps doing what was done then: the offset stayed. A configuration of today comes back as it is.

    Args:
        config: ``{class_path, init_args}``; it is not changed.

    Returns:
        The same for today's classes; other classes as they are.

    Raises:
        ValueError: An argument is there in both forms.

    >>> old = {"class_path": "drumblender.data.AudioDataModule", "init_args": {"data_dir": "x", "seed": 7}}
    >>> upgrade_data(old)["init_args"]["split"]
    {'seed': 7}
    """
    new = deepcopy(dict(config))
    module, _, name = str(new.get("class_path")).rpartition(".")
    if module.split(".")[0] != "drumblender" or not isinstance(new.get("init_args", {}), Mapping):
        return new
    settings = dict(new.get("init_args") or {})
    if name == "NSynthDataModule":
        if settings.keys() & {"families", "train_split", "archive_digests"}:
            settings.setdefault("channel", "mean")  # which nothing could change
        _nest(settings, _NESTED_NSYNTH)
    elif name in _PREPARED:
        _nest(settings, _NESTED)
        _nest_labels(settings)
    elif name != "RemapDataModule":
        return new
    if "channel" in settings:
        settings.setdefault("dc", "keep")
    new["init_args"] = settings
    return new


def _nest(settings: Config, groups: dict[str, dict[str, str]]) -> None:
    """Move flat arguments into their groups."""
    for group, names in groups.items():
        moved = {new: settings.pop(flat) for new, flat in names.items() if flat in settings}
        unset = {
            new for new, flat in names.items() if flat in _UNSET_IS_DEFAULT and moved.get(new, 0) is None
        }
        _add(settings, group, {new: value for new, value in moved.items() if new not in unset})


def _nest_labels(settings: Config) -> None:
    """``labels`` was the name of the table alone."""
    moved: Config = {}
    if isinstance(settings.get("labels", ""), str | None):
        moved["csv"] = settings.pop("labels", None)
    levels, columns = settings.pop("label_levels", None), settings.pop("label_columns", None)
    if levels is not None:
        moved["levels"] = levels
    if columns is not None:
        moved["columns"] = {name: column for name, column in columns.items() if name != "filename"}
        moved |= {"file_column": columns["filename"]} if "filename" in columns else {}
    _add(settings, "labels", {name: value for name, value in moved.items() if value is not None})


def _add(settings: Config, group: str, moved: Config) -> None:
    if not moved:
        return
    there = dict(settings.get(group) or {})
    if both := sorted(there.keys() & moved.keys()):
        raise ValueError(f"{group}.{both[0]} is given twice: so, and by its old name. Leave out the old one.")
    settings[group] = there | moved
