"""The options of a Lightning verb in an order in which none is lost."""

import logging
from pathlib import Path
from typing import Any

import yaml

_log = logging.getLogger(__name__)
_CONFIG = ("-c", "--config")
_PARTS = ("synth", "controls", "combine", "source")
"""What a voice is made of."""
Option = list[str]


def in_order(args: list[str]) -> list[str]:
    """The same options: configurations first, and each part before the settings of that part.

    The parser goes from left to right, where a later file or part takes the place of settings given before.
    """
    options = _grouped(args)
    configs = [option for option in options if _name(option) in _CONFIG]
    rest = _parents_first([option for option in options if _name(option) not in _CONFIG])
    return _with_data_replaced(configs, rest)


def unknown_voice(args: list[str]) -> str | None:
    """What is wrong with an option such as ``--model.voices.nois.synth.seed 1`` that sets a part of no voice.

    Returns:
        A sentence; None where all voices exist, or the configurations name none.
    """
    options = _grouped(args)
    parts = [_read_config(Path(_value(option))) for option in options if _name(option) in _CONFIG]
    parts += [({"model": _value(option)}, Path()) for option in options if _name(option) == "--model"]
    named = list(dict.fromkeys(voice for part in parts for voice in _voices(*part)))
    whole = {_name(option).removeprefix("--model.voices.") for option in options}  # voices that are added
    for name in map(_name, options):
        section, _, rest = name.partition(".voices.")
        voice, dot, _ = rest.partition(".")
        if named and section == "--model" and voice in _PARTS and voice not in named:
            return f"{name}: which voice? As --model.voices.{named[0]}.{rest}; there are {', '.join(named)}."
        if named and section == "--model" and dot and voice not in {*named, *whole}:
            return f"{name}: there is no voice {voice!r}, only {', '.join(named)}."
    return None


def with_voice(message: str, args: list[str]) -> str:
    """A parser's message, for which the controls of any voice are ``model.voices.controls``, with the voice.

    Examples:
        >>> with_voice("model.voices.controls: needs mapper", ["--model.voices.noise.controls", "M"])
        'model.voices.noise.controls: needs mapper'
    """
    voices: dict[str, set[str]] = {}
    for section, _, rest in (_name(option).partition(".voices.") for option in _grouped(args)):
        voice, _, part = rest.partition(".")
        if section == "--model" and part:
            voices.setdefault(part.partition(".")[0], set()).add(voice)
    for part, named in voices.items():
        if len(named) == 1:
            message = message.replace(f"model.voices.{part}", f"model.voices.{named.pop()}.{part}")
    return message


def _voices(config: dict[str, Any], folder: Path) -> list[str]:
    """The names of the voices of a configuration's model."""
    model = config.get("model")
    if isinstance(model, str):
        model, _ = _read_config(folder / model)
    settings = model.get("init_args") if isinstance(model, dict) else None
    voices = settings.get("voices") if isinstance(settings, dict) else None
    return list(voices) if isinstance(voices, dict) else []


def _grouped(args: list[str]) -> list[Option]:
    """Each option with its values."""
    groups: list[Option] = []
    for arg in args:
        if not groups or arg.startswith("--") or arg == "-c":
            groups.append([arg])
        else:
            groups[-1].append(arg)
    return groups


def _name(option: Option) -> str:
    return option[0].partition("=")[0]


def _parents_first(options: list[Option]) -> list[Option]:
    """``--data.weighted true --data X.yaml`` the other way round; appended items stay in their place."""
    ordered: list[Option] = []
    for option in options:
        name = _name(option)
        children = [i for i, other in enumerate(ordered) if _name(other).startswith(f"{name}.")]
        ordered.insert(children[0] if children else len(ordered), option)
    return ordered


def _with_data_replaced(configs: list[Option], rest: list[Option]) -> list[str]:
    """Let ``--data X.yaml`` replace the data of the configuration; jsonargparse would mix the two.

    Variants that change settings of the data change those of X where X is of the same class. Elsewhere they
    are replaced with the data, which is told.
    """
    given = next((option for option in rest if _name(option) == "--data"), None)
    if given is None:
        return _flat([*configs, *rest])
    value = given[1] if len(given) > 1 else given[0].partition("=")[2]
    rest = [option for option in rest if option is not given]
    chosen = _data_class({"data": value}, Path())
    parts = [_data_class(*_read_config(Path(_value(option)))) for option in configs]
    base = next((i for i, part in enumerate(parts) if part), None)
    variants = [i for i, part in enumerate(parts) if base is not None and i > base and part == ""]
    after = len(configs)
    if variants and parts[base] == chosen:
        after = max(i for i, part in enumerate(parts) if part) + 1
    else:
        for i in variants:
            _log.warning("%s replaces the data that %s changes.", value, _value(configs[i]))
    return _flat([*configs[:after], ["--data=null"], given, *configs[after:], *rest])


def _flat(options: list[Option]) -> list[str]:
    return [arg for option in options for arg in option]


def _value(option: Option) -> str:
    return option[1] if len(option) > 1 else option[0].partition("=")[2]


def _read_config(path: Path) -> tuple[dict[str, Any], Path]:
    """A configuration file, and the folder that its paths start from; nothing of what cannot be read."""
    try:
        content = yaml.safe_load(path.read_text())
    except (OSError, UnicodeDecodeError, yaml.YAMLError):
        return {}, path.parent
    return content if isinstance(content, dict) else {}, path.parent


def _data_class(config: dict[str, Any], folder: Path) -> str | None:
    """The class of a configuration's data; "" where it only changes settings, None where it names no data."""
    data = config.get("data")
    if isinstance(data, str):
        content, _ = _read_config(folder / data)
        return content.get("class_path", "unknown")
    return None if not isinstance(data, dict) else data.get("class_path", "")
