"""`drumblender checkpoints`: which trained weights ship, or the card of one."""

import argparse
import json
import sys
from dataclasses import asdict
from itertools import groupby

from drumblender.shipped import Shipped, no_such_checkpoint, read_index, shipped_row


def command(given: argparse.Namespace) -> int:
    """`drumblender checkpoints [NAME] [--json]`; see :func:`drumblender.options.playing.checkpoints`."""
    rows = list(read_index().values())
    if given.name is not None:
        rows = _named(given.name, rows)
    if given.json:
        sys.stdout.write(json.dumps([asdict(row) for row in rows], indent=1) + "\n")
    elif given.name is None:
        _show_table(rows)
    else:
        _show_card(rows)
    return 0


def _named(name: str, rows: list[Shipped]) -> list[Shipped]:
    """The row of a name, or those of a family."""
    family = [row for row in rows if row.family and row.family == name.removeprefix("checkpoints/")]
    row = shipped_row(name)
    if row is None and not family:
        raise FileNotFoundError(no_such_checkpoint(name))
    return family or [row]


def _show_table(rows: list[Shipped]) -> None:
    # rich takes 0.1 s to import.
    from rich.console import Console
    from rich.table import Column, Table

    longest = max((len(row.family or row.name) for row in rows), default=0)  # a name that is cut is none
    table = Table(
        Column("name", min_width=longest),
        "system",
        "trained with",
        "kB",
        "on what was left out",
        "render",
        "licence",
    )
    ordered = sorted(rows, key=lambda row: (row.system, row.family or row.name))
    for family, group in groupby(ordered, key=lambda row: row.family or row.name):
        table.add_row(f"[bold]{family}[/bold]", *_cells(list(group)))
    console = Console(highlight=False)
    console.print(table)
    console.print("drumblender checkpoints NAME shows a card; db.load('NAME') and checkpoints/NAME name one.")
    for family in sorted({row.family for row in rows if row.family}):
        names = [row.name for row in rows if row.family == family]
        console.print(f"{family} are {len(names)} of a kind, {names[0]} to {names[-1]}; its card lists them.")


def _cells(group: list[Shipped]) -> tuple[str, ...]:
    """What the table tells of a checkpoint, or of that in the middle of a family and how many they are."""
    row = sorted(group, key=lambda row: next(iter(row.metrics.values()), 0.0))[len(group) // 2]
    several = len(group) > 1
    size = f"{len(group)} x {row.size / 1000:.0f}" if several else f"{row.size / 1000:.0f}"
    beside = f"median {beside_baselines(row)}" if several else beside_baselines(row)
    data = f"{row.data}, and others" if several else row.data
    return row.system, data, size, beside, f"{row.render:.3g} x" if row.render else "-", row.licence


def beside_baselines(row: Shipped) -> str:
    """The first measure of a checkpoint, and what the best baseline has of it.

    >>> beside_baselines(Shipped("a", "drums", "a.ckpt", "0" * 64, 1, "", "", {}, {"stft": 1.0},
    ...     {"silence": {"stft": 9.0}, "untrained": {"stft": 2.0}}))
    'stft 1 (untrained 2)'
    """
    measure, value = next(iter(row.metrics.items()), ("", 0.0))
    others = {name: known[measure] for name, known in row.baselines.items() if measure in known}
    if not others:
        return f"{measure} {value:.3g}".strip() if measure else "-"
    best = min(others, key=lambda name: abs(others[name] - value))
    return f"{measure} {value:.3g} ({best} {others[best]:.3g})"


def _show_card(rows: list[Shipped]) -> None:
    from rich.console import Console
    from rich.markdown import Markdown

    card, console = rows[0].card, Console(highlight=False)
    if not card.is_file():
        raise FileNotFoundError(f"{rows[0].name} has no card: {card} is not there. Reinstall drumblender.")
    if rows[0].family and len(rows) == 1:
        console.print(f"{rows[0].name}: {rows[0].data}; {beside_baselines(rows[0])}. One of these:\n")
    console.print(Markdown(card.read_text(encoding="utf-8")))
