"""Triton kernels of the sparse recursion: one program an item walks through time in blocks.

A block ends where a sample would hear it, so that its samples are computed at once; how far that is the
program finds out by itself, since the host would have to wait for the lags. What one lane wrote, others read
a block later: those loads pass by the first-level cache. What lies before the history is silence.
"""

import triton
import triton.language as tl
from torch import Tensor

_BLOCK = 256  # samples at most; a string of 160 Hz at 41 kHz comes back after as many


@triton.jit
def _larger(a, b):
    return tl.maximum(a, b)


@triton.jit
def _forward(excitation, lag, taps, signal, num_samples, history, WIDTH: tl.constexpr, BLOCK: tl.constexpr):
    item = tl.program_id(0).to(tl.int64)
    excitation += item * num_samples
    lag += item * num_samples
    taps += item * num_samples * WIDTH
    signal += item * (history + num_samples) + history
    lane = tl.arange(0, BLOCK)
    first = 0
    while first < num_samples:
        n = first + lane
        read = n - tl.load(lag + n, mask=n < num_samples, other=1)
        step = tl.min(tl.where(read < first, BLOCK, lane), axis=0)
        mine = (lane < step) & (n < num_samples)
        total = tl.load(excitation + n, mask=mine, other=0.0)
        for k in tl.static_range(WIDTH):
            tap = tl.load(taps + n * WIDTH + k, mask=mine, other=0.0)
            heard = mine & (read - k >= -history)
            total -= tap * tl.load(signal + read - k, mask=heard, other=0.0, cache_modifier=".cg")
        tl.store(signal + n, total, mask=mine)
        tl.debug_barrier()
        first += tl.maximum(step, 1)  # whatever the lags, there is an end


@triton.jit
def _backward(
    adjoint,
    lag,
    taps,
    signal,
    grad_taps,
    num_samples,
    history,
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
    last = num_samples - 1
    while last >= 0:
        n = last - lane
        read = n - tl.load(lag + n, mask=n >= 0, other=1)
        latest = tl.associative_scan(read, 0, _larger)  # that the samples from n on have heard
        step = tl.min(tl.where(latest < n, BLOCK, lane), axis=0)
        mine = (lane < step) & (n >= 0)
        final = tl.load(adjoint + n, mask=mine, other=0.0, cache_modifier=".cg")
        for k in tl.static_range(WIDTH):
            heard = mine & (read - k >= -history)
            past = tl.load(signal + read - k, mask=heard, other=0.0)
            tl.store(grad_taps + n * WIDTH + k, -final * past, mask=mine)
            tap = tl.load(taps + n * WIDTH + k, mask=mine, other=0.0)
            # Two lanes may have read one sample where the lag moves.
            tl.atomic_add(adjoint + read - k, -tap * final, mask=heard, sem="relaxed")
        tl.debug_barrier()
        last -= tl.maximum(step, 1)


def loop_forward(excitation: Tensor, lag: Tensor, taps: Tensor, padded: Tensor, _nearest: int = 0) -> None:
    """Fill ``padded`` after its history."""
    batch, num_samples, width = taps.shape
    history = padded.shape[1] - num_samples
    _forward[(batch,)](excitation, lag, taps, padded, num_samples, history, WIDTH=width, BLOCK=_BLOCK)


def loop_backward(
    adjoint: Tensor, lag: Tensor, taps: Tensor, padded: Tensor, grad_taps: Tensor, _nearest: int = 0
) -> None:
    """Adjoint of :func:`loop_forward`, in place of ``adjoint`` and into ``grad_taps``."""
    batch, num_samples, width = taps.shape
    history = padded.shape[1] - num_samples
    tensors = adjoint, lag, taps, padded, grad_taps
    _backward[(batch,)](*tensors, num_samples, history, WIDTH=width, BLOCK=_BLOCK)
