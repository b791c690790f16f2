"""How batches come to where they are used."""

import os
from typing import TypedDict

import torch

_MOST_WORKERS = 8


class Loading(TypedDict):
    """What a ``torch.utils.data.DataLoader`` is told."""

    num_workers: int
    persistent_workers: bool
    pin_memory: bool


def loading(num_workers: int | None = None) -> Loading:
    """Who reads batches, and where to.

    With a GPU, in memory from which it copies while it works, and by as many processes as there are other
    cores, 8 at most: it trains on more than one process reads. Without one, by the process that trains.

    Args:
        num_workers: Processes that read; None: as said.

    Raises:
        ValueError: Fewer than none.

    Examples:
        >>> loading(2)["num_workers"], loading(2)["persistent_workers"]
        (2, True)
    """
    on_gpu = torch.cuda.is_available()
    if num_workers is None:
        cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
        num_workers = min(cores - 1, _MOST_WORKERS) if on_gpu else 0
    if num_workers < 0:
        raise ValueError(f"Batches are read by 0 processes or more, got {num_workers=}.")
    return Loading(num_workers=num_workers, persistent_workers=num_workers > 0, pin_memory=on_gpu)
