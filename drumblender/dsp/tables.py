"""Constants of an op, made where nothing reads along and kept."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import lru_cache, partial, wraps
from typing import ParamSpec, TypeVar

import torch
from torch import Tensor
from torch.utils.weak import WeakIdKeyDictionary

from drumblender.dsp.kernels import read_along, traced

P = ParamSpec("P")
R = TypeVar("R")


def table(function: Callable[P, R]) -> Callable[P, R]:
    """Keep what a pure function of plain numbers returns; its tensors are shared, so do not write to them.

    What the first call makes must serve every later one, so it is made :func:`aside`.

    Examples:
        >>> @table
        ... def ramp(size):
        ...     return torch.arange(size)
        >>> ramp(3) is ramp(3)
        True
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

    Examples:
        >>> with torch.inference_mode():
        ...     aside(torch.zeros, 2).is_inference()
        False
    """
    with ThreadPoolExecutor(1) as other:
        return other.submit(function, *args, **kwargs).result()


_COPIES = WeakIdKeyDictionary()  # of each table, by device and type


def placed(kept: Tensor, like: Tensor, dtype: torch.dtype | None = None) -> Tensor:
    """``kept.to(like)``, copied once for each device and type while the table lives; do not write to it.

    A copy at every call makes a GPU wait for its host. For tensors of a :func:`table` alone, which stay: what
    a caller gives may change between two calls, and takes ``.to``.

    Args:
        kept: What a table holds.
        like: Whose device and type the copy has.
        dtype: Another type than that, such as the table's own.

    Examples:
        >>> ramp, wide = torch.arange(3), torch.zeros(1, dtype=torch.float64)
        >>> placed(ramp, wide) is placed(ramp, wide), placed(ramp, wide, ramp.dtype) is ramp
        (True, True)
    """
    dtype = dtype or like.dtype
    if (kept.device, kept.dtype) == (like.device, dtype):
        return kept
    if traced() or kept.requires_grad:  # the copy belongs to the graph
        return kept.to(device=like.device, dtype=dtype)
    copies = _COPIES.setdefault(kept, {})
    if (like.device, dtype) not in copies:
        copy = partial(kept.to, device=like.device, dtype=dtype)
        with torch.inference_mode(False), torch.no_grad():  # a later call may take gradients
            copies[like.device, dtype] = aside(copy) if read_along() else copy()
    return copies[like.device, dtype]


def frames_of(x: Tensor, size: int, hop: int) -> Tensor:
    """``x.unfold(-1, size, hop)``, for which ONNX has no operator.

    Examples:
        >>> frames_of(torch.arange(6), size=4, hop=2)
        tensor([[0, 1, 2, 3],
                [2, 3, 4, 5]])
    """
    if not torch.onnx.is_in_onnx_export():
        return x.unfold(-1, size, hop)
    starts = torch.arange(0, x.shape[-1] - size + 1, hop)
    return x[..., starts[:, None] + torch.arange(size)]
