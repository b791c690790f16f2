"""One process at a time prepares a folder; the others wait and say for whom."""

import json
import logging
import os
import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

_log = logging.getLogger(__name__)


@contextmanager
def folder_lock(folder: Path, timeout_s: float = -1) -> Iterator[None]:
    """Holds the right to write a folder.

    The operating system gives the lock back when its holder ends, however it ends, so none is ever stale. The
    lock file stands beside the folder, because the folder itself may be replaced.

    Args:
        folder: What will be written; need not exist.
        timeout_s: How long to wait for another process; negative waits for as long as it takes.

    Raises:
        TimeoutError: Another process still held the folder; says which.
    """
    # Imported here: with its helpers it costs as much as all of this package's data layer.
    from filelock import FileLock, Timeout

    folder.parent.mkdir(parents=True, exist_ok=True)
    lock = FileLock(folder.with_name(f".{folder.name}.lock"))
    owner = folder.with_name(f".{folder.name}.owner")
    try:
        lock.acquire(timeout=0)
    except Timeout:
        _log.warning("Waiting: %s is being prepared by %s.", folder, _who(owner))
        try:
            lock.acquire(timeout=timeout_s, poll_interval=0.2)
        except Timeout:
            raise TimeoutError(f"{folder} is still being prepared by {_who(owner)}.") from None
    try:
        started = time.strftime("%Y-%m-%d %H:%M:%S")
        owner.write_text(json.dumps({"pid": os.getpid(), "host": socket.gethostname(), "started": started}))
        yield
    finally:
        owner.unlink(missing_ok=True)
        lock.release()


def _who(owner: Path) -> str:
    try:
        who = json.loads(owner.read_text())
        return f"process {who['pid']} on {who['host']} since {who['started']}"
    except (OSError, ValueError, KeyError):  # the holder has not written it yet, or has just left
        return "another process"
