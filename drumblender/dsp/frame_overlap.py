"""Frames added to a signal, in programs too that learn their number when they run."""

import inspect
import math
from collections.abc import Callable
from functools import cache
from typing import Any

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


def add_frames(
    signal: Float[Tensor, "samples"], frames: Float[Tensor, "frames size"], hop: int, most: int = 32
) -> Float[Tensor, "longer"]:
    """The signal, a frame less a hop long, with the frames added, a hop apart; longer by all hops.

    Args:
        signal: What frames were added to before.
        frames: The next ones.
        hop: Samples from one to the next.
        most: Frames that a program exported to ONNX can be given.

    Examples:
        >>> add_frames(torch.zeros(2), torch.ones(2, 4), hop=2).tolist()
        [1.0, 1.0, 2.0, 2.0, 1.0, 1.0]
    """
    if torch.onnx.is_in_onnx_export():
        return _add_pieces(signal, frames, hop, most)
    return looped(_add_in_turn)(signal, frames, hop)


def _add_in_turn(signal: Tensor, frames: Tensor, hop: int) -> Tensor:
    kept = signal.size(0)
    longer = torch.cat([signal, frames.narrow(1, kept, hop).reshape(-1)])
    for place, frame in enumerate(frames.narrow(1, 0, kept).unbind(0)):
        longer.narrow(0, place * hop, kept).add_(frame)
    return longer


def _add_pieces(signal: Tensor, frames: Tensor, hop: int, most: int) -> Tensor:
    """By the indices of the longest pieces that hops and frames are made of; ONNX's own loops are slow."""
    kept = len(signal)
    piece = math.gcd(hop, kept)
    starts = hop // piece * torch.arange(most)[:, None] + torch.arange(kept // piece)
    early, late = frames.split([kept, hop], dim=1)
    longer = torch.cat([signal, late.reshape(-1)]).reshape(-1, piece)
    return _AddRows.apply(longer, starts[:, :, None], early.reshape(-1, kept // piece, piece)).reshape(-1)


class _AddRows(torch.autograd.Function):
    """Adds rows at their places, of which it takes as many as there are frames: in ONNX three operators.

    PyTorch's exporter writes ``index_put`` in fourteen.
    """

    @staticmethod
    def forward(ctx: Any, rows: Tensor, places: Tensor, added: Tensor) -> Tensor:
        return rows.index_put((places[: len(added), :, 0],), added, accumulate=True)

    @staticmethod
    def symbolic(g: Any, rows: Any, places: Any, added: Any) -> Any:
        start, axis = (g.op("Constant", value_t=torch.tensor([0])) for _ in range(2))
        frames = g.op("Shape", added, start_i=0, end_i=1)
        few = g.op("Slice", places, start, frames, axis)
        return g.op("ScatterND", rows, few, added, reduction_s="add").setType(rows.type())
