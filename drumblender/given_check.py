"""What a command line names is looked at before torch is imported and a model loaded, which takes seconds."""

import os
import re
from argparse import Namespace
from pathlib import Path

from drumblender.atomic import PART
from drumblender.console import UsageError
from drumblender.shipped import no_such_checkpoint
from drumblender.yaml_check import check_yaml

_PARTS = ("--data", "--model", "--optimizer", "--lr_scheduler", "--synth", "--loss")  # may be files
_WRITTEN = {  # suffixes of the file that a verb writes
    **dict.fromkeys(("synth", "blend", "render", "remap", "transfer"), (".wav",)),
    "pitch": (".csv",),
    "export": (".pt", ".onnx"),
}
_ANSWERS = ("synth", "remap", "transfer", "pitch")  # a file with a file, a folder with a folder
_FOLDERS = ("match", "report", "audit")
_DEVICE = re.compile(r"(cpu|cuda|mps)(:\d+)?")


def check_given(verb: str, given: Namespace | list[str], *, trains: bool = False) -> None:
    """Tell what is wrong with the files and the device of a command line.

    Args:
        verb: Of the command line.
        given: Its options, parsed or not.
        trains: It is a verb of Lightning, which chooses files and device by itself.

    Raises:
        FileNotFoundError: A checkpoint, a configuration or a recording that is missing.
        UsageError: A configuration that is none, or a device that is not here.
        ValueError: An output that cannot be written, or is named as another kind of file.
    """
    pairs: list[tuple[str, str]] = []
    if not isinstance(given, Namespace):
        options = [part for arg in given for part in arg.split("=", 1)]
        pairs = list(zip(options, options[1:], strict=False))
    _check_inputs(given, pairs, trains=trains)
    if trains:
        return
    named = vars(given) if isinstance(given, Namespace) else {k.removeprefix("--"): v for k, v in pairs}
    if named.get("output") is not None:
        source = named.get("input")
        check_output(verb, Path(named["output"]), None if source is None else Path(source))
    if named.get("device") is not None:
        check_device(named["device"])


def check_output(verb: str, output: Path, source: Path | None = None) -> None:
    """Make sure that a verb can write what it is asked to, without writing it.

    Raises:
        ValueError: Another suffix than the verb writes, a folder in the place of a file or the other way
            round, or a place that cannot be written; names the output as it was given.

    Examples:
        >>> check_output("blend", Path("both.mp3"))
        Traceback (most recent call last):
        ValueError: Output is a WAV file, so both.mp3 should be both.wav.
    """
    suffixes = _WRITTEN.get(verb, ())
    folder = verb in _FOLDERS or (verb in _ANSWERS and source is not None and source.is_dir())
    into = output.is_dir() and verb in _ANSWERS
    if not folder and not into:
        if output.is_dir():
            raise ValueError(f"{output} is a folder: name the file in it.")
        if suffixes and output.suffix.lower() not in suffixes:
            kinds = " or ".join(suffix[1:].upper() for suffix in suffixes)
            right = " or ".join(str(output.with_suffix(suffix)) for suffix in suffixes)
            raise ValueError(f"Output is a {kinds} file, so {output} should be {right}.")
    place = output if folder or into else output.parent
    while not place.exists() and place != place.parent:
        place = place.parent
    if not place.is_dir():
        raise ValueError(f"{output} cannot be written: {place} is a file where a folder is needed.")
    aside = place / f".drumblender.{os.getpid()}{PART}"
    try:
        aside.touch()
        aside.unlink()
    except OSError as error:  # asking for permissions would not tell of file systems that only read
        raise ValueError(f"{output} cannot be written: {error.strerror} in {place.resolve()}.") from error


def check_device(name: str) -> None:
    """Make sure that a device is one, and here.

    Raises:
        UsageError: It is none, or there is none of that number.
    """
    if not _DEVICE.fullmatch(name):
        raise UsageError(f"--device is cpu, cuda, cuda:1 or mps, got {name!r}.")
    kind, _, number = name.partition(":")
    if kind == "cpu":
        return
    import torch  # takes seconds, and only who asks for another device waits for it here

    there = torch.cuda.device_count() if kind == "cuda" else int(torch.backends.mps.is_available())
    if int(number or 0) >= there:
        found = f"only {there} of that kind" if there else "none of that kind"
        raise UsageError(f"--device {name}: torch finds {found} here; without --device it runs on the CPU.")


def _check_inputs(given: Namespace | list[str], pairs: list[tuple[str, str]], *, trains: bool) -> None:
    """Whatever is to be read is there.

    Raises:
        FileNotFoundError: A checkpoint, a configuration or a recording that the command line names.
        UsageError: A configuration that it names.
    """
    if isinstance(given, Namespace):
        named = vars(given)
        config, checkpoint, source = (named.get(name) for name in ("config", "checkpoint", "input"))
        configs, checkpoints = [config] if config else [], [] if checkpoint is None else [checkpoint]
        sources = [path for path in (source, named.get("source")) if path is not None]
        played = [path for path in (named.get("controls"),) if path is not None]
        configs += [path for path in (named.get("synth"),) if path is not None]
    else:
        played = []
        configs = [value for name, value in pairs if name in ("-c", "--config")]
        configs += [value for name, value in pairs if name in _PARTS and value.endswith((".yaml", ".yml"))]
        checkpoints = [value for name, value in pairs if name == "--ckpt_path" and value.endswith(".ckpt")]
        first = given[:1] if given and not given[0].startswith("-") else []
        checkpoints += first if trains else []
        sources = [] if trains else first
    for path in configs:
        if not Path(path).exists():
            raise UsageError(f"No configuration {path}.")
        if not Path(path).is_file():
            raise UsageError(f"{path} is no regular file: a configuration is one.")
        try:
            check_yaml(Path(path))
        except ValueError as error:
            raise UsageError(str(error)) from error
    for path, what in [
        *((path, "checkpoint") for path in checkpoints),
        *((path, "controls") for path in played),
        *((path, "recording") for path in sources),
    ]:
        if not Path(path).exists():
            named = what == "checkpoint" and str(path).startswith("checkpoints/")
            raise FileNotFoundError(no_such_checkpoint(path) if named else f"No {what} {path}.")
        if not (Path(path).is_file() or (what == "recording" and Path(path).is_dir())):
            raise FileNotFoundError(f"{path} is no regular file: a {what} is one.")
