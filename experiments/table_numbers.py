"""The numbers of a table: means, deviations, intervals and paired tests of a study's runs."""

import itertools
import math
import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Literal

from scipy import stats

from drumblender.atomic import read_json
from drumblender.evaluation.runs import read_metrics

CONFIDENCE = 0.95
SIGNIFICANT = 0.05
Better = Literal["low", "high", "zero"]
Items = dict[str, float]
"""One metric of each item."""


@dataclass(frozen=True)
class Cell:
    """One metric of one row.

    Attributes:
        mean: Over seeds.
        std: Sample deviation over seeds; NaN of one seed.
        low: Lower end of the confidence interval of the mean: over seeds, or of one seed over its items; NaN
            where there are neither.
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


@dataclass(frozen=True)
class Pair:
    """Two rows compared item by item.

    Attributes:
        metric: What is compared.
        first, second: The rows.
        apart: Mean of the first less that of the second, over the items they share.
        items: How many those are.
        p: Of Wilcoxon's test, corrected for the number of pairs.
    """

    metric: str
    first: str
    second: str
    apart: float
    items: int
    p: float


@dataclass(frozen=True)
class Table:
    """A row for each config, a column for each metric."""

    rows: dict[str, dict[str, Cell]]
    missing: list[str]
    pairs: list[Pair] = field(default_factory=list)
    better: dict[str, Better] = field(default_factory=dict)

    @property
    def metrics(self) -> list[str]:
        return list(dict.fromkeys(name for row in self.rows.values() for name in row))


def build_table(folder: Path) -> Table:
    """Read a study.

    Raises:
        ValueError: No study, or one without a run that is done.
    """
    if not (folder / "study.json").is_file():
        raise ValueError(f"{folder} is no folder of a study: it has no study.json.")
    study = read_json(folder / "study.json")
    results: dict[str, list[dict[str, float]]] = {}
    items: dict[str, list[dict[str, Items]]] = {}
    missing = []
    for planned in study["runs"]:
        row, run = planned["row"], folder / planned["row"] / f"seed_{planned['seed']}"
        if not (run / "done.json").is_file():
            missing.append(f"{row}, seed {planned['seed']}")
            continue
        done = read_json(run / "done.json")
        results.setdefault(row, []).append(done["metrics"])
        items.setdefault(row, []).append(_items(run, done["tables"]))
    if not results:
        raise ValueError(f"{folder} has no run that is done; run `python -m experiments.run` first.")
    better: dict[str, Better] = study.get("better") or {}
    paired = {
        metric: {row: item_means(seeds, metric) for row, seeds in items.items()}
        for metric in dict.fromkeys(name for runs in results.values() for name in runs[0])
    }
    rows = {
        row: {
            name: summarise([r[name] for r in runs if name in r], list(paired[name][row].values()))
            for name in runs[0]
        }
        for row, runs in results.items()
    }
    pairs = []
    for metric, values in paired.items():
        compare_with_best(rows, metric, values, direction(metric, better))
        pairs += compare_all(metric, {row: values[row] for row in rows if metric in rows[row]})
    return Table(rows, missing, pairs, better)


def _items(run: Path, tables: Mapping[str, str]) -> dict[str, Items]:
    """By ``test/metric``, the number of each item."""
    found: dict[str, Items] = {}
    for test, table in tables.items():
        for item, row in read_metrics(run / table).items():
            for name, value in row.items():
                found.setdefault(f"{test}/{name}" if test else name, {})[item] = value
    return found


def direction(metric: str, better: Mapping[str, Better]) -> Better:
    """Which numbers of a metric are better, told by its name with or without its test; else the low ones."""
    return better.get(metric, better.get(metric.rpartition("/")[2], "low"))


def summarise(values: Sequence[float], items: Sequence[float] = ()) -> Cell:
    """Mean, deviation and interval of the seeds of a row; of one seed the interval over its items."""
    mean, count = statistics.fmean(values), len(values)
    std = statistics.stdev(values) if count > 1 else math.nan
    sample = values if count > 1 else items
    reach = math.nan
    if len(sample) > 1:
        error = statistics.stdev(sample) / math.sqrt(len(sample))
        reach = float(stats.t.ppf((1 + CONFIDENCE) / 2, len(sample) - 1)) * error
    return Cell(mean, std, mean - reach, mean + reach, count)


def item_means(seeds: Sequence[Mapping[str, Items]], metric: str) -> Items:
    """The metric of each item, averaged over the seeds that have it."""
    values: dict[str, list[float]] = {}
    for seed in seeds:
        for item, value in seed.get(metric, {}).items():
            if math.isfinite(value):
                values.setdefault(item, []).append(value)
    return {item: statistics.fmean(found) for item, found in values.items()}


def compare_with_best(
    rows: dict[str, dict[str, Cell]], metric: str, items: Mapping[str, Items], better: Better
) -> None:
    """Give the cells of a metric their p-values against the best row."""
    having = {row: cells[metric] for row, cells in rows.items() if metric in cells}
    worth = {"low": lambda x: x, "high": lambda x: -x, "zero": abs}[better]
    best = min(having, key=lambda row: worth(having[row].mean))
    found = {row: signed_ranks(items[row], items[best]) for row in having if row != best}
    for row, p in corrected({row: p for row, p in found.items() if p is not None}).items():
        rows[row][metric] = replace(having[row], p=p)


def compare_all(metric: str, items: Mapping[str, Items]) -> list[Pair]:
    """Every two rows."""
    found, pairs = {}, []
    for first, second in itertools.combinations(items, 2):
        if (p := signed_ranks(items[first], items[second])) is not None:
            found[first, second] = p
    for (first, second), p in corrected(found).items():
        shared = items[first].keys() & items[second].keys()
        apart = statistics.fmean(items[first][item] - items[second][item] for item in shared)
        pairs.append(Pair(metric, first, second, apart, len(shared), p))
    return pairs


def signed_ranks(first: Items, second: Items) -> float | None:
    """Wilcoxon's p-value over the items of both; None where nothing pairs or nothing differs."""
    apart = [first[item] - second[item] for item in sorted(first.keys() & second.keys())]
    return float(stats.wilcoxon(apart).pvalue) if any(apart) else None


def corrected(found: Mapping[Any, float]) -> dict[Any, float]:
    """p-values as Holm (1979) corrects them for their number."""
    result, largest = {}, 0.0
    for place, (key, p) in enumerate(sorted(found.items(), key=lambda pair: pair[1])):
        largest = result[key] = max(largest, min(1.0, p * (len(found) - place)))
    return {key: result[key] for key in found}
