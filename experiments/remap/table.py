"""The table of a remapping study: ``python -m experiments.remap.table RESULTS``.

Reads ``metrics_<algorithm>.csv``, a row for each run, and writes ``table`` as CSV, Markdown and LaTeX:
for each feature and algorithm the mean and sample standard deviation of the runs' test errors.
"""

import csv
import math
import statistics
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

COLUMNS = ("preset", "direct", "linear", "linear2048", "mlp", "mlp2048", "mlplrg", "mlplrg2048")
_SHORT = {"Loudness": "SPL", "SpectralCentroid": "SC", "SpectralFlatness": "SF", "TemporalCentroid": "TC"}


@dataclass(frozen=True)
class Table:
    """Means and deviations with a feature in each row."""

    rows: tuple[str, ...]
    columns: tuple[str, ...]
    mean: tuple[tuple[float, ...], ...]
    std: tuple[tuple[float, ...], ...]

    def text(self) -> list[list[str]]:
        """The cells as they are printed."""
        return [
            [cell(mean, std) for mean, std in zip(*both, strict=True)]
            for both in zip(self.mean, self.std, strict=True)
        ]

    def to_latex(self) -> str:
        """A table for booktabs; the cells are LaTeX already."""
        lines = [f"\\begin{{tabular}}{{{'l' * (len(self.columns) + 1)}}}", "\\toprule"]
        lines += [" & ".join(["size", *self.columns]) + " \\\\", "\\midrule"]
        lines += [
            " & ".join([row, *cells]) + " \\\\" for row, cells in zip(self.rows, self.text(), strict=True)
        ]
        return "\n".join([*lines, "\\bottomrule", "\\end{tabular}", ""])

    def to_markdown(self, caption: str = "") -> str:
        lines = [caption, ""] if caption else []
        lines += ["| " + " | ".join(["", *self.columns]) + " |", "|---" * (len(self.columns) + 1) + "|"]
        lines += [
            "| " + " | ".join([_plain(row), *(_plain(text) for text in cells)]) + " |"
            for row, cells in zip(self.rows, self.text(), strict=True)
        ]
        return "\n".join([*lines, ""])

    def write_csv(self, path: Path) -> None:
        with path.open("w", newline="") as file:
            writer = csv.writer(file)
            writer.writerow(["feature", "statistic", *self.columns])
            for row, mean, std in zip(self.rows, self.mean, self.std, strict=True):
                writer.writerow([_plain(row), "mean", *mean])
                writer.writerow([_plain(row), "std", *std])


def build_table(errors: Mapping[str, Sequence[Sequence[float]]], labels: Sequence[str]) -> Table:
    """Summarise runs.

    Args:
        errors: For each algorithm (and ``preset``), the test errors of its runs, a number for each label.
        labels: The features, as ``CascadingFrameExtractor`` names them.

    Raises:
        ValueError: An algorithm without runs, or with other features.
    """
    columns = [name for name in COLUMNS if name in errors] + [name for name in errors if name not in COLUMNS]
    for name in columns:
        if not errors[name] or any(len(run) != len(labels) for run in errors[name]):
            raise ValueError(f"{name}: a column needs runs of {len(labels)} features each.")
    by_feature = [[[run[i] for run in errors[name]] for name in columns] for i in range(len(labels))]
    return Table(
        tuple(row_name(label) for label in labels),
        tuple(columns),
        tuple(tuple(statistics.fmean(runs) for runs in row) for row in by_feature),
        tuple(tuple(map(_deviation, row)) for row in by_feature),
    )


def _deviation(runs: Sequence[float]) -> float:
    """The sample deviation; NaN of one run."""
    return statistics.stdev(runs) if len(runs) > 1 else math.nan


def cell(mean: float, std: float) -> str:
    """Three digits or so of the mean, two or so of the deviation, where there is one."""
    left = f"{mean:.1f}" if mean >= 10 else f"{mean:.3f}"
    if math.isnan(std):
        return f"${left}$"
    right = f"{std:.0f}" if std >= 10 else f"{std:.1f}"
    return f"${left} \\pm {right}$"


def row_name(label: str) -> str:
    """``SpectralCentroid_2_64_mean`` is ``$SC_S$``: sustain, because it does not start at frame 0."""
    name, start, *_ = label.split("_")
    if name not in _SHORT:
        return label
    part = "" if name == "TemporalCentroid" else "_T" if start == "0" else "_S"
    return f"${_SHORT[name]}{part}$"


def read_errors(folder: Path) -> tuple[dict[str, list[list[float]]], list[str]]:
    """Test errors by algorithm, and the features.

    Raises:
        FileNotFoundError: No ``metrics_<algorithm>.csv`` in the folder.
    """
    errors: dict[str, list[list[float]]] = {}
    labels: list[str] = []
    for path in sorted(folder.glob("metrics_*.csv")):
        with path.open(newline="") as file:
            rows = list(csv.DictReader(file))
        before = "test/preset_"
        names = [
            key.removeprefix("test/") for key in rows[0] if key.startswith("test/") and "preset_" not in key
        ]
        labels = [name for name in names if name != "loss"]
        algorithm = path.stem.removeprefix("metrics_")
        errors[algorithm] = [[float(row[f"test/{label}"]) for label in labels] for row in rows]
        if algorithm == "linear":
            errors["preset"] = [[float(row[before + label]) for label in labels] for row in rows]
    if not errors:
        raise FileNotFoundError(f"No metrics_<algorithm>.csv in {folder}: run the study first.")
    return errors, labels


def caption_of(folder: Path) -> str:
    """What the runs were: how many of each algorithm, of what, and for how long."""
    runs = []
    for path in sorted(folder.glob("metrics_*.csv")):
        with path.open(newline="") as file:
            rows = list(csv.DictReader(file))
        sizes = {kind: len({row[kind] for row in rows}) for kind in ("drum", "preset", "seed")}
        counts = [f"{size} {kind}{'s' * (size > 1)}" for kind, size in sizes.items()]
        unit = "epochs" if "epochs" in rows[0] else "iterations"
        name = path.stem.removeprefix("metrics_")
        runs.append(f"{name}: {len(rows)} runs ({', '.join(counts)}) of {rows[0][unit]} {unit}")
    start = "Mean and sample deviation, over runs, of the test error of each feature; less is better."
    return f"{start} {'; '.join(runs)}. The published schedule has 250 epochs and 1000 iterations."


def write_tables(folder: Path) -> Table:
    """Write the table of a folder of results in all three forms; the Markdown says what the runs were."""
    table = build_table(*read_errors(folder))
    table.write_csv(folder / "table.csv")
    (folder / "table.md").write_text(table.to_markdown(caption_of(folder)))
    (folder / "table.tex").write_text(table.to_latex())
    return table


def _plain(text: str) -> str:
    return text.strip("$").replace("\\pm", "±")


if __name__ == "__main__":
    print(write_tables(Path(sys.argv[1])).to_markdown())
