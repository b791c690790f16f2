"""What both studies write: a summary for each method, a row for each note, and one table of all methods."""

import csv
import json
import math
import statistics
from collections.abc import Mapping, Sequence
from pathlib import Path

Summary = dict[str, float | None]


def mean_and_deviation(values: Sequence[float]) -> tuple[float | None, float | None]:
    """Mean and population deviation; None where there are no values."""
    if not values:
        return None, None
    return statistics.fmean(values), statistics.pstdev(values)


def write_summary(folder: Path, summary: Summary) -> None:
    """``summary.json``, and ``summary.csv`` with a row ``key, value`` for each number."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "summary.json").write_text(json.dumps(summary, indent=2) + "\n")
    with (folder / "summary.csv").open("w", newline="") as file:
        csv.writer(file).writerows(
            [["", "value"], *([key, "" if value is None else value] for key, value in summary.items())]
        )


def write_rows(path: Path, rows: Sequence[Mapping[str, object]]) -> None:
    """One CSV row for each note; every row has the columns of the first."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w", newline="") as file:
        writer = csv.DictWriter(file, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)


def write_table(folder: Path, summaries: Mapping[str, Summary], columns: Mapping[str, str]) -> None:
    """``table.csv`` and ``table.tex`` with a row for each method.

    Args:
        folder: Where they go.
        summaries: By method.
        columns: Heading of each column, and the number there: ``x`` is written as ``x_mean ± x_std``.
    """
    rows = {
        method: [_cell(summary, key) for key in columns.values()] for method, summary in summaries.items()
    }
    with (folder / "table.csv").open("w", newline="") as file:
        csv.writer(file).writerows(
            [["method", *columns], *([method, *cells] for method, cells in rows.items())]
        )
    lines = [f"\\begin{{tabular}}{{l{'r' * len(columns)}}}", "\\toprule"]
    lines += [" & ".join(["method", *columns]) + " \\\\", "\\midrule"]
    lines += [
        " & ".join([method.replace("_", "\\_"), *(cell.replace("±", "$\\pm$") for cell in cells)]) + " \\\\"
        for method, cells in rows.items()
    ]
    (folder / "table.tex").write_text("\n".join([*lines, "\\bottomrule", "\\end{tabular}"]) + "\n")


def _cell(summary: Summary, key: str) -> str:
    if f"{key}_mean" in summary:
        mean, deviation = summary[f"{key}_mean"], summary[f"{key}_std"]
        return "" if mean is None else f"{mean:.4f} ± {deviation:.4f}"
    value = summary.get(key)
    return "" if value is None or math.isnan(value) else f"{value:.4g}"
