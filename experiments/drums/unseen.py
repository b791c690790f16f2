"""Train ``cfg/drums/small.yaml`` on some kits and measure it on others: one command.

    python -m experiments.drums.unseen DRUMS_FOLDER --output results/unseen

prepares the folder (a table ``SOURCES.csv`` with the columns file, kit and label), trains, tests, and writes
``unseen.md``: for each class of drum, MR-STFT / LSD / BLD, level and attack of the model and of all that
needs no training. What is prepared or trained already is not done again.
"""

import argparse
import csv
import math
import sys
from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path

from drumblender import cli, dataset_cli
from drumblender.console import exit_status

DATA = Path(__file__).parent / "config" / "kits.yaml"
CLASSES = ("kick", "tom", "snare", "perc", "hihat", "cymbal")
MEASURES = ("mrstft", "lsd_db", "bld_db")

Figures = dict[str, dict[str, dict[str, float]]]
"""By kind (``model`` or a baseline), then class (``all`` first), then measure."""


def figures_of(path: Path) -> Figures:
    """Means by class from the ``baselines_items.csv`` of a test, whose items are named ``..._CLASS_...``.

    Raises:
        ValueError: An item names no class.
    """
    values: dict[tuple[str, str, str], list[float]] = defaultdict(list)
    with path.open(newline="", encoding="utf-8") as file:
        for row in csv.DictReader(file):
            drum = class_of(row.pop("name"))
            kind = row.pop("kind")
            for measure, cell in row.items():
                for group in ("all", drum):
                    values[kind, group, measure].append(float(cell))
    found: Figures = {}
    for (kind, group, measure), cells in values.items():
        found.setdefault(kind, {}).setdefault(group, {})[measure] = math.fsum(cells) / len(cells)
    return found


def class_of(name: str) -> str:
    """The class that a path such as ``acoustic/kick/x.flac`` or its file name tells.

    >>> class_of("electronic_hihat_808")
    'hihat'
    """
    for part in name.replace("/", "_").split("_"):
        if part in CLASSES:
            return part
    raise ValueError(f"{name} names none of {', '.join(CLASSES)}.")


def to_markdown(found: Figures) -> str:
    """A row for each kind, best first; a column for each class, and the level (dB) and attack (ms) of all."""
    groups = [group for group in ("all", *CLASSES) if group in found["model"]]
    lines = [
        "| | " + " | ".join([*groups, "level", "attack"]) + " |",
        "|---" * (len(groups) + 3) + "|",
    ]
    for kind in sorted(found, key=lambda kind: found[kind]["all"]["mrstft"]):
        cells = [" / ".join(f"{found[kind][group][name]:.3g}" for name in MEASURES) for group in groups]
        cells += [f"{found[kind]['all'][name]:.2g}" for name in ("level_db", "attack_ms")]
        lines.append(f"| {kind} | " + " | ".join(cells) + " |")
    return "\n".join(lines) + "\n"


def run(raw_dir: Path, output: Path, overrides: Sequence[str] = ()) -> int:
    """Prepare, train, test, and write the table.

    Returns:
        The exit status of the step that failed, or 0.
    """
    data = [f"--data.data_dir={output / 'dataset'}", f"--data.raw_dir={raw_dir}"]
    logs = ["--trainer.logger=CSVLogger", f"--trainer.logger.save_dir={output}"]
    small = ["-c", "cfg/drums/small.yaml", "--data", str(DATA), *data, *overrides]
    best = output / "fit" / "version_0" / "checkpoints" / "best.ckpt"
    test = output / "test" / "version_0"
    table = test / "test" / "baselines_items.csv"
    named = {
        name: [f"--trainer.logger.name={name}", "--trainer.logger.version=0"] for name in ("fit", "test")
    }
    steps = (
        (output / "dataset" / "manifest.json", lambda: dataset_cli.main([str(DATA), *data, "--preprocess"])),
        (best, lambda: cli.run(["fit", *small, *logs, *named["fit"]])),
        (table, lambda: cli.run(["test", *small, *logs, *named["test"], "--ckpt_path", str(best)])),
    )
    for made, step in steps:
        if not made.is_file() and (status := step()):
            return status
    (output / "unseen.md").write_text(to_markdown(figures_of(table)))
    return 0


def main(args: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m experiments.drums.unseen", description=__doc__)
    parser.add_argument("raw_dir", type=Path, help="a folder of drums with SOURCES.csv")
    parser.add_argument("--output", type=Path, default=Path("results/unseen"), help="where all goes")
    given, overrides = parser.parse_known_args(args)
    status = run(given.raw_dir, given.output, overrides)
    if status == 0:
        print((given.output / "unseen.md").read_text())
    return status


if __name__ == "__main__":
    sys.exit(exit_status(main, program="experiments.drums.unseen"))
