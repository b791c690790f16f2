"""`drumblender audit`: where the gradients of losses point, as a table, CSV and pictures."""

import argparse
import csv
import math
import time
from collections.abc import Sequence
from pathlib import Path

import torch
from jsonargparse import ArgumentError, ArgumentParser
from torch import Tensor, nn

from drumblender.atomic import atomic_write
from drumblender.console import UsageError, config_reason, show_rows
from drumblender.evaluation.audit import (
    NEAR_OCTAVES,
    Knob,
    PairAudit,
    audit_pairs,
    gradient_accuracy,
    synth_knob,
)
from drumblender.evaluation.audit_cases import cases
from drumblender.shipped import name_shipped_parts
from drumblender.synths.base import Synth
from drumblender.trust import trusted

PAIR_STEPS = 12
Row = dict[str, object]


def command(given: argparse.Namespace) -> int:
    """`drumblender audit LOSS [LOSS ...]`; see :func:`drumblender.options.judging.audit`."""
    if min(given.samples, given.steps) < 2:
        raise UsageError("--samples and --steps must be at least 2.")
    trusted(given.trust)  # so that modules beside the user are found
    losses = {Path(path).stem: read_part(path, nn.Module) for path in given.losses}
    for path, loss in zip(given.losses, losses.values(), strict=False):
        if isinstance(loss, Synth):
            raise UsageError(f"{path} is a synth, {type(loss).__name__}, where a loss is needed.")
    if given.synth is None:
        if given.control or given.low is not None or given.high is not None:
            raise UsageError("--control, --low and --high turn a control of a --synth: give that as well.")
        rows = [case_row(name, loss, given.samples, given.steps) for name, loss in losses.items()]
    else:
        if not given.control or given.low is None or given.high is None:
            raise UsageError("--synth needs --control NAME with its --low and --high.")
        knob = knob_of(read_part(given.synth, Synth), given)
        rows = [pair_row(name, loss, knob, given.output) for name, loss in losses.items()]
    show_rows([(str(row["loss"]), _line(row)) for row in rows])
    if given.output is not None:
        write_rows(rows, given.output / "audit.csv")
    return 0


def read_part(path: str, kind: type) -> nn.Module:
    """Build what a configuration of the user's own names.

    Raises:
        UsageError: No such file, or it does not name such a part.
    """
    if not Path(path).is_file():
        raise UsageError(f"No configuration {path}.")
    name_shipped_parts()
    parser = ArgumentParser(exit_on_error=False)
    parser.add_subclass_arguments(kind, "part", required=True)
    try:
        return parser.instantiate(parser.parse_args(["--part", path])).part
    except ArgumentError as error:
        raise UsageError(f"{path}: {config_reason(error)}") from error


def knob_of(synth: Synth, given: argparse.Namespace) -> Knob:
    """The control that is turned; all others stay in the middle of their range."""
    held = {name: _middle(synth, name) for name in synth.control_sizes}
    log = not given.linear
    return synth_knob(synth, held, given.control, given.low, given.high, num_samples=given.samples, log=log)


def _middle(synth: Synth, name: str) -> Tensor:
    value = 220.0 if name.endswith("_hz") else 0.5
    return torch.full((1, synth.control_frames.get(name, 1), synth.control_sizes[name]), value)


def case_row(name: str, loss: nn.Module, num_samples: int, steps: int) -> Row:
    """Coarse and fine accuracy on the four cases, in percent, and the CPU seconds that they took."""
    row: Row = {"loss": name}
    began = time.process_time()
    for kind, case in cases(num_samples).items():
        found = gradient_accuracy(loss, case.knob, case.target(), case.f0_hz, steps=steps)
        row |= {f"{kind}, {which}": round(100 * share, 1) for which, share in found.items()}
    return row | {"cpu_s": round(time.process_time() - began, 1)}


def pair_row(name: str, loss: nn.Module, knob: Knob, folder: Path | None) -> Row:
    """Shares of right gradients over all pairs, near and far; with a folder, also a picture of the pairs."""
    some_are_near = math.ceil(knob.width / NEAR_OCTAVES) + 2
    pairs = audit_pairs(loss, knob, max(PAIR_STEPS, some_are_near))
    if folder is not None:
        draw_pairs(pairs, knob, folder / f"{name}.png", name)
    return {"loss": name} | {
        f"{which}, %": round(100 * pairs.share(which), 1) for which in ("all", "near", "far")
    }


def draw_pairs(pairs: PairAudit, knob: Knob, path: Path, title: str) -> None:
    """Write which pairs of target and start are right as a heat map (PNG)."""
    from matplotlib.figure import Figure  # slow to import

    values = [f"{value:.4g}" for value in knob.to_value(pairs.places).tolist()]
    figure = Figure(figsize=(6, 5.5), layout="constrained")
    axes = figure.subplots()
    axes.imshow(pairs.right.float().numpy(), cmap="RdYlGn", vmin=0, vmax=1, origin="lower")
    axes.set(
        xlabel="start", ylabel="target", title=f"{title}: {100 * pairs.share():.0f} % point at the target"
    )
    axes.set_xticks(range(len(values)), values, rotation=90)
    axes.set_yticks(range(len(values)), values)
    with atomic_write(path) as aside:
        figure.savefig(aside, format="png")


def write_rows(rows: Sequence[Row], path: Path) -> None:
    """Write rows of one kind as CSV."""
    with atomic_write(path) as aside, aside.open("w", newline="", encoding="utf-8") as file:
        table = csv.DictWriter(file, list(rows[0]))
        table.writeheader()
        table.writerows(rows)


def _line(row: Row) -> str:
    return "  ".join(f"{name} {value}" for name, value in row.items() if name != "loss")
