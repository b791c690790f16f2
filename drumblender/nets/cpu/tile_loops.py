"""What the fused layers on the CPU are made of: tiles of all channels and some frames, kept in the cache.

A tile is a float32 array ``(channels, frames)`` with a multiple of ``CHANNELS`` rows and of ``STEP`` columns.
Sound lies in memory as ``(channels, frames)`` of float32, or of bfloat16 given as its 16 bits (uint16).
What is multiplied is an operand: a tile, or where ``PAIRS`` multiplies bfloat16 a copy of it in that type.
"""

import math

import numpy as np
from numba import types
from numba.extending import overload

from drumblender.dsp.kernels.jit import PART, part
from drumblender.dsp.kernels.numba_math import bits_of_float, exp_below_0, float_of_bits
from drumblender.nets.cpu.lanes import (
    CHANNELS,
    PAIRS,
    STEP,
    VECTORS,
    inner_products,
    sum_rows,
)

_SQRT_HALF, _DENSITY_AT_0 = np.float32(math.sqrt(0.5)), np.float32(1 / math.sqrt(2 * math.pi))
_ROWS = 80  # of a step of frames that stay in a first-level cache, however far apart
_ZERO, _HALF, _ONE = np.float32(0), np.float32(0.5), np.float32(1)


@part
def _widened(bits):
    return float_of_bits(np.int32(np.uint32(bits) << np.uint32(16)))


@part
def _rounded(value):
    """The bits of a float32 whose upper half is the nearest bfloat16; of two, the even one."""
    bits = np.uint32(bits_of_float(value))
    return bits + np.uint32(0x7FFF) + ((bits >> np.uint32(16)) & np.uint32(1))


def _copy(source, channel, start, stop, target):
    """Convert columns of a channel, or of the pair of channels of that number, to what ``target`` holds."""


@overload(_copy, jit_options=PART)
def _(source, channel, start, stop, target):
    if target.dtype == source.dtype:

        def copy(source, channel, start, stop, target):
            row = source[channel, start:stop]
            for t in range(row.size):  # the compiler makes more of it than of target[:] = row
                target[t] = row[t]
    elif target.dtype == types.float32:

        def copy(source, channel, start, stop, target):
            row = source[channel, start:stop]
            for t in range(row.size):
                target[t] = _widened(row[t])
    elif target.dtype == types.uint16:

        def copy(source, channel, start, stop, target):
            row = source[channel, start:stop]
            for t in range(row.size):
                target[t] = np.uint16(_rounded(row[t]) >> np.uint32(16))
    elif source.dtype == types.uint16:

        def copy(source, channel, start, stop, target):
            row = source[2 * channel, start:stop]
            for t in range(row.size):
                target[t] = np.uint32(row[t])
            if 2 * channel + 1 < source.shape[0]:
                row = source[2 * channel + 1, start:stop]
                for t in range(row.size):
                    target[t] |= np.uint32(row[t]) << np.uint32(16)
    else:

        def copy(source, channel, start, stop, target):
            low, high = source[2 * channel, start:stop], source[2 * channel + 1, start:stop]
            for t in range(low.size):
                upper = _rounded(high[t]) & np.uint32(0xFFFF0000)
                target[t] = upper | (_rounded(low[t]) >> np.uint32(16))

    return copy


def row_operand(tile, weights):
    """A tile as ``add_products`` takes it."""


