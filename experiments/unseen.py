"""Prepare, train and test, each only once, and tell the model's figures beside those of its baselines."""

import csv
import json
import math
from collections import defaultdict
from collections.abc import Callable, Sequence
from pathlib import Path

from drumblender import cli, dataset_cli

Figures = dict[str, dict[str, dict[str, float]]]
"""By kind (``model`` or a baseline), then group (``all`` first), then measure."""


def run(model: Sequence[str], data: Path, settings: Sequence[str], output: Path) -> int:
    """Prepare, train and test, with ``csv`` logs under ``output``; what is there already is kept.

    Args:
        model: The configurations of the model, each after ``-c``, and its settings.
        data: The configuration of the data; prepared into ``output/dataset``.
        settings: More of ``--data.``, for all steps.
        output: A folder.

    Returns:
        The exit status of the step that failed, or 0.
    """
    settings = [f"--data.data_dir={output / 'dataset'}", *settings]
    logs = ["--trainer.logger=CSVLogger", f"--trainer.logger.save_dir={output}", "--trainer.logger.version=0"]
    common = [*model, "--data", str(data), *settings, *logs]
    best = output / "fit" / "version_0" / "checkpoints" / "best.ckpt"
    steps = (
        (
            output / "dataset" / "manifest.json",
            lambda: dataset_cli.main([str(data), *settings, "--preprocess"]),
        ),
        (best, lambda: cli.run(["fit", *common, "--trainer.logger.name=fit"])),
        (
            items_of(output),
            lambda: cli.run(["test", *common, "--trainer.logger.name=test", "--ckpt_path", str(best)]),
        ),
    )
    for made, step in steps:
        if not made.is_file() and (status := step()):
            return status
    return 0


def items_of(output: Path) -> Path:
    """The table of every item and kind, from the test of :func:`run`."""
    return output / "test" / "version_0" / "test" / "baselines_items.csv"


def figures_of(path: Path, group_of: Callable[[str], str | None] = lambda name: None) -> Figures:
    """Means of the items of a table, over all and over each group that ``group_of`` tells from a name."""
    values: dict[tuple[str, str, str], list[float]] = defaultdict(list)
    with path.open(newline="", encoding="utf-8") as file:
        for row in csv.DictReader(file):
            group, kind = group_of(row.pop("name")), row.pop("kind")
            for measure, cell in row.items():
                for each in ("all", group):
                    if each is not None:
                        values[kind, each, measure].append(float(cell))
    found: Figures = {}
    for (kind, each, measure), cells in values.items():
        found.setdefault(kind, {}).setdefault(each, {})[measure] = math.fsum(cells) / len(cells)
    return found


def to_markdown(found: Figures, groups: Sequence[str], joined: Sequence[str], of_all: Sequence[str]) -> str:
    """A row for each kind, best first.

    Args:
        found: The figures.
        groups: Columns, where the model has them.
        joined: Measures of every column, with strokes between; the first decides the order.
        of_all: Measures that get a column of their own, over all items.
    """
    groups = [group for group in groups if group in found["model"]]
    lines = ["| | " + " | ".join([*groups, *of_all]) + " |", "|---" * (len(groups) + len(of_all) + 1) + "|"]
    for kind in sorted(found, key=lambda kind: found[kind]["all"][joined[0]]):
        cells = [" / ".join(f"{found[kind][group][name]:.3g}" for name in joined) for group in groups]
        cells += [f"{found[kind]['all'][name]:.2g}" for name in of_all]
        lines.append(f"| {kind} | " + " | ".join(cells) + " |")
    return "\n".join(lines) + "\n"


def write(output: Path, found: Figures, table: str) -> None:
    """``unseen.md`` and, with all digits, ``unseen.json``."""
    (output / "unseen.md").write_text(table, encoding="utf-8")
    (output / "unseen.json").write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")
