"""What both commands show on the terminal: one progress bar, and errors in one line."""

import errno
import logging
import os
import re
import sys
import time
import warnings
from argparse import ArgumentError
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import TypeVar

T = TypeVar("T")

_SECONDS_A_LINE = 10.0  # of progress, in a file
_KEY = re.compile(r'Parser key "([^"]*)": *')
_NAMED = re.compile(r"NestedArg\(key='(?:[^']*\.)?(voices|metrics)\.([^.']+)")  # by an option
# Lines of jsonargparse that repeat the configuration or list types that were never meant.
_TRIED = re.compile(
    "Does not validate against|Subtypes:|Errors:|Problem with given class_path|Given value"
    "|Expected a <class 'NoneType'>"
)


class UsageError(Exception):
    """The command line asks for something that does not exist; exit status 2."""


def exit_status(command: Callable[[], int | None], *, program: str, debug: bool = False) -> int:
    """Run a command; an error becomes one line on stderr instead of a traceback.

    Args:
        command: Does the work; returns the exit status, None for 0.
        program: Named in front of the message.
        debug: Let the error through with its traceback.

    Returns:
        The exit status: 1 after an error, 2 after a wrong command line, 130 after Ctrl+C.
    """
    try:
        return command() or 0
    except KeyboardInterrupt:
        if debug:
            raise
        return _complain(program, "interrupted", 130)
    except (UsageError, ArgumentError) as error:
        if debug:
            raise
        return _complain(program, one_line(error), 2)
    except SystemError as error:
        if debug or not is_interrupt(error):
            raise
        return _complain(program, "interrupted", 130)
    except BrokenPipeError:  # the reader of our output has gone: `| head`
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    except Exception as error:  # the last stop before the user, who is told how to see the rest
        if debug:
            raise
        return _complain(program, one_line(error), 1)


def is_interrupt(error: BaseException | None) -> bool:
    """Whether Ctrl+C is behind an error: a compiled loop hands it on inside a ``SystemError``."""
    seen = set()
    while error is not None and id(error) not in seen:
        if isinstance(error, KeyboardInterrupt):
            return True
        seen.add(id(error))
        error = error.__cause__ or error.__context__
    return False


def log_to_terminal(*, debug: bool = False) -> None:
    """Show what the package logs on stderr, as plain lines."""
    logging.basicConfig(format="%(message)s")
    logging.getLogger("drumblender").setLevel(logging.DEBUG if debug else logging.INFO)


def quieten() -> None:
    """Keep to what a user acts on: Lightning's device lists and hints about workers stay out."""
    os.environ.setdefault("JSONARGPARSE_DEPRECATION_WARNINGS", "off")  # of calls that Lightning makes
    for name in ("lightning.pytorch", "lightning.fabric"):
        logging.getLogger(name).setLevel(logging.WARNING)
    for message in (
        ".*does not have many workers.*",
        ".*`isinstance.treespec, LeafSpec.` is deprecated.*",
        ".*number of training batches .* is smaller than the logging interval.*",
        ".*Checkpoint directory .* exists and is not empty.*",
        ".*The dirpath has changed from.*",
        ".*ended before the epoch ended and your dataloader is not resumable.*",  # ResumeExactly does it
        ".*conditioned on metric .* which is not available.*",  # before the first validation
        ".*`ModelCheckpoint.monitor=.*` could not find the monitored key.*",
        ".*`torch.jit.*` is (deprecated|not supported).*",
        ".*The `srun` command is available.*",
        ".*Using `DistributedSampler` with the dataloaders.*",  # DealBatches gives each item once
        ".*Experiment logs directory .* exists and is not empty.*",
    ):
        warnings.filterwarnings("ignore", message=message)


def one_line(error: BaseException) -> str:
    """The message on one line; under the error's class name where the message alone would not say enough."""
    told_by_parser = isinstance(error, ArgumentError) or "Does not validate against any" in str(error)
    message = config_reason(error) if told_by_parser else str(error)
    message = " ".join(message.split())
    if isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT):
        where = f" ({error.filename})" if error.filename else ""
        return f"The disk is full{where}: make room and run it again."
    if type(error) in (FileExistsError, NotADirectoryError) and error.filename:
        return f"{error.filename} is a file where a folder is needed."
    if isinstance(error, ValueError | OSError | RuntimeError | UsageError | ArgumentError) and message:
        return message
    return f"{type(error).__name__}: {message}" if message else type(error).__name__


def config_reason(error: BaseException) -> str:
    """What is wrong with a configuration, from jsonargparse's error, which also tells all that was tried."""
    told = [line.strip().removeprefix("- ") for line in str(error).splitlines()]
    keys = [match[1] for line in told if (match := _KEY.match(line))]
    if (named := _NAMED.search(str(error))) and named[1] in keys:  # the parser drops the keys of a mapping
        keys.insert(keys.index(named[1]) + 1, named[2])
    said = [_KEY.sub("", line) for line in told if not _TRIED.match(line)]
    return " ".join([*([f"{'.'.join(keys)}:"] if keys else []), *filter(None, said)])


def show_rows(rows: Sequence[tuple[str, str]]) -> None:
    """A name and a value on each line of stderr, the values under each other."""
    # rich takes 0.1 s to import.
    from rich.console import Console

    width = max((len(name) for name, _ in rows), default=0)
    console = Console(stderr=True, highlight=False, soft_wrap=True)
    for name, value in rows:
        console.print(f"[bold]{name:>{width}}[/bold]  {value}")


def _complain(program: str, message: str, status: int) -> int:
    hint = "" if status != 1 or "--debug" in message else " (--debug shows where)"
    sys.stderr.write(f"{program}: {message}{hint}\n")
    return status


def track(items: Iterable[T], total: int, description: str) -> Iterator[T]:
    """Pass items through while a bar on stderr counts them; lines where stderr is no terminal."""
    if not sys.stderr.isatty():
        yield from _told_in_lines(items, total, description)
        return
    # rich takes 0.1 s to import.
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    console = Console(stderr=True)
    with Progress(*columns, console=console, disable=not console.is_terminal, transient=True) as progress:
        task = progress.add_task(description, total=total)
        for item in items:
            yield item
            progress.advance(task)


def _told_in_lines(items: Iterable[T], total: int, description: str) -> Iterator[T]:
    """A line every ten seconds: how many are done, and the seconds left."""
    began = told = time.monotonic()
    for done, item in enumerate(items, start=1):
        yield item
        now = time.monotonic()
        if now - told >= _SECONDS_A_LINE and done < total:
            told = now
            left = (now - began) / done * (total - done)
            sys.stderr.write(f"{description}: {done}/{total}, {left:.0f} s left\n")


@contextmanager
def track_bytes(total: int, description: str) -> Iterator[Callable[[int], None]]:
    """Gives a function to be told of each block of a download, which a bar on stderr counts."""
    from rich.console import Console
    from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TransferSpeedColumn

    columns = (TextColumn("{task.description}"), BarColumn(), DownloadColumn(), TransferSpeedColumn())
    console = Console(stderr=True)
    with Progress(*columns, console=console, disable=not console.is_terminal, transient=True) as progress:
        task = progress.add_task(description, total=total)
        yield lambda count: progress.advance(task, count)
