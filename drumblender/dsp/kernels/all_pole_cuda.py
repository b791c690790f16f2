"""Triton kernels of the sparse recursion: one program an item walks through time in blocks.

A block is no longer than the shortest lag, so its samples don't hear each other and are computed at
once. What one lane wrote, others read a block later: those loads pass by the first-level cache.
"""

import triton
import triton.language as tl
from torch import Tensor

_LONGEST_BLOCK = 1024


@triton.jit
def _forward(
    excitation, lag, taps, signal, num_samples, history, step, WIDTH: tl.constexpr, BLOCK: tl.constexpr
):
    item = tl.program_id(0).to(tl.int64)
    excitation += item * num_samples
    lag += item * num_samples
    taps += item * num_samples * WIDTH
    signal += item * (history + num_samples) + history
    lane = tl.arange(0, BLOCK)
    first = 0
    while first < num_samples:
        n = first + lane
        mine = (lane < step) & (n < num_samples)
        total = tl.load(excitation + n, mask=mine, other=0.0)
        read = n - tl.load(lag + n, mask=mine, other=1)
        for k in tl.static_range(WIDTH):
            tap = tl.load(taps + n * WIDTH + k, mask=mine, other=0.0)
            total -= tap * tl.load(signal + read - k, mask=mine, other=0.0, cache_modifier=".cg")
        tl.store(signal + n, total, mask=mine)
        tl.debug_barrier()
        first += step


@triton.jit
def _backward(
    adjoint,
    lag,
    taps,
    signal,
    grad_taps,
    num_samples,
    history,
    step,
    WIDTH: tl.constexpr,
    BLOCK: tl.constexpr,
):
    item = tl.program_id(0).to(tl.int64)
    lag += item * num_samples
    taps += item * num_samples * WIDTH
    grad_taps += item * num_samples * WIDTH
    signal += item * (history + num_samples) + history
    adjoint += item * (history + num_samples) + history
    lane = tl.arange(0, BLOCK)
    first = (num_samples - 1) // step * step
    while first >= 0:
        n = first + lane
        mine = (lane < step) & (n < num_samples)
        final = tl.load(adjoint + n, mask=mine, other=0.0, cache_modifier=".cg")
        read = n - tl.load(lag + n, mask=mine, other=1)
        for k in tl.static_range(WIDTH):
            past = tl.load(signal + read - k, mask=mine, other=0.0)
            tl.store(grad_taps + n * WIDTH + k, -final * past, mask=mine)
            tap = tl.load(taps + n * WIDTH + k, mask=mine, other=0.0)
            # Two lanes may have read one sample where the lag moves.
            tl.atomic_add(adjoint + read - k, -tap * final, mask=mine, sem="relaxed")
        tl.debug_barrier()
        first -= step


def loop_forward(excitation: Tensor, lag: Tensor, taps: Tensor, padded: Tensor, nearest: int) -> None:
    """Fill ``padded`` after its history; ``nearest`` is the shortest lag."""
    batch, num_samples, width = taps.shape
    history = padded.shape[1] - num_samples
    step, sizes = _sizes(nearest, width)
    _forward[(batch,)](excitation, lag, taps, padded, num_samples, history, step, **sizes)


def loop_backward(
    adjoint: Tensor, lag: Tensor, taps: Tensor, padded: Tensor, grad_taps: Tensor, nearest: int
) -> None:
    """Adjoint of :func:`loop_forward`, in place of ``adjoint`` and into ``grad_taps``."""
    batch, num_samples, width = taps.shape
    history = padded.shape[1] - num_samples
    step, sizes = _sizes(nearest, width)
    _backward[(batch,)](adjoint, lag, taps, padded, grad_taps, num_samples, history, step, **sizes)


def _sizes(nearest: int, width: int) -> tuple[int, dict[str, int]]:
    step = min(nearest, _LONGEST_BLOCK)
    block = max(triton.next_power_of_2(step), 32)
    return step, {"WIDTH": width, "BLOCK": block, "num_warps": max(block // 128, 1)}
