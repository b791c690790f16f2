"""The configuration of a stranger's file: it names what is on the list, and gives what those classes take.

No text may stand where a part belongs: the parser takes it for the name of a class, or of a file to read.
"""

import collections.abc
import types
import typing
from collections.abc import Mapping, Sequence
from enum import Enum
from importlib import import_module
from pathlib import PurePath
from typing import Any

from drumblender import data, tasks
from drumblender.shipped import find_shipped, shipped_dir
from drumblender.trust import LISTED, Config, Trust, UntrustedError, check_names, plain_copy, remedy, shown


def checked_config(
    config: object, *, source: str, trust: Trust | None = None, names: Sequence[str] = ("model", "data")
) -> Config:
    """A copy of a configuration's ``model`` and ``data``, or of other sections, that is safe to build.

    Args:
        config: As it was read: from a checkpoint, or by an importer.
        source: The file, for messages.
        trust: What the user trusts.
        names: Which sections; each names a class.

    Returns:
        Plain values only, independent of ``config``.

    Raises:
        UntrustedError: It names what is not on the list, or gives text where a part belongs.
        ValueError: It is no configuration: cyclic, far too large, or made of other things than plain values.

    Examples:
        >>> checked_config({"model": {"class_path": "os.system"}}, source="a.ckpt")
        Traceback (most recent call last):
        drumblender.trust.UntrustedError: a.ckpt: model names os.system, which no checkpoint may run.
    """
    trust = trust or Trust()
    plain = plain_copy(config, source=source)
    if not isinstance(plain, dict):
        raise ValueError(f"{source}: its configuration is a {type(config).__name__}, not a mapping.")
    sections = {key: plain[key] for key in names if key in plain}
    for key, section in sections.items():
        if not isinstance(section, dict) or not isinstance(section.get("class_path"), str):
            raise ValueError(f"{source}: its {key} names no class.")
        check_names(section, key, source, trust)
    for key, section in sections.items():
        _Values(source, trust).check_part(section, key)
        _leave_presets(section, key, source)
    return sections


def without_training(config: object, *, source: str, trust: Trust | None = None) -> Config | None:
    """The ``model`` and ``data`` of a configuration as they are played: voices for a task, and data without
    Lightning.

    Loss, metrics and what else only trains are left out, after their names were checked.

    Returns:
        Both sections; None where one of them is no class of ours, which has to be built as it is.

    Raises:
        UntrustedError: It names what is not on the list.
        ValueError: It is no configuration.

    Examples:
        >>> arguments = {"loss": None, "sample_rate": 8000}
        >>> model = {"class_path": "drumblender.tasks.DrumTask", "init_args": arguments}
        >>> data = {"class_path": "drumblender.data.AudioDataModule"}
        >>> played = without_training({"model": model, "data": data}, source="a.ckpt")
        >>> played["model"]["class_path"], played["model"]["init_args"], played["data"]["class_path"]
        ('drumblender.tasks.DrumVoices', {'sample_rate': 8000}, 'drumblender.data.AudioData')
    """
    plain = plain_copy(config, source=source)
    sections = {key: plain.get(key) for key in ("model", "data")} if isinstance(plain, dict) else {}
    for key, section in sections.items():
        if not isinstance(section, dict) or not isinstance(section.get("class_path"), str):
            return None  # for `checked_config` to tell
        check_names(section, key, source, trust or Trust())
    homes = [section["class_path"].rpartition(".") for section in sections.values()]
    (model_home, _, task), (data_home, _, module) = homes or [("", "", "")] * 2
    voices = getattr(tasks, f"{task.removesuffix('Task')}Voices", None)
    plays = module.removesuffix("Module")
    if not model_home.startswith("drumblender.tasks") or voices is None or not task.endswith("Task"):
        return None
    if not data_home.startswith("drumblender.data") or plays not in data.__all__:
        return None
    given = sections["model"].get("init_args") or {}
    kept = {name: value for name, value in given.items() if name not in voices.for_training}
    return {
        "model": sections["model"]
        | {"class_path": f"drumblender.tasks.{voices.__name__}", "init_args": kept},
        "data": sections["data"] | {"class_path": f"drumblender.data.{plays}"},
    }


def _leave_presets(value: Any, where: str, source: str) -> None:
    """Read no preset but the shipped ones: the weights hold what a mapper moves around.

    Raises:
        UntrustedError: Other controls would be compared with a preset in a file of the user's.
    """
    if isinstance(value, list):
        for item in value:
            _leave_presets(item, where, source)
    if not isinstance(value, dict):
        return
    for key, item in value.items():
        inner = f"{where}.{key}" if key != "init_args" else where
        _leave_presets(item, inner, source)
        if key != "preset" or not isinstance(item, str) or _is_shipped(item):
            continue
        if where.rpartition(".")[2] != "controls":
            raise UntrustedError(f"{source}: {inner} names {shown(item)}, which is no preset of drumblender.")
        value[key] = None


def _is_shipped(path: str) -> bool:
    found = find_shipped(path)
    return found is not None and found.resolve().is_relative_to(shipped_dir("cfg").resolve())


