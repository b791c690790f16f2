"""Fused forward and adjoint loops: numba on the CPU, Triton on CUDA.

Nothing here is called by users: each op of :mod:`drumblender.dsp` picks its kernel by device and
falls back to its plain torch formula. Kernel modules are imported at first use, for numba and
Triton cost a second to import.
"""

from functools import cache
from importlib.util import find_spec


@cache
def has_triton() -> bool:
    """Triton is installed (it is not on every platform)."""
    return find_spec("triton") is not None
