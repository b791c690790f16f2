"""The table of a study: ``python -m experiments.table outputs/studies/NAME [MORE ...]``.

Reads what ``experiments.run`` left and writes ``table.csv``, ``table.md`` and ``table.tex`` there: for each
row and metric the mean and sample deviation over seeds, a 95 % confidence interval of the mean (Student's t;
of one seed that over items), and whether the row differs from the best one. ``pairs.csv`` has the test of
every two rows: Wilcoxon's signed ranks over the items that both were tested on, each averaged over seeds, and
Holm's correction over the rows or pairs.
"""

import sys
from collections.abc import Sequence
from pathlib import Path

from drumblender.console import exit_status
from experiments.table_forms import to_markdown, write_table
from experiments.table_numbers import build_table


def main(args: Sequence[str]) -> int:
    """Returns 1 where runs of a study are missing."""
    if not args:
        raise ValueError("usage: python -m experiments.table outputs/studies/NAME [MORE ...]")
    missing = False
    for folder in map(Path, args):
        table = build_table(folder)
        write_table(table, folder)
        print(to_markdown(table))
        missing |= bool(table.missing)
    return 1 if missing else 0


if __name__ == "__main__":
    sys.exit(exit_status(lambda: main(sys.argv[1:]), program="experiments.table"))
