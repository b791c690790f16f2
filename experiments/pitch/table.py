"""The table of Torres et al. (ICASSP 2024): ``python -m experiments.pitch.table TESTS.csv OUTPUT``.

``TESTS.csv`` has a row for each tested run: the columns of ``drumblender test``, behind ``test/`` (or
``test_metrics/``, as the original has them), and ``name``, ``seed`` and ``run_id``. Writes ``runs.csv`` and
``table.csv`` anew.
"""

import csv
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from drumblender.console import exit_status

# Of the table's columns: name of the metric, and what it is multiplied by. OD is estimate less truth there.
METRICS = {
    "LSD": ("log_spectral_distance", 1),
    "MSE": ("mse", 1),
    "MSS": ("mss", 1),
    "OD": ("octave_difference", -1),
    "RPA": ("raw_pitch_accuracy", 100),
    "RCA": ("raw_chroma_accuracy", 100),
}
COLUMNS = ("LSD", "RPA", "RCA", "OD")
_BEST = {"LSD": min, "RPA": max, "RCA": max}  # of an octave difference none is the best


@dataclass(frozen=True)
class Run:
    """A tested run: its configuration without the seed, and its metrics with two decimals."""

    name: str
    seed: str
    run_id: str
    values: dict[str, float]


def read_runs(path: Path, by_seed: bool = False) -> dict[str, Run]:
    """The runs by their id, or as published by name and seed, where the later of two takes the place.

    Raises:
        ValueError: A column is missing.
    """
    with path.open(newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    runs = {}
    for row in rows:
        values = {column: _value(row, *source, path=path) for column, source in METRICS.items()}
        run = Run(row["name"].removesuffix(f"-{row['seed']}"), row["seed"], row["run_id"], values)
        runs[f"{run.name}_{run.seed}" if by_seed else run.run_id] = run
    return runs


def _value(row: dict[str, str], metric: str, factor: float, path: Path) -> float:
    for key in (f"test/{metric}", f"test_metrics/{metric}"):
        if key in row:
            value = float(row[key])
            return float(np.round(value * factor, 2)) if factor > 0 else -float(np.round(value, 2))
    raise ValueError(f"{path} has no column test/{metric}; it has {', '.join(row)}.")


def build_table(runs: dict[str, Run]) -> dict[str, list[str]]:
    """Cells of each configuration: mean and sample deviation of each column over its runs, then medians.

    The best of a column is bold, the second best emphasised, by numbers that are not rounded.
    """
    names = sorted({run.name for run in runs.values()})
    table: dict[str, list[str]] = {name: [] for name in names}
    for with_deviation in (True, False):
        for column in COLUMNS:
            groups = [[run.values[column] for run in runs.values() if run.name == name] for name in names]
            middles = [float(np.mean(group) if with_deviation else np.median(group)) for group in groups]
            for name, group, middle in zip(names, groups, middles, strict=True):
                text = str(np.round(middle, 1))
                if with_deviation:
                    text += f" ({np.round(np.std(group, ddof=1), 1) if len(group) > 1 else np.nan})"
                table[name].append(_marked(text, middle, middles, column))
    return table


def _marked(text: str, value: float, values: Sequence[float], column: str) -> str:
    if column not in _BEST:
        return text
    ranked = sorted(values, reverse=_BEST[column] is max)
    if value == ranked[0]:
        return rf"\textbf{{{text}}}"
    return rf"\emph{{{text}}}" if value == ranked[1] else text


def write_tables(runs: dict[str, Run], output: Path) -> None:
    """Write the runs, and the table with two rows of headings."""
    output.mkdir(parents=True, exist_ok=True)
    rows = [["", *METRICS, "name", "seed", "run_id"]]
    rows += [[key, *run.values.values(), run.name, run.seed, run.run_id] for key, run in runs.items()]
    table = [["", *["Mean (STD)"] * len(COLUMNS), *["Median"] * len(COLUMNS)], ["", *COLUMNS, *COLUMNS]]
    table.append(["name", *[""] * 2 * len(COLUMNS)])
    table += [[name, *cells] for name, cells in build_table(runs).items()]
    for name, content in (("runs", rows), ("table", table)):
        with (output / f"{name}.csv").open("w", newline="", encoding="utf-8") as file:
            csv.writer(file, lineterminator="\n").writerows(content)


def main(args: Sequence[str]) -> int:
    """Reads and writes; ``--by-seed`` merges runs of one name and seed, as the published table did."""
    by_seed = "--by-seed" in args
    files = [arg for arg in args if arg != "--by-seed"]
    if len(files) != 2:
        raise ValueError("usage: python -m experiments.pitch.table TESTS.csv OUTPUT [--by-seed]")
    write_tables(read_runs(Path(files[0]), by_seed), Path(files[1]))
    return 0


if __name__ == "__main__":
    sys.exit(exit_status(lambda: main(sys.argv[1:]), program="experiments.pitch.table"))
