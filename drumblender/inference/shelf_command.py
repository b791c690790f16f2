"""`drumblender checkpoints`: which trained weights ship, or the card of one."""

import argparse
import json
import sys
from dataclasses import asdict

from drumblender.shipped import Shipped, no_such_checkpoint, read_index, shipped_dir, shipped_row


def command(given: argparse.Namespace) -> int:
    """`drumblender checkpoints [NAME] [--json]`; see :func:`drumblender.options.playing.checkpoints`."""
    rows = list(read_index().values())
    if given.name is not None:
        row = shipped_row(given.name)
        if row is None:
            raise FileNotFoundError(no_such_checkpoint(given.name))
        rows = [row]
    if given.json:
        sys.stdout.write(json.dumps([asdict(row) for row in rows], indent=1) + "\n")
    elif given.name is not None:
        _show_card(rows[0])
    else:
        _show_table(rows)
    return 0


def _show_table(rows: list[Shipped]) -> None:
    # rich takes 0.1 s to import.
    from rich.console import Console
    from rich.table import Table

    table = Table("name", "system", "trained with", "kB", "on what was left out", "render", "licence")
    for row in sorted(rows, key=lambda row: (row.system, row.name)):
        table.add_row(
            f"[bold]{row.name}[/bold]",
            row.system,
            row.data,
            f"{row.size / 1000:.0f}",
            beside_baselines(row),
            f"{row.render:.3g} x" if row.render else "-",
            row.licence,
        )
    console = Console(highlight=False)
    console.print(table)
    console.print("drumblender checkpoints NAME shows a card; db.load('NAME') and checkpoints/NAME name one.")


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


def _show_card(row: Shipped) -> None:
    from rich.console import Console
    from rich.markdown import Markdown

    card = shipped_dir("checkpoints") / f"{row.name}.md"
    if not card.is_file():
        raise FileNotFoundError(f"{row.name} has no card: {card} is not there. Reinstall drumblender.")
    Console(highlight=False).print(Markdown(card.read_text(encoding="utf-8")))
