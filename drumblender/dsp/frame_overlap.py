"""Frames cut out of a signal and added back, for programs that learn their number when they run."""

import inspect
import math
from collections.abc import Callable
from functools import cache

import torch
from jaxtyping import Float
from torch import Tensor


def looped(function: Callable) -> Callable:
    """The function; while a tracer follows, as a script, for a tracer would unroll the loops that it saw.

    Examples:
        >>> def double(x: torch.Tensor) -> torch.Tensor:
        ...     return 2 * x
        >>> looped(double) is double
        True
    """
    return _scripted(function) if torch.jit.is_tracing() else function


@cache
def _scripted(function: Callable) -> Callable:
    return torch.jit.script(inspect.unwrap(function))


def cut_frames(
    signal: Float[Tensor, "samples *rest"], size: int, hop: int, count: int | Tensor
) -> Float[Tensor, "frames size *rest"]:
    """The first frames of the signal; without copying, but for ONNX, where they are looked up.

    Examples:
        >>> cut_frames(torch.arange(7.0), size=3, hop=2, count=2).tolist()
        [[0.0, 1.0, 2.0], [2.0, 3.0, 4.0]]
    """
    if torch.onnx.is_in_onnx_export():
        return _look_up(signal, size, hop, count)
    frames = signal.unfold(0, size, hop)[:count]
    return frames if signal.ndim == 1 else frames.movedim(-1, 1)


def _look_up(signal: Tensor, size: int, hop: int, count: int | Tensor) -> Tensor:
    """Frames by the indices of the longest pieces that frames and hops are made of."""
    piece = math.gcd(size, hop)
    places = hop // piece * torch.arange(count)[:, None] + torch.arange(size // piece)
    return signal[places] if piece == 1 else signal.reshape(-1, piece)[places].reshape(-1, size)


def add_frames(
    signal: Float[Tensor, "samples"], frames: Float[Tensor, "frames size"], hop: int, count: int | Tensor
) -> Float[Tensor, "longer"]:
    """The signal, a frame less a hop long, with as many frames added, a hop apart; longer by all hops.

    Examples:
        >>> add_frames(torch.zeros(2), torch.ones(2, 4), hop=2, count=2).tolist()
        [1.0, 1.0, 2.0, 2.0, 1.0, 1.0]
    """
    if torch.onnx.is_in_onnx_export():
        return _add_scattered(signal, frames, hop, count)
    return looped(_add_in_turn)(signal, frames, hop)


def _add_in_turn(signal: Tensor, frames: Tensor, hop: int) -> Tensor:
    longer = torch.cat([signal, torch.zeros(frames.size(0) * hop)])
    for place, frame in enumerate(frames.unbind(0)):
        longer.narrow(0, place * hop, frames.size(1)).add_(frame)
    return longer


def _add_scattered(signal: Tensor, frames: Tensor, hop: int, count: int | Tensor) -> Tensor:
    """Sample by sample, by their indices; ONNX's own loops are slow."""
    longer = torch.cat([signal, torch.zeros(count * hop)])
    places = hop * torch.arange(count)[:, None] + torch.arange(int(frames.shape[1]))
    return longer.scatter_add(0, places.reshape(-1), frames.reshape(-1))