@overload(row_operand, jit_options=PART)
def _(tile, weights):
    if weights.dtype == types.float32:
        return lambda tile, weights: tile

    def pairs(tile, weights):
        room = np.empty((tile.shape[0] // 2, tile.shape[1]), np.uint32)
        for channel in range(room.shape[0]):
            _copy(tile, channel, 0, tile.shape[1], room[channel])
        return room

    return pairs


def time_operand(tile, sound):
    """A tile as ``add_weight_grad`` takes it."""


@overload(time_operand, jit_options=PART)
def _(tile, sound):
    if sound.dtype == types.float32 or not PAIRS:
        return lambda tile, sound: tile

    def narrow(tile, sound):
        room = np.empty(tile.shape, np.uint16)
        for channel in range(room.shape[0]):
            _copy(tile, channel, 0, tile.shape[1], room[channel])
        return room

    return narrow


def time_window(sound, channels, frames):
    """Room for a window that ``add_weight_grad`` takes."""


@overload(time_window, jit_options=PART)
def _(sound, channels, frames):
    dtype = np.uint16 if sound.dtype == types.uint16 and PAIRS else np.float32
    return lambda sound, channels, frames: np.zeros((channels, frames), dtype)


@part
def row_window(weights, taps, frames):
    """Room for a window that ``add_products`` takes."""
    return np.zeros((weights.shape[1] // taps, frames), weights.dtype)


@part
def make_tile(channels, frames):
    """Room for a tile, zeros."""
    return np.zeros((-(-channels // CHANNELS) * CHANNELS, -(-frames // STEP) * STEP), np.float32)


@part
def load(rows, begin, tile):
    """Copy columns from ``begin`` on to a tile or a window; what lies outside of the sound is 0."""
    low = min(max(-begin, 0), tile.shape[1])
    high = max(min(rows.shape[1] - begin, tile.shape[1]), low)
    for channel in range(min(rows.shape[0], tile.shape[0])):
        target = tile[channel]
        target[:low] = 0
        target[high:] = 0
        _copy(rows, channel, begin + low, begin + high, target[low:high])


@part
def store(tile, rows, begin):
    """Copy to columns from ``begin`` on; what would lie outside is dropped."""
    for channel in range(rows.shape[0]):
        target = rows[channel, begin : begin + tile.shape[1]]
        _copy(tile, channel, 0, target.size, target)


@part
def offsets_of(window, taps, dilation):
    """Where in a window laid flat each tap of each row starts; filled up to ``VECTORS``."""
    rows, width = window.shape
    offsets = np.zeros(-(-rows * taps // VECTORS) * VECTORS, np.int64)
    for row in range(rows):
        for tap in range(taps):
            offsets[row * taps + tap] = row * width + tap * dilation
    return offsets


@part
def convolve(window, offsets, weights, bias, out):
    """Convolve a window with packed weights."""
    for channel in range(out.shape[0]):
        out[channel] = bias[channel]
    add_products(window, offsets, weights, out)


@part
def add_products(window, offsets, weights, out):
    """Add the convolution of a window with packed weights.

    Some rows at a time serve all channels, so that they are read once from beyond the first-level cache.
    """
    flat, size = window.reshape(-1), weights.shape[1]
    for start in range(0, out.shape[1], STEP):
        for first in range(0, size, _ROWS):
            last = min(first + _ROWS, size)
            for block in range(weights.shape[0]):
                part = weights[block, first:last]
                sum_rows(flat, offsets[first:last], part, out, block * CHANNELS, start)


@part
def add_weight_grad(grad, window, offsets, sums):
    """Add what a tile of the output gives to ``sums`` ``(out, offsets)``; ``grad`` is 0 outside the sound."""
    flat = window.reshape(-1)
    for second in range(0, offsets.size, VECTORS):
        for first in range(0, grad.shape[0], CHANNELS):
            inner_products(grad, flat, offsets, sums, first, second)


@part
def add_sums(tile, sums):
    """Add the sum of each row."""
    for channel in range(tile.shape[0]):
        row, total = tile[channel], _ZERO
        for t in range(row.size):
            total += row[t]
        sums[channel] += total


@part
def elu(x):
    """ELU; NaN stays."""
    below = exp_below_0(min(x, _ZERO)) - _ONE
    return below if x <= _ZERO else x


@part
def elu_slope(x):
    return exp_below_0(min(x, _ZERO))


@part
def normal(x):
    """Distribution function and density of a normal variable, to 1e-7 (Abramowitz and Stegun 7.1.26)."""
    fall = exp_below_0(-_HALF * x * x)
    u = _ONE / (_ONE + np.float32(0.3275911) * _SQRT_HALF * abs(x))
    poly = np.float32(1.061405429)
    poly = poly * u + np.float32(-1.453152027)
    poly = poly * u + np.float32(1.421413741)
    poly = poly * u + np.float32(-0.284496736)
    poly = poly * u + np.float32(0.254829592)
    tail = _HALF * poly * u * fall
    return (tail if x < _ZERO else _ONE - tail), _DENSITY_AT_0 * fall
