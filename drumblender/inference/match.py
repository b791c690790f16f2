"""`drumblender match`: fit a synth to one recording."""

import argparse
import logging
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch
from jsonargparse import ArgumentParser, Namespace
from torch import Tensor, nn

from drumblender.data.audio_io import BadAudioError, read_audio
from drumblender.data.preprocess import first_non_silent_sample
from drumblender.dsp.units import Range
from drumblender.inference.match_report import as_control, read_controls, write_report
from drumblender.inference.matching import Match, match
from drumblender.inference.search import Breeding
from drumblender.shipped import shipped_dir
from drumblender.synths.base import Synth
from drumblender.types import Controls

__all__ = ["Match", "command", "match"]

log = logging.getLogger(__name__)


def command(args: list[str]) -> int:
    """`drumblender match IN.wav --synth ... --output DIR`.

    Returns:
        Exit status: 0, or 130 after an interruption; then the best until there is written.
    """
    given = _parser().parse_args(["--loss", str(shipped_dir("cfg") / "losses" / "mrstft.yaml"), *args])
    path = Path(given.input)
    rate = _sample_rate(given, path)
    target = _heard(path, rate, given.seconds, given.keep_silence)
    if given.synth is None:
        raise ValueError("Which synth? Give one with --synth cfg/synths/NAME.yaml.")
    with torch.random.fork_rng():
        torch.manual_seed(given.seed)  # some synths draw their noise when they are made
        parts = _parser().instantiate(given)
    device = torch.device(given.device)
    found = match(
        target.to(device),
        parts.synth.to(device).eval(),
        parts.loss.to(device).eval(),
        given.method,
        renders=given.renders,
        restarts=given.restarts,
        lr=given.lr,
        breeding=Breeding(given.population, given.parents),
        patience=given.patience,
        min_delta=given.min_delta,
        seed=given.seed,
        frames={"": 32} | dict(_split(item, "--frames", _count, "") for item in given.frames),
        fixed=_placed(dict(_split(item, "--fix", _numbers) for item in given.fix), parts.synth, device),
        regions=dict(_split(item, "--range", _range) for item in given.range),
        init=None if given.init is None else _placed(read_controls(Path(given.init)), parts.synth, device),
        source=_source(given.source, target, rate, device),
        sample_rate=rate,
    )
    settings = {"synth": type(parts.synth).__name__, "loss": type(parts.loss).__name__}
    settings |= {"method": given.method, "sample_rate": rate, "num_samples": len(target)}
    settings |= {"seed": given.seed, "best_loss": found.loss}
    write_report(Path(given.output), found, target, rate, settings)
    sys.stdout.write(_summary(path, found, given) + "\n")
    return 130 if found.interrupted else 0


def _summary(path: Path, found: Match, given: Namespace) -> str:
    troubles = {"steps skipped": found.skipped, "renders without a finite loss": found.failed}
    said = "".join(f", {count} {what}" for what, count in troubles.items() if count)
    stopped = ", interrupted" if found.interrupted else ""
    return (
        f"{path.name}: loss {found.history[0].best:.4f} -> {found.loss:.4f} by {given.method} search, "
        f"{found.renders} renders in {found.seconds:.1f} s{said}{stopped}; wrote {given.output}/"
    )


def _parser() -> ArgumentParser:
    parser = ArgumentParser(
        prog="drumblender match",
        description="Fit a synth to one recording, without training. Writes match.wav, target.wav, "
        "controls.json (real units), loss.csv, loss.png and match.png.",
        exit_on_error=False,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add = parser.add_argument
    add("input", type=str, help="a sound file of any format, rate and channels (their mean is taken)")
    add("--output", type=str, required=True, help="folder to write to")
    add("--method", choices=["gradient", "genetic", "hybrid"], default="gradient", help="how to search")
    add("--renders", type=int, default=1000, help="budget: how many sounds to render at most")
    add("--restarts", type=int, default=4, help="starts of the gradient search, which run as one batch")
    add("--lr", type=float, default=0.1, help="learning rate of the gradient search, on logits")
    add("--population", type=int, default=20, help="candidates in a generation of the genetic search")
    add("--parents", type=int, default=10, help="how many of them survive")
    add("--patience", type=int, default=50, help="steps or generations without progress that end a search")
    add("--min-delta", type=float, default=1e-4, help="what counts as progress")
    add("--seed", type=int, default=0, help="of all draws")
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
        help="a control that is known: one number, or one for each of its parts",
    )
    add(
        "--range",
        action="append",
        default=[],
        metavar="NAME=LOW:HIGH[:log]",
        help="where to look for a control in a unit",
    )
    add("--init", type=str, default=None, help="a controls.json to start from")
    add("--source", type=str, default=None, help="what a synth that hears works on: a file, or `target`")
    add("--sample-rate", type=int, default=None, help="play and compare at this rate, not at the synth's")
    add("--seconds", type=float, default=None, help="use this much of the recording")
    add("--keep-silence", action="store_true", help="keep the silence before the sound")
    add("--device", type=str, default="cpu", help="where to run: cpu, cuda, mps")
    parser.add_subclass_arguments(
        Synth, "synth", help="the synth: a YAML file such as cfg/synths/harmonic.yaml"
    )
    parser.add_subclass_arguments(
        nn.Module, "loss", help="the loss: a YAML file (default: cfg/losses/mrstft.yaml)"
    )
    return parser


