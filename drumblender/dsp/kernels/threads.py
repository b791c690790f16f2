"""Runs compiled loops that release the GIL on as many threads as torch may use.

numba's own parallel loops abort in a process forked after their first use, as data-loader workers
are. Plain threads over loops compiled with ``nogil=True`` do not.
"""

import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import cache

import torch


@cache
def _pool(num_threads: int) -> ThreadPoolExecutor:
    return ThreadPoolExecutor(num_threads, thread_name_prefix="drumblender-kernel")


os.register_at_fork(after_in_child=_pool.cache_clear) if hasattr(os, "register_at_fork") else None


def parallel_for(body: Callable[[int, int], object], size: int) -> None:
    """Call ``body(start, stop)`` so that the spans cover ``range(size)`` once, one span a thread.

    Args:
        body: Writes its results in place; most of its time must be spent without the GIL.
        size: Number of independent items.
    """
    num_threads = min(torch.get_num_threads(), size)
    if num_threads <= 1:
        if size:
            body(0, size)
        return
    bounds = [size * i // num_threads for i in range(num_threads + 1)]
    spans = list(zip(bounds[:-1], bounds[1:], strict=True))
    waiting = [_pool(num_threads - 1).submit(body, *span) for span in spans[1:]]
    body(*spans[0])
    for future in waiting:
        future.result()
