"""Shows how a search goes on, and how long it will take at most."""

import logging
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from drumblender.matching.objective import Progress

log = logging.getLogger(__name__)

_SECONDS_A_LINE = 10.0  # in a file


@contextmanager
def told(description: str, renders: int) -> Iterator[Callable[[Progress], None]]:
    """Gives a function to be told of each batch: a bar on a terminal, else a line every ten seconds.

    Args:
        description: What is searched for.
        renders: The budget; patience may end a search before.
    """
    if not sys.stderr.isatty():
        yield _lines(description, renders)
        return
    # rich takes 0.1 s to import.
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeRemainingColumn
    from rich.progress import Progress as Bar

    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Bar(*columns, console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task(description, total=renders)

        def tell(progress: Progress) -> None:
            bar.update(task, completed=progress.renders, description=f"{description} {progress.best:.3f}")

        yield tell


def _lines(description: str, renders: int) -> Callable[[Progress], None]:
    last = [time.monotonic()]

    def tell(progress: Progress) -> None:
        now = time.monotonic()
        if now - last[0] >= _SECONDS_A_LINE and progress.renders < renders:
            last[0] = now
            left_s = progress.seconds / progress.renders * (renders - progress.renders)
            log.info(
                "%s: %d of %d renders, loss %.4f, %.0f s left.",
                description,
                progress.renders,
                renders,
                progress.best,
                left_s,
            )

    return tell
