"""Configurations and weights that earlier versions wrote, as this version reads them. Plain values only."""

import re
from copy import deepcopy
from typing import Any

from drumblender import __version__

Config = dict[str, Any]

_MOVED = {  # classes that live elsewhere since 0.2
    f"drumblender.encoders.{name}": f"drumblender.controllers.{name}"
    for name in ("FreeControls", "LinearMapping", "MLPMapping", "ModeGains", "SplitHead")
}
_ARGUMENTS = {"hop_size": "hop_length", "window_size": "win_length"}  # their names since 0.2
_HEADS = {"linear": "LinearHead", "split": "SplitHead"}
_SINGLE = {"StringTask": "string", "RemapTask": "drum"}  # tasks of one voice, and what it is called in there
_PARTS = ("encoder.", "head.", "mapper.", "onset_scale.")  # of what is the voice's controller now


def is_earlier(version: str) -> bool:
    """Whether a checkpoint of that version needs :func:`upgrade`."""
    return version.split(".")[:2] == ["0", "1"]


def check_version(version: str, *, source: str) -> None:
    """Make sure that a file is not of a later version, whose words may mean something else.

    Versions with the same first two numbers read each other's files. What is no version is not judged.

    Args:
        version: What its record says.
        source: The file, for the message.

    Raises:
        ValueError: It is of a later one.
    """
    if _release(version) > _release(__version__):
        raise ValueError(
            f"{source} was written by drumblender {version[:30]}, later than this one, {__version__}: "
            "update drumblender."
        )


def _release(version: str) -> tuple[int, ...]:
    """Its first two numbers; none of what is no version."""
    found = re.match(r"(\d{1,9})\.(\d{1,9})", version)
    return tuple(map(int, found.groups())) if found else ()


def upgrade(config: Config, state_dict: Config) -> tuple[Config, Config]:
    """What 0.1 wrote into a checkpoint, as of today.

    Args:
        config: Its sections ``model`` and ``data``.
        state_dict: Its weights.

    Returns:
        Both, changed; what was given stays as it is.
    """
    config = upgrade_model(config)
    task, settings = task_name(config), _settings(config)
    return config, {_new_key(key, task, settings): value for key, value in state_dict.items()}


def upgrade_model(config: Config, task: str | None = None) -> Config:
    """The configuration alone; :func:`upgrade`.

    Args:
        config: It is not changed.
        task: Name of the task's class, where another file says it.
    """
    config = of_today(deepcopy(config))
    task, settings = task or task_name(config), _settings(config)
    if task == "DrumTask":
        for voice in _mapping(settings.get("voices")).values():
            _controlled(_mapping(voice))
    elif task == "StringTask" and "encoder" in settings:
        settings["controls"] = _component("HeardControls", encoder=settings.pop("encoder"))
    elif task == "RemapTask" and "mapper" in settings:
        moved = {name: settings.pop(name) for name in ("mapper", "preset") if name in settings}
        settings["controls"] = _component("MappedControls", **moved)
    return config


def was_earlier(config: Config, task: str | None = None) -> bool:
    """Whether a configuration without a version says something in a way that only 0.1 did.

    >>> was_earlier({"data": {"class_path": "drumblender.features.RMS", "init_args": {"hop_size": 64}}})
    True
    """
    task, settings = task or task_name(config), _settings(config)
    voices = [_mapping(voice) for voice in _mapping(settings.get("voices")).values()]
    return (
        (task == "DrumTask" and any({"encoder", "gains", "head"} & voice.keys() for voice in voices))
        or (task == "StringTask" and "encoder" in settings)
        or (task == "RemapTask" and "mapper" in settings)
        or _names_earlier(config)
    )


def _names_earlier(value: Any) -> bool:
    if isinstance(value, dict):
        of_ours = str(value.get("class_path")).startswith("drumblender.")
        renamed = of_ours and _ARGUMENTS.keys() & _mapping(value.get("init_args")).keys()
        return bool(renamed) or any(_names_earlier(item) for item in value.values())
    if isinstance(value, list):
        return any(_names_earlier(item) for item in value)
    return isinstance(value, str) and value in _MOVED


def task_name(config: Config) -> str:
    """The name of the task's class, "" where the configuration does not say."""
    return str(_mapping(config.get("model")).get("class_path", "")).rsplit(".", 1)[-1]


def _settings(config: Config) -> Config:
    return _mapping(_mapping(config.get("model")).get("init_args"))


def _mapping(value: Any) -> Config:
    """The value, or an empty one where a damaged file has something else."""
    return value if isinstance(value, dict) else {}


def _controlled(voice: Config) -> None:
    """Gather what played a voice under ``controls``."""
    encoder, gains = voice.pop("encoder", None), voice.pop("gains", None)
    head = voice.pop("head", "linear")
    if not isinstance(head, dict):
        head = _component(_HEADS.get(str(head), "LinearHead"))
    if encoder is not None:
        voice["controls"] = _component("HeardControls", encoder=encoder, head=head)
    elif gains is not None:
        voice["controls"] = _component("GivenControls", gains=gains)


def _new_key(key: str, task: str, settings: Config) -> str:
    """The name of a weight."""
    if task == "DrumTask" and key.startswith("voices."):
        voices, name, part, *rest = [*key.split("."), "", ""][: max(3, key.count(".") + 1)]
        part = f"controls.{part}" if part in ("encoder", "head", "gains") else part
        return ".".join([voices, name, part, *rest])
    if task not in _SINGLE:
        return key
    voice = f"voices.{_SINGLE[task]}"
    held = key in ("preset", "damping") or ("." not in key and key != "reference")
    if key.startswith(_PARTS) or held:
        return f"{voice}.controls.{key}"
    return f"{voice}.{key}" if key.startswith("synth.") else key


def of_today(value: Any) -> Any:
    """Classes and arguments of a configuration under their names of today.

    Examples:
        >>> of_today({"class_path": "drumblender.features.RMS", "init_args": {"hop_size": 64}})
        {'class_path': 'drumblender.features.RMS', 'init_args': {'hop_length': 64}}
    """
    if isinstance(value, dict):
        renamed = {_ARGUMENTS.get(key, key): of_today(item) for key, item in value.items()}
        if value.get("class_path") == "drumblender.synths.NoiseSynth":  # as it sounded
            renamed["init_args"] = {"filter": "published"} | _mapping(renamed.get("init_args"))
        return renamed
    if isinstance(value, list):
        return [of_today(item) for item in value]
    return _MOVED.get(value, value) if isinstance(value, str) else value


def _component(name: str, **init_args: Any) -> Config:
    return {"class_path": f"drumblender.controllers.{name}", "init_args": init_args}
