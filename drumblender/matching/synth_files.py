"""Synths as files name them: the shipped ones, and those in a controls.json, which may be a stranger's."""

import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from jsonargparse import ArgumentError, ArgumentParser, Namespace

from drumblender.config_check import checked_config
from drumblender.console import config_reason
from drumblender.dsp.limits import UNBUILDABLE, NothingHuge
from drumblender.shipped import name_shipped_parts, shipped_dir
from drumblender.synths.base import Synth
from drumblender.trust import Trust, listed_imports_only

_FOLDERS = {"--synth": "synths", "--loss": "losses"}
_BARE = re.compile(r"[\w-]+")  # no path, and no class of a package

AUTO = ("modal_noise", "harmonic_noise")
"""What ``--synth auto`` tries: files of ``cfg/synths``."""


def shipped_names(args: Sequence[str]) -> list[str]:
    """The options of `match`, with the file in the place of a bare name after ``--synth`` or ``--loss``.

    Raises:
        ValueError: A bare name that no shipped file has.

    >>> shipped_names(["in.wav", "--synth=harmonic"])[1].endswith("/cfg/synths/harmonic.yaml")
    True
    """
    found, option = [], ""
    for arg in args:
        before, _, value = arg.partition("=")
        folder = _FOLDERS.get(before if "=" in arg else option)
        name = value if "=" in arg else arg
        if folder is not None and name != "auto" and _BARE.fullmatch(name) and not Path(name).exists():
            files = {path.stem: path for path in (shipped_dir("cfg") / folder).glob("*.yaml")}
            if name not in files:
                known, given = ", ".join(sorted(files)), before if "=" in arg else option
                raise ValueError(f"{given} {name} is no file, no class, and none of {known}.")
            arg = f"{before}={files[name]}" if "=" in arg else str(files[name])
        found.append(arg)
        option = arg
    return found


def rates(config: Any) -> Iterator[tuple[Any, str]]:
    """Every place of a configuration that is called sample_rate, as a mapping and its key."""
    if isinstance(config, Namespace | dict):
        values = vars(config) if isinstance(config, Namespace) else config
        for key, value in list(values.items()):
            if key == "sample_rate":
                yield values, key
            else:
                yield from rates(value)
    elif isinstance(config, list):
        for value in config:
            yield from rates(value)


def synth_config(path: str | Path) -> Namespace:
    """The configuration of the user's own synth file: it may name any class."""
    return _parser().parse_args(["--synth", str(path)]).synth


def shipped_synths(sample_rate: int, names: Sequence[str] = AUTO) -> dict[str, Synth]:
    """Synths of ``cfg/synths`` by name, playing at a rate.

    >>> list(shipped_synths(16000))
    ['modal_noise', 'harmonic_noise']
    """
    return {
        name: build_synth(synth_config(shipped_dir("cfg") / "synths" / f"{name}.yaml"), sample_rate)
        for name in names
    }


def build_synth(config: Namespace, sample_rate: int | None = None) -> Synth:
    """Instantiate a configuration of the user's own, at its own rate or at another."""
    if sample_rate is not None:
        for section, key in rates(config):
            section[key] = sample_rate
    return _parser().instantiate(Namespace(synth=config)).synth.eval()


def synth_of_file(config: object, *, source: str, trust: Trust | None = None) -> Synth:
    """Instantiate the synth that a ``controls.json`` names; the file may come from a stranger.

    Args:
        config: ``{"class_path": ..., "init_args": {...}}`` as it was read.
        source: The file, for messages.
        trust: Modules of your own whose classes it may name.

    Raises:
        UntrustedError: It asks for what a stranger's file may not have; nothing was imported for it.
        ValueError: It names no synth, or does not fit the class that it names.

    >>> synth_of_file({"class_path": "os.system", "init_args": {}}, source="a.json")
    Traceback (most recent call last):
    drumblender.trust.UntrustedError: a.json: synth names os.system, which no checkpoint may run.
    """
    trust = trust or Trust()
    sections = checked_config({"synth": config}, source=source, trust=trust, names=("synth",))
    if not sections:
        raise ValueError(f"{source} names no synth: give one with --synth cfg/synths/NAME.yaml.")
    parser = _parser()
    with listed_imports_only(trust):
        try:
            parsed = parser.parse_object(sections)
        except ArgumentError as error:
            raise ValueError(f"{source}: {config_reason(error)}") from error
        try:
            with NothingHuge():
                return parser.instantiate(parsed).synth.eval()
        except (ValueError, *UNBUILDABLE) as error:
            reason = " ".join(str(error).split())[:150]
            raise ValueError(f"{source}: its synth cannot be built as it describes it: {reason}") from error


def _parser() -> ArgumentParser:
    name_shipped_parts()
    parser = ArgumentParser(exit_on_error=False)
    parser.add_subclass_arguments(Synth, "synth")
    return parser