def _sample_rate(given: Namespace, path: Path) -> int:
    """The rate to work at, set wherever synth and loss want to know it.

    Raises:
        ValueError: Parts of the synth play at different rates, or the rate is out of reason.
    """
    if given.sample_rate is None:
        rates = {section[key] for section, key in _rates(given.synth) if section[key] is not None}
        if len(rates) > 1:
            raise ValueError(f"Parts of the synth play at {sorted(rates)} Hz; give --sample-rate.")
        rate = rates.pop() if rates else read_audio(path)[1]
    else:
        rate = given.sample_rate
        for section, key in _rates(given.synth):
            section[key] = rate
    if not 1000 <= rate <= 384_000:
        raise ValueError(f"A sample rate lies between 1000 and 384000, got {rate}.")
    for section, key in _rates(given.loss):
        section[key] = rate
    return rate


def _rates(config: Any) -> Iterator[tuple[Any, str]]:
    """Every place of a configuration that is called sample_rate."""
    if isinstance(config, Namespace | dict):
        values = vars(config) if isinstance(config, Namespace) else config
        for key, value in list(values.items()):
            if key == "sample_rate":
                yield values, key
            else:
                yield from _rates(value)
    elif isinstance(config, list):
        for value in config:
            yield from _rates(value)


def _heard(path: Path, rate: int, seconds: float | None, keep_silence: bool) -> Tensor:
    """The recording from its onset on."""
    if seconds is not None and not seconds > 0:
        raise ValueError(f"--seconds is above 0, got {seconds}.")
    audio, _ = read_audio(path, rate, channel="mean")
    start = first_non_silent_sample(audio)
    if start is None:
        raise BadAudioError(path, "is silent: there is nothing to match")
    audio = audio if keep_silence else audio[start:]
    return audio if seconds is None else audio[: max(1, round(seconds * rate))]


def _source(given: str | None, target: Tensor, rate: int, device: torch.device) -> Tensor | None:
    if given is None or given == "target":
        return None if given is None else target.to(device)
    audio, _ = read_audio(Path(given), rate, channel="mean")
    audio = audio[: len(target)]
    return nn.functional.pad(audio, (0, len(target) - len(audio))).to(device)


def _placed(controls: Controls, synth: Synth, device: torch.device) -> Controls:
    """On the device; one number is meant for all parts of its control, and for all frames it must have."""
    placed = {}
    for name, value in controls.items():
        size, frames = synth.control_sizes.get(name, value.shape[2]), synth.control_frames.get(name)
        value = value.expand(-1, -1, size) if value.shape[2] == 1 else value
        placed[name] = (value.expand(-1, frames, -1) if frames and value.shape[1] == 1 else value).to(device)
    return placed


def _split(item: str, option: str, read, unnamed: str | None = None) -> tuple[str, Any]:
    """``NAME=VALUE`` as a pair."""
    name, equals, value = str(item).rpartition("=")
    if not equals and unnamed is not None:
        name = unnamed
    elif not name:
        raise ValueError(f"{option} needs NAME=VALUE, got {item!r}.")
    try:
        return name, read(value)
    except ValueError as error:
        raise ValueError(f"{option} {item}: {error}") from error


def _count(text: str) -> int:
    count = int(text)
    if count < 1:
        raise ValueError("a control has 1 frame or more.")
    return count


def _numbers(text: str) -> Tensor:
    return as_control([float(part) for part in text.split(",")])


def _range(text: str) -> Range:
    low, _, rest = text.partition(":")
    high, colon, scale = rest.partition(":")
    if colon and scale != "log":
        raise ValueError("expected LOW:HIGH or LOW:HIGH:log.")
    return Range(float(low), float(high), scale == "log")
