"""Fused forward and adjoint loops: numba on the CPU, Triton on CUDA.

Nothing here is called by users: each op ``drumblender.dsp.X`` asks :func:`served` and falls back to its
plain torch formula. ``X.py`` is its autograd glue, ``X_cpu.py`` and ``X_cuda.py`` are its loops. They are
imported at first use, for numba and Triton cost a second to import.
"""

from functools import cache
from importlib.util import find_spec

import torch
from torch import Tensor

_NUMBERS = {torch.float32, torch.float64, torch.complex64, torch.complex128, torch.int64}


def served(*tensors: Tensor, device: str = "cpu") -> bool:
    """Whether kernels may take these tensors: on that device, of NumPy's types, and nobody reads along."""
    for tensor in tensors:
        if tensor.device.type != device or tensor.dtype not in _NUMBERS:
            return False
    return not read_along()


def served_on_cuda(*tensors: Tensor) -> bool:
    """Whether Triton's kernels may take these tensors; where it is not installed, none."""
    return served(*tensors, device="cuda") and has_triton()


def read_along() -> bool:
    """Whether a tracer, an exporter, ``torch.compile`` or a transform of ``torch.func`` follows along.

    None of them sees into a kernel: it would be a constant to a tracer, and stop the others.
    """
    return traced() or torch._C._are_functorch_transforms_active()


def traced() -> bool:
    """Whether what is computed becomes a program: by a tracer, an exporter or ``torch.compile``."""
    return torch.jit.is_tracing() or torch.compiler.is_compiling() or torch.compiler.is_exporting()


def readable(*tensors: Tensor) -> bool:
    """Whether a check may read values: nobody reads along, and none is on CUDA.

    There the host would wait for all that it has launched.
    """
    return not read_along() and all(tensor.device.type != "cuda" for tensor in tensors)


def check_on_cuda(values: Tensor, low: float, high: float, message: str) -> None:
    """Have CUDA itself stop with the message where not all values lie between; the host does not wait."""
    if values.device.type == "cuda" and not read_along():
        torch._assert_async(((values > low) & (values < high)).all(), message)


@cache
def has_triton() -> bool:
    """Triton is installed (it is not on every platform)."""
    return find_spec("triton") is not None
