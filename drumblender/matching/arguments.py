"""The options of `drumblender match`."""

import argparse
from collections.abc import Callable
from typing import Any

from jsonargparse import ArgumentParser
from torch import nn

from drumblender.shipped import name_shipped_parts
from drumblender.synths.base import Synth


def match_parser() -> ArgumentParser:
    """Of the command line; the synth and the loss bring options of their own."""
    name_shipped_parts()
    parser = ArgumentParser(
        prog="drumblender match",
        description="Fit a synth to one recording, or to each of a folder, without training. Writes "
        "match.wav, target.wav, a_target.wav and b_match.wav (at one level), controls.json (a preset in "
        "real units, for `drumblender render` and --start), loss.csv, loss.png and match.png; of a folder, "
        "summary.csv.",
        exit_on_error=False,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add = parser.add_argument
    add("input", type=str, help="a sound file of any format, rate and channels, or a folder of them")
    add("--output", type=str, required=True, help="folder to write to")
    _add_search(add)
    _add_controls(add)
    _add_sound(add)
    parser.add_subclass_arguments(
        Synth,
        "synth",
        help="the synth: a YAML file or the name of one in cfg/synths, or auto to try those that suit",
    )
    parser.add_subclass_arguments(
        nn.Module, "loss", help="the loss: a YAML file (default: cfg/losses/mrstft.yaml)"
    )
    return parser


def _add_search(add: Callable[..., Any]) -> None:
    """How to search, and for how long."""
    add(
        "--method",
        choices=["gradient", "genetic", "hybrid", "newton"],
        default="gradient",
        help="how to search",
    )
    add("--renders", type=int, default=300, help="budget: how many sounds to render at most")
    add("--restarts", type=int, default=1, help="starts of the gradient search, which share the budget")
    add("--lr", type=float, default=0.1, help="learning rate of the gradient search, on logits")
    add("--population", type=int, default=20, help="candidates in a generation of the genetic search")
    add("--parents", type=int, default=10, help="how many of them survive")
    add("--patience", type=int, default=50, help="steps or generations without progress that end a search")
    add("--min-delta", type=float, default=1e-4, help="what counts as progress")
    add("--seed", type=int, default=0, help="of all draws")


def _add_controls(add: Callable[..., Any]) -> None:
    """What is known of the controls."""
    add(
        "--frames",
        action="append",
        default=[],
        metavar="N|NAME=N",
        help="frames of controls that may have any number, or of one of them (default: 32; pitch: 1)",
    )
    add(
        "--fix",
        action="append",
        default=[],
        metavar="NAME=VALUE[,...]",
        help="a control that is known, as in controls.json: a number, or one a part; again for each control",
    )
    add(
        "--range",
        action="append",
        default=[],
        metavar="NAME=LOW:HIGH[:log]",
        help="where to look for a control, in the names and units of controls.json; again for each control",
    )
    add("--start", "--init", type=str, default=None, help="a controls.json or preset to start from")
    add("--random-start", action="store_true", help="start from draws, not from an analysis of the sound")


def _add_sound(add: Callable[..., Any]) -> None:
    """What is heard of the recording, and what becomes of the result."""
    add("--keep-level", action="store_true", help="leave the level as the search found it")
    add(
        "--source",
        type=str,
        default=None,
        help="what a synth that hears works on: a file (default: the target)",
    )
    add("--sample-rate", type=int, default=None, help="play and compare at this rate, not at the synth's")
    add("--seconds", type=float, default=None, help="use this much of the recording")
    add("--keep-silence", action="store_true", help="keep the silence before the sound")
    add("--device", type=str, default="cpu", help="where to run: cpu, cuda, mps")
