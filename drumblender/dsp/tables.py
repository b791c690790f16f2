"""Constants of an op, made where nothing reads along and kept."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import lru_cache, wraps
from typing import ParamSpec, TypeVar

import torch
from torch import Tensor

P = ParamSpec("P")
R = TypeVar("R")


def table(function: Callable[P, R]) -> Callable[P, R]:
    """Keep what a pure function of plain numbers returns; its tensors are shared, so do not write to them.

    What the first call makes must serve every later one, so it is made :func:`aside`.
    """

    @lru_cache(maxsize=64)
    def kept(*args: P.args, **kwargs: P.kwargs) -> R:
        return aside(function, *args, **kwargs)

    @wraps(function)
    def look_up(*args: P.args, **kwargs: P.kwargs) -> R:
        if torch.compiler.is_compiling() and not torch.compiler.is_exporting():
            return function(*args, **kwargs)  # compiled like all the rest
        return kept(*map(_number, args), **{name: _number(value) for name, value in kwargs.items()})

    return look_up


def _number(value: object) -> object:
    """To a tracer, a size is a tensor."""
    return int(value) if isinstance(value, Tensor) else value


def aside(function: Callable[P, R], *args: P.args, **kwargs: P.kwargs) -> R:
    """Call in a thread of its own, where no inference mode, tracer or exporter of the caller is on.

    They take what comes back for a constant: so does a drawn noise stay the same in an exported graph.
    """
    with ThreadPoolExecutor(1) as other:
        return other.submit(function, *args, **kwargs).result()


def frames_of(x: Tensor, size: int, hop: int) -> Tensor:
    """``x.unfold(-1, size, hop)``, for which ONNX has no operator."""
    if not torch.onnx.is_in_onnx_export():
        return x.unfold(-1, size, hop)
    starts = torch.arange(0, x.shape[-1] - size + 1, hop)
    return x[..., starts[:, None] + torch.arange(size)]
