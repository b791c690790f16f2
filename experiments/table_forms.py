"""A table as CSV, Markdown and LaTeX."""

import csv
import math
from collections.abc import Sequence
from dataclasses import asdict, fields
from pathlib import Path

from experiments.table_numbers import SIGNIFICANT, Cell, Pair, Table, direction

_SIGNS = {"low": "↓", "high": "↑", "zero": "→0"}
_LATEX = {"_": r"\_", "%": r"\%", "±": r"$\pm$", "*": r"$^*$", "–": "--"}
_LATEX |= {"↓": r"$\downarrow$", "↑": r"$\uparrow$", "→0": r"$\to 0$"}


def text(cell: Cell) -> str:
    """Mean ± deviation [interval], and a star where it differs from the best row."""
    spread = "" if math.isnan(cell.std) else f" ± {cell.std:.2g}"
    reach = "" if math.isnan(cell.low) else f" [{cell.low:.4g}, {cell.high:.4g}]"
    star = "*" if cell.p is not None and cell.p < SIGNIFICANT else ""
    return f"{cell.mean:.4g}{spread}{reach}{star}"


def caption(table: Table) -> str:
    seeds = sorted({cell.seeds for row in table.rows.values() for cell in row.values()})
    over = "over items" if seeds == [1] else "over seeds"
    told = "Mean" if seeds == [1] else "Mean ± sample deviation"
    words = f"{told} of {' or '.join(map(str, seeds))} {'seed' if seeds == [1] else 'seeds'} "
    words += f"[95 % confidence interval {over}]; ↓ less is better, ↑ more, →0 nearer to 0. "
    words += "* differs from the best row (Wilcoxon over items, Holm, p < 0.05)."
    return words + (f" Missing: {'; '.join(table.missing)}." if table.missing else "")


def groups(table: Table) -> dict[str, list[str]]:
    """The metrics of each test of the study, which are the columns of one table."""
    found: dict[str, list[str]] = {}
    for metric in table.metrics:
        found.setdefault(metric.rpartition("/")[0], []).append(metric)
    return found


def lines_of(table: Table, metrics: Sequence[str]) -> list[list[str]]:
    """The head, and a line for each row."""
    head = ["", *(f"{m.rpartition('/')[2]} {_SIGNS[direction(m, table.better)]}" for m in metrics)]
    lines = [
        [name, *(text(row[metric]) if metric in row else "–" for metric in metrics)]
        for name, row in table.rows.items()
        if any(metric in row for metric in metrics)
    ]
    return [head, *lines]


def to_markdown(table: Table) -> str:
    parts = [caption(table)]
    for test, metrics in groups(table).items():
        head, *lines = lines_of(table, metrics)
        rows = [head, ["---"] * len(head), *lines]
        title = f"**{test}**\n\n" if test else ""
        parts.append(title + "\n".join(f"| {' | '.join(row)} |" for row in rows))
    return "\n\n".join(parts) + "\n"


def to_latex(table: Table) -> str:
    """Tabulars of the booktabs package, under their caption as a comment."""

    def line(cells: Sequence[str]) -> str:
        text = " & ".join(cells)
        for sign, command in _LATEX.items():
            text = text.replace(sign, command)
        return text + r" \\"

    parts = [f"% {caption(table)}"]
    for test, metrics in groups(table).items():
        head, *lines = lines_of(table, metrics)
        body = "\n".join(map(line, lines))
        parts.append(
            (f"% {test}\n" if test else "") + f"\\begin{{tabular}}{{l{'r' * len(metrics)}}}\n\\toprule\n"
            f"{line(head)}\n\\midrule\n{body}\n\\bottomrule\n\\end{{tabular}}"
        )
    return "\n".join(parts) + "\n"


def write_table(table: Table, folder: Path) -> None:
    """Write all forms; the numbers of the CSV files are not rounded."""
    (folder / "table.md").write_text(to_markdown(table), encoding="utf-8")
    (folder / "table.tex").write_text(to_latex(table), encoding="utf-8")
    cells = [
        {"row": row, "metric": metric} | asdict(cell)
        for row, found in table.rows.items()
        for metric, cell in found.items()
    ]
    columns = ["row", "metric", *(field.name for field in fields(Cell))]
    _write(folder / "table.csv", columns, cells)
    _write(folder / "pairs.csv", [field.name for field in fields(Pair)], [asdict(p) for p in table.pairs])


def _write(path: Path, columns: Sequence[str], rows: Sequence[dict[str, object]]) -> None:
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, columns)
        writer.writeheader()
        writer.writerows(rows)
