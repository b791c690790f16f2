"""Result tables of the drum models: ``python -m experiments.drums.tables LOGS OUTPUT``.

Reads ``LOGS/<model>_<subset>/version_0/metrics.csv``, as Lightning's CSVLogger writes them, and writes each
table as LaTeX, Markdown and CSV.
"""

import csv
import math
import sys
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

MODELS = (
    "modal",
    "all_parallel",
    "noise_parallel_transient_params",
    "noise_params",
    "noise_transient_params",
    "transient_params",
)
METRICS = {"mss": "test/loss", "lsd": "test/lsd", "flux_onset": "test/flux_onset"}
# Subsets by the word in the columns, with the ending of the runs' names.
TABLES = {
    "all": {"all": "all", "acoustic": "a", "electronic": "e"},
    "instrument": {"kick": "kick", "snare": "snare", "tom": "tom", "cymbals": "cymbals"},
}


@dataclass(frozen=True)
class Table:
    """Numbers with a model in each row."""

    rows: tuple[str, ...]
    columns: tuple[str, ...]
    values: tuple[tuple[float, ...], ...]

    def text(self) -> list[list[str]]:
        """The cells as they are printed."""
        return [[format_number(value) for value in row] for row in self.values]


def build_table(logs: Path, subsets: dict[str, str], models: Sequence[str] = MODELS) -> Table:
    """Read one table: for each subset and metric a column, for each model a row.

    Raises:
        FileNotFoundError: Runs are missing; it names them all.
        ValueError: A file lacks a column.
    """
    runs = {(model, subset): f"{model}_{subset}" for model in models for subset in subsets.values()}
    missing = [run for run in runs.values() if not metrics_file(logs, run).is_file()]
    if missing:
        raise FileNotFoundError(f"No version_0/metrics.csv in {logs} for: {', '.join(missing)}.")
    means = {key: read_means(metrics_file(logs, run), METRICS.values()) for key, run in runs.items()}
    return Table(
        rows=tuple(models),
        columns=tuple(f"{word}_{metric}" for word in subsets for metric in METRICS),
        values=tuple(
            tuple(means[model, subset][name] for subset in subsets.values() for name in METRICS.values())
            for model in models
        ),
    )


def metrics_file(logs: Path, run: str) -> Path:
    """Where the metrics of a run lie: in its first version, for a second one is another run."""
    return logs / run / "version_0" / "metrics.csv"


def read_means(path: Path, names: Iterable[str]) -> dict[str, float]:
    """The mean of each column over the rows that have a value there; NaN where none has."""
    with path.open(newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    means = {}
    for name in names:
        if rows and name not in rows[0]:
            raise ValueError(f"{path} has no column {name!r}; it has {', '.join(rows[0])}.")
        values = [float(row[name]) for row in rows if row[name]]
        means[name] = math.fsum(values) / len(values) if values else math.nan
    return means


def format_number(value: float) -> str:
    """Three decimals below 0.1, two between 0.1 and 10, one otherwise: about three digits each."""
    if value < 0.1:
        return f"{value:.3f}"
    if 0.1 < value < 10:
        return f"{value:.2f}"
    return f"{value:.1f}"


def to_latex(table: Table) -> str:
    """A tabular of the booktabs package."""
    lines = [
        rf"\begin{{tabular}}{{l{'r' * len(table.columns)}}}",
        r"\toprule",
        _latex_row(["", *table.columns]),
        r"\midrule",
        *(_latex_row([name, *cells]) for name, cells in zip(table.rows, table.text(), strict=True)),
        r"\bottomrule",
        r"\end{tabular}",
    ]
    return "\n".join(lines) + "\n"


def to_markdown(table: Table) -> str:
    """A table with a bar between cells."""
    rows = [["model", *table.columns], ["---", *("---:" for _ in table.columns)]]
    rows += [[name, *cells] for name, cells in zip(table.rows, table.text(), strict=True)]
    return "".join(f"| {' | '.join(row)} |\n" for row in rows)


def write_tables(logs: Path, output: Path, models: Sequence[str] = MODELS) -> list[Path]:
    """Write every table in all three formats; in CSV the numbers are not rounded.

    Returns:
        The files.
    """
    tables = {name: build_table(logs, subsets, models) for name, subsets in TABLES.items()}
    output.mkdir(parents=True, exist_ok=True)
    written = []
    for name, table in tables.items():
        for ending, text in (("tex", to_latex(table)), ("md", to_markdown(table))):
            written.append(output / f"{name}.{ending}")
            written[-1].write_text(text, encoding="utf-8")
        written.append(output / f"{name}.csv")
        with written[-1].open("w", newline="", encoding="utf-8") as file:
            writer = csv.writer(file)
            writer.writerow(["model", *table.columns])
            writer.writerows([row, *values] for row, values in zip(table.rows, table.values, strict=True))
    return written


def _latex_row(cells: Sequence[str]) -> str:
    return " & ".join(cell.replace("_", r"\_") for cell in cells) + r" \\"


if __name__ == "__main__":
    if len(sys.argv) != 3:
        sys.exit("usage: python -m experiments.drums.tables LOGS OUTPUT")
    for file in write_tables(Path(sys.argv[1]), Path(sys.argv[2])):
        print(file)
