"""A command line and the options that several verbs have."""

import argparse
from pathlib import Path
from typing import NoReturn

from drumblender.console import UsageError


class Parser(argparse.ArgumentParser):
    """Tells what is wrong with a command line in one line."""

    def __init__(self, verb: str, description: str) -> None:
        super().__init__(prog=f"drumblender {verb}", description=description)

    def error(self, message: str) -> NoReturn:
        raise UsageError(f"{message}. See {self.prog} --help.")

    def add_checkpoint(self, fit: str = "drumblender fit") -> None:
        """The model to use; ``fit`` trains such a one."""
        self.add_argument("checkpoint", help=f"a checkpoint of `{fit}`")

    def add_wav(self, or_folder: bool = False) -> None:
        """Where the sound goes."""
        place = "the WAV file to write (32-bit float)" + ", or a folder" * or_folder
        self.add_argument("output", type=Path, help=place)

    def add_seed(self) -> None:
        """Of a sound that has noise."""
        self.add_argument("--seed", type=seed, default=0, help="of the noise in the sound (default: 0)")

    def add_device(self) -> None:
        """Where to compute."""
        self.add_argument("--device", default="cpu", help="where to run: cpu, cuda, mps (default: cpu)")

    def add_trust(self) -> None:
        """Classes beside those of drumblender."""
        self.add_argument(
            "--trust",
            metavar="MODULE",
            action="append",
            default=[],
            help="a module of your own, such as my_parts, whose classes the checkpoint may name",
        )


def count(text: str) -> int:
    """A whole number that an option wants."""
    if not text.isdecimal():
        raise argparse.ArgumentTypeError(f"a whole number of 0 or more is needed, got {text!r}")
    return int(text)


def seed(text: str) -> int:
    """A seed of noise, as large as torch takes it."""
    try:
        value = int(text)
    except ValueError:
        raise argparse.ArgumentTypeError(f"a whole number is needed, got {text!r}") from None
    if not -(2**63) <= value < 2**64:
        raise argparse.ArgumentTypeError(f"goes from -2^63 to 2^64 - 1, got {value}")
    return value
