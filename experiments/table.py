"""The table of a study: ``python -m experiments.table outputs/studies/NAME``.

Reads what ``experiments.run`` left and writes ``table.csv``, ``table.md`` and ``table.tex``: for each row and
metric the mean and sample deviation over seeds, a 95 % confidence interval of the mean (Student's t), and
whether the row differs from the best one (Wilcoxon's signed ranks over the items that both were tested on,
each averaged over seeds; Holm's correction over the rows).
"""

import csv
import math
import statistics
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from scipy import stats

from drumblender.atomic import read_json
from drumblender.console import exit_status
from drumblender.evaluation.runs import read_metrics

CONFIDENCE = 0.95
SIGNIFICANT = 0.05


@dataclass(frozen=True)
class Cell:
    """One metric of one row.

    Attributes:
        mean: Over seeds.
        std: Sample deviation; NaN of one seed.
        low: Lower end of the confidence interval; NaN of one seed.
        high: Its upper end.
        seeds: How many.
        p: Corrected p-value of the difference to the best row; None for that row, or where no items pair.
    """

    mean: float
    std: float
    low: float
    high: float
    seeds: int
    p: float | None = None

    def text(self) -> str:
        spread = "" if math.isnan(self.std) else f" ± {self.std:.2g}"
        star = "*" if self.p is not None and self.p < SIGNIFICANT else ""
        return f"{self.mean:.4g}{spread}{star}"


@dataclass(frozen=True)
class Table:
    """A row for each config, a column for each metric."""

    rows: dict[str, dict[str, Cell]]
    missing: list[str]

    @property
    def metrics(self) -> list[str]:
        return list(dict.fromkeys(name for row in self.rows.values() for name in row))

    def texts(self) -> list[list[str]]:
        return [
            [name, *(row[metric].text() if metric in row else "–" for metric in self.metrics)]
            for name, row in self.rows.items()
        ]

    def caption(self) -> str:
        seeds = sorted({cell.seeds for row in self.rows.values() for cell in row.values()})
        text = f"Mean ± sample deviation over {' or '.join(map(str, seeds))} seeds; less is better. "
        text += "* differs from the best row (Wilcoxon over items, Holm, p < 0.05)."
        return text + (f" Missing: {'; '.join(self.missing)}." if self.missing else "")


def build_table(folder: Path) -> Table:
    """Read a study.

    Raises:
        ValueError: No study, or one without a run that is done.
    """
    if not (folder / "study.json").is_file():
        raise ValueError(f"{folder} is no folder of a study: it has no study.json.")
    results: dict[str, list[dict[str, float]]] = {}
    items: dict[str, list[dict[str, dict[str, float]]]] = {}
    missing = []
    for planned in read_json(folder / "study.json")["runs"]:
        row, run = planned["row"], folder / planned["row"] / f"seed_{planned['seed']}"
        if not (run / "done.json").is_file():
            missing.append(f"{row}, seed {planned['seed']}")
            continue
        results.setdefault(row, []).append(read_json(run / "done.json")["metrics"])
        items.setdefault(row, []).append(read_metrics(run / "test/version_0/test/metrics.csv"))
    if not results:
        raise ValueError(f"{folder} has no run that is done; run `python -m experiments.run` first.")
    rows = {
        row: {name: summarise([r[name] for r in runs if name in r]) for name in runs[0]}
        for row, runs in results.items()
    }
    for metric in {name for row in rows.values() for name in row}:
        compare(rows, metric, {row: item_means(seeds, metric) for row, seeds in items.items()})
    return Table(rows, missing)


def summarise(values: Sequence[float]) -> Cell:
    """Mean, deviation and interval of the seeds of a row."""
    mean, count = statistics.fmean(values), len(values)
    if count < 2:
        return Cell(mean, math.nan, math.nan, math.nan, count)
    std = statistics.stdev(values)
    reach = float(stats.t.ppf((1 + CONFIDENCE) / 2, count - 1)) * std / math.sqrt(count)
    return Cell(mean, std, mean - reach, mean + reach, count)


def item_means(seeds: Sequence[Mapping[str, Mapping[str, float]]], metric: str) -> dict[str, float]:
    """The metric of each item, averaged over the seeds that have it."""
    values: dict[str, list[float]] = {}
    for seed in seeds:
        for item, row in seed.items():
            if math.isfinite(row.get(metric, math.nan)):
                values.setdefault(item, []).append(row[metric])
    return {item: statistics.fmean(found) for item, found in values.items()}


def compare(rows: dict[str, dict[str, Cell]], metric: str, items: Mapping[str, Mapping[str, float]]) -> None:
    """Give the cells of a metric their p-values against the best row, corrected as Holm (1979)."""
    having = {row: cells[metric] for row, cells in rows.items() if metric in cells}
    best = min(having, key=lambda row: having[row].mean)
    found = {}
    for row in having:
        shared = sorted(items[row].keys() & items[best].keys())
        apart = [items[row][item] - items[best][item] for item in shared]
        if row != best and any(apart):
            found[row] = float(stats.wilcoxon(apart).pvalue)
    corrected = 0.0
    for place, (row, p) in enumerate(sorted(found.items(), key=lambda pair: pair[1])):
        corrected = max(corrected, min(1.0, p * (len(found) - place)))
        cell = having[row]
        rows[row][metric] = Cell(cell.mean, cell.std, cell.low, cell.high, cell.seeds, corrected)


def to_markdown(table: Table) -> str:
    lines = [["", *table.metrics], ["---"] * (len(table.metrics) + 1), *table.texts()]
    return table.caption() + "\n\n" + "".join(f"| {' | '.join(line)} |\n" for line in lines)


def to_latex(table: Table) -> str:
    """A tabular of the booktabs package, under its caption as a comment."""

    def line(cells: Sequence[str]) -> str:
        plain = (cell.replace("_", r"\_").replace("±", r"$\pm$").replace("*", r"$^*$") for cell in cells)
        return " & ".join(plain) + r" \\"

    body = "\n".join(map(line, table.texts()))
    return (
        f"% {table.caption()}\n\\begin{{tabular}}{{l{'r' * len(table.metrics)}}}\n\\toprule\n"
        f"{line(['', *table.metrics])}\n\\midrule\n{body}\n\\bottomrule\n\\end{{tabular}}\n"
    )


def write_table(table: Table, folder: Path) -> None:
    """Write all three forms; the numbers of the CSV are not rounded."""
    (folder / "table.md").write_text(to_markdown(table), encoding="utf-8")
    (folder / "table.tex").write_text(to_latex(table), encoding="utf-8")
    fields = ("mean", "std", "low", "high", "seeds", "p")
    with (folder / "table.csv").open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(["row", "metric", *fields])
        for row, cells in table.rows.items():
            writer.writerows(
                [row, metric, *(getattr(cell, f) for f in fields)] for metric, cell in cells.items()
            )


def main(args: Sequence[str]) -> int:
    """Returns 1 where runs of the study are missing."""
    if len(args) != 1:
        raise ValueError("usage: python -m experiments.table outputs/studies/NAME")
    table = build_table(Path(args[0]))
    write_table(table, Path(args[0]))
    print(to_markdown(table))
    return 1 if table.missing else 0


if __name__ == "__main__":
    sys.exit(exit_status(lambda: main(sys.argv[1:]), program="experiments.table"))
