"""The tables of a test: a row of metrics for each item, and what the test logged."""

import csv
import math
from pathlib import Path
from typing import Any

import lightning as L
import torch

from drumblender.types import MeasuresItems


def measure(module: L.LightningModule, outputs: Any, names: list[str]) -> list[dict[str, Any]]:
    """The metrics of each item of a batch, by name."""
    if not names:
        return []
    given = outputs.get("item_metrics", {})
    columns = {name: values.tolist() for name, values in given.items() if name not in module.metrics}
    with torch.no_grad():
        for name, metric in module.metrics.items():  # in their order; none is computed twice
            if name in given:
                columns[name] = given[name].tolist()
            elif isinstance(metric, MeasuresItems):
                sounds = outputs["prediction"].detach(), outputs["target"].detach()
                columns[name] = metric.per_item(*sounds).tolist()
    return [
        {"name": name, **{metric: values[index] for metric, values in columns.items()}}
        for index, name in enumerate(names)
    ]


def gather(rows: list[Any], trainer: L.Trainer) -> list[Any]:
    """The rows of all processes, those of the first one first."""
    if trainer.world_size == 1:
        return rows
    gathered: list[list[Any]] = [[] for _ in range(trainer.world_size)]
    torch.distributed.all_gather_object(gathered, rows)
    return [row for part in gathered for row in part]


def write_metrics(folder: Path, rows: list[dict[str, Any]], trainer: L.Trainer) -> None:
    """``metrics.csv`` of each item, and ``metrics_mean.csv``: what the test logged, else the means."""
    _write_table(folder / "metrics.csv", rows)
    _write_table(folder / "metrics_mean.csv", [_means(rows) | _logged(rows, trainer)])


def _means(rows: list[dict[str, Any]]) -> dict[str, Any]:
    names = [name for name in rows[0] if name != "name"]
    return {"items": len(rows), **{name: math.fsum(row[name] for row in rows) / len(rows) for name in names}}


def _logged(rows: list[dict[str, Any]], trainer: L.Trainer) -> dict[str, float]:
    """What the test logged of the columns of ``rows``, and what its task tells of all items together."""
    metrics = trainer.callback_metrics
    names = (*rows[0], *getattr(trainer.lightning_module, "told_of_all", ()))
    return {name: metrics[f"test/{name}"].item() for name in names if f"test/{name}" in metrics}


def _write_table(path: Path, rows: list[dict[str, Any]]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, fieldnames=list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)
