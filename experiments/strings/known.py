"""How near the coefficients of random strings are found: one command.

    python -m experiments.strings.known [CHECKPOINT ...] --output experiments/strings/results

measures the test strings of ``cfg/data/synthetic_strings.yaml``, none of which trains, and writes
``known.md`` and ``known.json``: the loss of supervised training, which is the mean distance of the loop
coefficients and that of the excitation's, for each checkpoint and beside what learns nothing. ``mean`` gives
every string the mean coefficients of all training strings, frame by frame; ``own mean`` is told the
mean over time of each string's own, which nobody knows.
"""

import argparse
import sys
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from drumblender.atomic import write_json
from drumblender.checkpoints import load_checkpoint
from drumblender.console import exit_status
from drumblender.data import SyntheticStringsDataModule
from drumblender.features import Analysis, StringDecay, StringLoop
from drumblender.synths import StringSynth
from drumblender.tasks import StringTask
from experiments.strings.inference import load_part

DATA = "cfg/data/synthetic_strings.yaml"
NAMES = ("loop_coefficients", "excitation_coefficients")
_MEAN_BATCHES = 50

Found = dict[str, Tensor]


def measured(analysis: Analysis) -> Callable[[dict[str, Any]], Found]:
    """What an analysis finds, as a published string would play it."""
    synth = StringSynth(min_f0_hz=72.41)

    def find(batch: dict[str, Any]) -> Found:
        units = synth.coefficients(analysis(batch).controls | {"f0_hz": batch["f0_hz"][..., None]})
        loop = units["loop_coefficients"] * units["loop_gain"]
        return dict(zip(NAMES, (loop, units["excitation_coefficients"]), strict=True))

    return find


def trained(checkpoint: str) -> Callable[[dict[str, Any]], Found]:
    task = load_checkpoint(checkpoint).task
    if not isinstance(task, StringTask):
        raise ValueError(f"{checkpoint} holds a {type(task).__name__}, which plays no string.")
    return lambda batch: task.coefficients(task.voices["string"].controls(batch))


def means(batches: Iterable[dict[str, Any]]) -> Found:
    """Of the coefficients at each frame."""
    kept = [[batch[name] for name in NAMES] for batch in batches]
    return {
        name: torch.cat(values).mean(dim=0)
        for name, values in zip(NAMES, zip(*kept, strict=True), strict=True)
    }


@torch.no_grad()
def distances(
    batches: list[dict[str, Any]], finders: dict[str, Callable[[dict[str, Any]], Found]]
) -> dict[str, dict[str, float]]:
    """Mean distance of both kinds of coefficients and their sum, by finder."""
    table = {}
    for label, find in finders.items():
        pairs = [(find(batch), batch) for batch in batches]
        row = {
            name: torch.cat([(found[name] - known[name]).abs() for found, known in pairs]).mean().item()
            for name in NAMES
        }
        table[label] = row | {"loss": sum(row.values())}
    return table


def to_markdown(table: dict[str, dict[str, float]]) -> str:
    lines = ["| | loop | excitation | loss | of the mean's |", "|---|---|---|---|---|"]
    for label, row in table.items():
        figures = " | ".join(f"{row[name]:.4f}" for name in (*NAMES, "loss"))
        lines.append(f"| {label} | {figures} | {row['loss'] / table['mean']['loss']:.0%} |")
    return "\n".join(lines) + "\n"


def main(args: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m experiments.strings.known", description=__doc__)
    parser.add_argument("checkpoints", nargs="*", metavar="CHECKPOINT")
    parser.add_argument("--output", type=Path, default=Path("outputs"))
    parser.add_argument("--count", type=int, default=200, help="strings to test")
    given = parser.parse_args(args)
    data: SyntheticStringsDataModule = load_part(
        SyntheticStringsDataModule, DATA, {"val_items": given.count, "batches_per_epoch": _MEAN_BATCHES}
    )
    data.setup("fit")
    mean = means(data.train_dataloader())
    data.setup("test")
    batches = list(data.test_dataloader())
    finders: dict[str, Callable[[dict[str, Any]], Found]] = {
        "mean": lambda batch: mean,
        "own mean": lambda batch: {name: batch[name].mean(dim=1, keepdim=True) for name in NAMES},
        "StringDecay": measured(StringDecay(low_gain=0.0)),
        "StringLoop": measured(StringLoop(excitation_gain=0.998)),
    }
    finders |= {Path(checkpoint).stem: trained(checkpoint) for checkpoint in given.checkpoints}
    table = distances(batches, finders)
    given.output.mkdir(parents=True, exist_ok=True)
    write_json(given.output / "known.json", table)
    (given.output / "known.md").write_text(to_markdown(table))
    print(to_markdown(table), end="")
    return 0


if __name__ == "__main__":
    sys.exit(exit_status(main, program="experiments.strings.known"))