class _Values:
    """Compares what a configuration gives with what the arguments of its classes take."""

    def __init__(self, source: str, trust: Trust) -> None:
        self.source, self.trust = source, trust

    def check_part(self, part: Config, where: str) -> None:
        """A mapping with ``class_path``: a class of ours, or a listed or trusted one, and its arguments."""
        found = self._class(part["class_path"], where)
        init_args = part.get("init_args")
        if init_args is not None:
            self._check_arguments(init_args, [found], where)

    def _class(self, path: str, where: str) -> type:
        module, _, name = path.rpartition(".")
        try:
            found = getattr(import_module(module), name)
        except ModuleNotFoundError as error:
            raise ValueError(
                f"{self.source}: {where} names {path}, but there is no module {error.name}: install it, or "
                "run this in the folder where it lies."
            ) from error
        except (ImportError, AttributeError) as error:
            raise ValueError(f"{self.source}: {where} names {path}, which does not exist here.") from error
        home = f"{getattr(found, '__module__', '')}.{getattr(found, '__qualname__', '')}"
        if not isinstance(found, type):
            raise UntrustedError(f"{self.source}: {where} names {path}, which is no class.")
        if path not in LISTED and not self.trust.allows(home):
            raise UntrustedError(f"{self.source}: {where} names {path}, which is {home}: {remedy(home)}.")
        return found

    def _check_arguments(self, given: Any, classes: Sequence[type], where: str) -> None:
        if not isinstance(given, dict):
            raise ValueError(f"{self.source}: the settings of {where} are no mapping.")
        hints = [argument_types(each) for each in classes]
        for name, value in given.items():
            # A dot or a plus would reach into other settings, an underscore into those of the parser.
            if not isinstance(name, str) or not name.isidentifier() or name.startswith("_"):
                raise UntrustedError(f"{self.source}: {where} has a setting called {shown(name)!r}.")
            known: list[Any] = [hint[name] for hint in hints if name in hint]
            if not known and any(self.trust.covers(each.__module__) for each in classes):
                known = [str]  # of an argument without a type; the class is the user's choice
            self._check(value, known, f"{where}.{name}")

    def _check(self, value: Any, hints: Sequence[Any], where: str) -> None:
        """``value`` against the types that are taken at its place."""
        options = [option for hint in hints for option in _options(hint)]
        if isinstance(value, dict) and "class_path" in value:
            self.check_part(value, where)
        elif isinstance(value, dict):
            self._check_mapping(value, options, where)
        elif isinstance(value, list):
            inner = [arg for option in options if _origin(option) in _SEQUENCES for arg in _arguments(option)]
            for item in value:
                self._check(item, inner, where)
        elif isinstance(value, str) and not any(_takes_text(option, value) for option in options):
            raise UntrustedError(
                f"{self.source}: {where} is the text {shown(value)!r} where a part or a number belongs."
            )

    def _check_mapping(self, value: Config, options: Sequence[Any], where: str) -> None:
        mappings = [option for option in options if _origin(option) in (dict, Mapping, typing.Mapping)]
        classes = [option for option in options if isinstance(option, type) and option not in _SIMPLE]
        if mappings or not classes:
            inner = [_arguments(option)[1] for option in mappings if len(_arguments(option)) == 2]
            for key, item in value.items():
                self._check(item, inner, f"{where}.{key}")
        else:  # the arguments of the class that the place is annotated with
            self._check_arguments(value, classes, where)


_SEQUENCES = (list, tuple, set, frozenset, collections.abc.Sequence, collections.abc.Iterable)
_SIMPLE = (str, int, float, bool, type(None), dict, list, tuple, object)


def argument_types(cls: type) -> dict[str, Any]:
    """The annotated type of each argument of a class, those that ``**kwargs`` hands on included."""
    found: dict[str, Any] = {}
    for base in cls.__mro__:
        if "__init__" in vars(base) and base is not object:
            try:
                hints = typing.get_type_hints(base.__init__)
            except (NameError, TypeError, AttributeError):
                hints = dict(getattr(base.__init__, "__annotations__", {}))
            for name, hint in hints.items():
                found.setdefault(name, hint)
    return found


def _options(hint: Any) -> list[Any]:
    """The members of a union, of any depth; a type that is none stands alone."""
    if isinstance(hint, typing.TypeAliasType if hasattr(typing, "TypeAliasType") else ()):
        return _options(hint.__value__)
    if typing.get_origin(hint) is typing.Annotated:
        return _options(typing.get_args(hint)[0])
    if typing.get_origin(hint) in (typing.Union, types.UnionType):
        return [option for member in typing.get_args(hint) for option in _options(member)]
    return [hint]


def _origin(hint: Any) -> Any:
    return typing.get_origin(hint) or hint


def _arguments(hint: Any) -> tuple[Any, ...]:
    return tuple(arg for arg in typing.get_args(hint) if arg is not Ellipsis)


def _takes_text(option: Any, text: str) -> bool:
    """Whether text is taken as it stands, never as the name of a class or of a file with one."""
    if typing.get_origin(option) is typing.Literal:
        return text in typing.get_args(option)
    if option is str or (isinstance(option, type) and issubclass(option, Enum | PurePath)):
        return True
    return option in (int, float) and _is_number(text)


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return len(text) < 40
