"""The model beside what needs no training: a falling loss proves nothing."""

import csv
import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from torch import Tensor

_WIDTH = 12  # of a column that is shown

Row = dict[str, Any]
"""``name`` of an item, ``kind`` (``model`` or a baseline), and a number for each measure."""


def rows_of(compared: dict[str, dict[str, Tensor]], names: Sequence[str]) -> list[Row]:
    """What a task's ``compare`` gave for a batch, as a row for each item and kind."""
    return [
        {"name": name, "kind": kind, **{key: float(values[place]) for key, values in figures.items()}}
        for kind, figures in compared.items()
        for place, name in enumerate(names)
    ]


def means(rows: Sequence[Row]) -> dict[str, dict[str, float]]:
    """The mean over items of each measure, by kind; the model first."""
    kinds = list(dict.fromkeys(row["kind"] for row in rows))
    found = {}
    for kind in kinds:
        mine = [row for row in rows if row["kind"] == kind]
        names = [name for name in mine[0] if name not in ("name", "kind")]
        found[kind] = {name: math.fsum(row[name] for row in mine) / len(mine) for name in names}
    return found


def verdict(table: dict[str, dict[str, float]]) -> str:
    """Whether the model beats the best of its baselines, and by how much.

    >>> verdict({"model": {"mrstft": 0.6}, "silence": {"mrstft": 2.0}, "untrained": {"mrstft": 0.8}})
    'beats its best baseline by 25 % (mrstft 0.6; untrained 0.8)'
    """
    measure = next(iter(table["model"]))
    own = table["model"][measure]
    others = {kind: figures[measure] for kind, figures in table.items() if kind != "model"}
    best = min(others, key=others.get)
    against = f"({measure} {own:.4g}; {best} {others[best]:.4g})"
    if own < others[best]:
        percent = 100 * (1 - own / others[best])
        return f"beats its best baseline by {percent:{'.2g' if percent < 10 else '.0f'}} % {against}"
    return f"does NOT beat its best baseline {against}"


def told(table: dict[str, dict[str, float]]) -> list[tuple[str, str]]:
    """The means as lines to show, best first, and the verdict."""
    if not table or len(table) < 2:
        return []
    measures = [name for name in table["model"] if len(name) < _WIDTH]  # the file has them all
    measures = measures or list(table["model"])[:1]
    decides = next(iter(table["model"]))
    order = sorted(table, key=lambda kind: table[kind][decides])
    lines = [("", "".join(f"{name:>{_WIDTH}}" for name in measures))]
    lines += [(kind, "".join(f"{table[kind][name]:{_WIDTH}.4g}" for name in measures)) for kind in order]
    return [*lines, ("so the model", verdict(table))]


def worst(rows: Sequence[Row], count: int = 5) -> list[tuple[str, float]]:
    """The items on which the model is worst, by its first measure: name and value."""
    mine = [row for row in rows if row["kind"] == "model"]
    if not mine:
        return []
    measure = next(name for name in mine[0] if name not in ("name", "kind"))
    ordered = sorted(mine, key=lambda row: row[measure], reverse=True)
    return [(row["name"], row[measure]) for row in ordered[:count]]


def write_baselines(path: Path, rows: Sequence[Row]) -> None:
    """Two tables: ``path`` with the means, a row for each kind, and ``<stem>_items.csv`` with every item."""
    table = means(rows)
    path.parent.mkdir(parents=True, exist_ok=True)
    averages = [{"kind": kind, **figures} for kind, figures in table.items()]
    for target, lines in ((path, averages), (path.with_stem(f"{path.stem}_items"), rows)):
        with target.open("w", newline="", encoding="utf-8") as file:
            columns = list(dict.fromkeys(name for line in lines for name in line))
            writer = csv.DictWriter(file, fieldnames=columns)
            writer.writeheader()
            writer.writerows(lines)
