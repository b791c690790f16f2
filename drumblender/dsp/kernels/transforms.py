"""Fourier transforms of rows of arrays, in the calling thread alone.

torch's, where they are those of MKL, which are two to three times as fast as pocketfft, that of scipy. MKL
would share a batch among threads of its own, which then spin between the short steps of a kernel while others
need the core; so it is told that this thread is the only one, for as long as the transform takes.
"""

import ctypes
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Literal

import numpy as np
import torch

Norm = Literal["backward", "forward"]


def rfft(rows: np.ndarray) -> np.ndarray:
    """Spectra of real rows."""
    return _transform("rfft", rows)


def irfft(spectra: np.ndarray, n_fft: int, norm: Norm = "backward") -> np.ndarray:
    """Real rows of ``n_fft`` samples from their spectra; not divided by ``n_fft`` if the norm is forward."""
    return _transform("irfft", spectra, n_fft, norm=norm)


def _transform(name: str, rows: np.ndarray, *args: int, **options: str) -> np.ndarray:
    set_threads = _threads_of_mkl()
    if set_threads is None:
        import scipy.fft  # slow to import

        return getattr(scipy.fft, name)(rows, *args, **options)
    before = set_threads(1)
    try:
        return getattr(torch.fft, name)(torch.from_numpy(rows), *args, **options).numpy()
    finally:
        set_threads(before)


@cache
def _threads_of_mkl() -> Callable[[int], int] | None:
    """Sets how many threads MKL takes for the one that calls, and says how many before (0: as it likes).

    None where torch was not built with MKL, or hides it.
    """
    if not torch.backends.mkl.is_available():
        return None
    library = Path(torch.__file__).parent / "lib" / "libtorch_cpu.so"
    try:
        return ctypes.CDLL(str(library)).MKL_Set_Num_Threads_Local
    except (OSError, AttributeError):
        return None
