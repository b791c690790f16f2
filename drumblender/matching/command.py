"""`drumblender match`: fit a synth to one recording."""

import argparse
import sys
from pathlib import Path

import torch
from jsonargparse import ArgumentParser, Namespace
from torch import nn

from drumblender.matching.match import Match, match
from drumblender.matching.search import Breeding
from drumblender.shipped import shipped_dir
from drumblender.synths.base import Synth

__all__ = ["Match", "command", "match"]


def command(args: list[str]) -> int:
    """`drumblender match IN.wav --synth ... --output DIR`.

    Returns:
        Exit status: 0, or 130 after an interruption; then the best until there is written.
    """
    given = _parser().parse_args(["--loss", str(shipped_dir("cfg") / "losses" / "mrstft.yaml"), *args])
    # Data modules import Lightning, which takes seconds that --help need not wait for.
    from drumblender.matching import inputs
    from drumblender.matching.report import read_controls, write_report

    if given.synth is None:
        raise ValueError("Which synth? Give one with --synth cfg/synths/NAME.yaml.")
    path = Path(given.input)
    rate = inputs.work_rate(given, path)
    target = inputs.heard(path, rate, given.seconds, given.keep_silence)
    counts = dict(inputs.split_option("--frames", item, inputs.frame_count, "") for item in given.frames)
    fixed = dict(inputs.split_option("--fix", item, inputs.held_numbers) for item in given.fix)
    regions = dict(inputs.split_option("--range", item, inputs.search_range) for item in given.range)
    init = None if given.init is None else read_controls(Path(given.init))
    with torch.random.fork_rng():
        torch.manual_seed(given.seed)  # some synths draw their noise when they are made
        parts = _parser().instantiate(given)
    source = inputs.given_source(
        given.source or ("target" if parts.synth.needs_source else None), target, rate
    )
    device = torch.device(given.device)
    Path(given.output).mkdir(parents=True, exist_ok=True)  # before the search, not after
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
        frames={"": 32} | counts,
        fixed=inputs.placed_controls(fixed, parts.synth, device),
        regions=regions,
        init=None if init is None else inputs.placed_controls(init, parts.synth, device),
        source=None if source is None else source.to(device),
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
    parser.add_subclass_arguments(
        Synth, "synth", help="the synth: a YAML file such as cfg/synths/harmonic.yaml"
    )
    parser.add_subclass_arguments(
        nn.Module, "loss", help="the loss: a YAML file (default: cfg/losses/mrstft.yaml)"
    )
    return parser
