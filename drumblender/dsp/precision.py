"""Keeps signal processing in float32 where a trainer runs the networks in half precision."""

from collections.abc import Callable
from functools import wraps
from typing import ParamSpec, TypeVar

import torch
from torch import Tensor

P = ParamSpec("P")
R = TypeVar("R")
V = TypeVar("V")

HALF = (torch.float16, torch.bfloat16)


def raise_half(value: V) -> V:
    """A half-precision tensor in float32; anything else as it is.

    Examples:
        >>> raise_half(torch.zeros(2, dtype=torch.bfloat16)).dtype, raise_half("hann")
        (torch.float32, 'hann')
    """
    return value.float() if isinstance(value, Tensor) and value.dtype in HALF else value


def in_full_precision(op: Callable[P, R]) -> Callable[P, R]:
    """Run ``op`` outside autocast, with half-precision tensors among its arguments raised to float32.

    Eight bits of mantissa are a wrong phase after a few hundred samples. float64 stays float64.

    Examples:
        >>> @in_full_precision
        ... def phase(freq_rad):
        ...     return freq_rad.cumsum(dim=-1)
        >>> phase(torch.ones(3, dtype=torch.float16))
        tensor([1., 2., 3.])
    """

    @wraps(op)
    def run(*args: P.args, **kwargs: P.kwargs) -> R:
        raised = [raise_half(value) for value in args]
        named = {name: raise_half(value) for name, value in kwargs.items()}
        tensors = (value for value in (*raised, *named.values()) if isinstance(value, Tensor))
        device_type = next((tensor.device.type for tensor in tensors), "cpu")
        if not (torch.amp.is_autocast_available(device_type) and torch.is_autocast_enabled(device_type)):
            return op(*raised, **named)
        with torch.autocast(device_type, enabled=False):
            return op(*raised, **named)

    return run


def widen(value: Tensor) -> Tensor:
    """The values in float64; as they are on MPS, which has none.

    Examples:
        >>> widen(torch.zeros(2)).dtype
        torch.float64
    """
    return value if value.device.type == "mps" else value.double()
