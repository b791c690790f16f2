"""How a process is set for long computations before torch is imported."""

import atexit
import ctypes
import gc
import os
import sys

_M_TRIM_THRESHOLD, _M_MMAP_THRESHOLD = -1, -3  # of glibc's malloc.h
_NEVER_GIVEN_BACK = 2**31 - 1
_LARGEST_FROM_THE_HEAP = 2**30
_YOUNG_OBJECTS = 10_000


def settle() -> None:
    """Let idle threads sleep, and keep memory that the next training step will ask for again.

    Threads without work spin by default, and starve those that have some where cores are shared. And glibc
    hands each large tensor back to the system when it is freed, so that the next of its size costs a page
    fault for every 4 kB: a quarter of a training step. The command line calls this; a program that trains
    with the package calls it first. What the environment says of threads stays; elsewhere than on Linux
    memory is left alone. Importing torch and Lightning makes a million objects that stay: to look for garbage
    among them, as Python does after every 700 new ones and before it ends, is a fifth of what it costs to
    play a sound, and two seconds of a training.

    Examples:
        >>> from drumblender.process import settle
        >>> settle()
    """
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    gc.set_threshold(_YOUNG_OBJECTS, 10, 10)
    atexit.unregister(gc.freeze)  # if called before
    atexit.register(gc.freeze)
    if not sys.platform.startswith("linux"):
        return
    malloc_option = getattr(ctypes.CDLL(None), "mallopt", None)  # musl has none
    if malloc_option is not None:
        malloc_option(_M_MMAP_THRESHOLD, _LARGEST_FROM_THE_HEAP)
        malloc_option(_M_TRIM_THRESHOLD, _NEVER_GIVEN_BACK)
