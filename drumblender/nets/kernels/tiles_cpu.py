"""What the fused layers on the CPU are made of: tiles of all channels and some frames, kept in the cache.

A tile is a float32 array ``(channels, frames)`` with a multiple of ``CHANNELS`` rows and of ``STEP`` columns.
Sound lies in memory as ``(channels, frames)`` of float32, or of bfloat16 given as its 16 bits (uint16).
numba's cache of the kernels does not see a change made here or in ``lanes``: count their versions up.
What is multiplied is an operand: a tile, or where ``PAIRS`` multiplies bfloat16 a copy of it in that type.
"""

import math

import numpy as np
from numba import njit, types
from numba.extending import overload

from drumblender.nets.kernels.lanes import (
    CHANNELS,
    PAIRS,
    STEP,
    VECTORS,
    bits_of_float,
    float_of_bits,
    inner_products,
    sum_rows,
)

# Python's error model tests every divisor for 0, which keeps a loop from being vectorised.
FAST = {
    "nogil": True,
    "cache": True,
    "error_model": "numpy",
    "fastmath": {"reassoc", "contract", "nsz", "arcp"},
}
_PART = FAST | {"cache": False, "no_cpython_wrapper": True, "no_cfunc_wrapper": True}  # compiles faster
_LOG2_E, _LN2 = np.float32(1 / math.log(2)), np.float32(math.log(2))
_SQRT_HALF, _DENSITY_AT_0 = np.float32(math.sqrt(0.5)), np.float32(1 / math.sqrt(2 * math.pi))
_ROWS = 80  # of a step of frames that stay in a first-level cache, however far apart
_ZERO, _HALF, _ONE = np.float32(0), np.float32(0.5), np.float32(1)


@njit(**_PART)
def _widened(bits):
    return float_of_bits(np.int32(np.uint32(bits) << np.uint32(16)))


@njit(**_PART)
def _rounded(value):
    """The bits of a float32 whose upper half is the nearest bfloat16; of two, the even one."""
    bits = np.uint32(bits_of_float(value))
    return bits + np.uint32(0x7FFF) + ((bits >> np.uint32(16)) & np.uint32(1))


def _copy(source, channel, start, stop, target):
    """Convert columns of a channel, or of the pair of channels of that number, to what ``target`` holds."""


@overload(_copy, jit_options=_PART)
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


@overload(row_operand, jit_options=_PART)
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


@overload(time_operand, jit_options=_PART)
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


@overload(time_window, jit_options=_PART)
def _(sound, channels, frames):
    dtype = np.uint16 if sound.dtype == types.uint16 and PAIRS else np.float32
    return lambda sound, channels, frames: np.zeros((channels, frames), dtype)


@njit(**_PART)
def row_window(weights, taps, frames):
    """Room for a window that ``add_products`` takes."""
    return np.zeros((weights.shape[1] // taps, frames), weights.dtype)


@njit(**_PART)
def make_tile(channels, frames):
    """Room for a tile, zeros."""
    return np.zeros((-(-channels // CHANNELS) * CHANNELS, -(-frames // STEP) * STEP), np.float32)


@njit(**_PART)
def load(rows, begin, tile):
    """Copy columns from ``begin`` on to a tile or a window; what lies outside of the sound is 0."""
    low = min(max(-begin, 0), tile.shape[1])
    high = max(min(rows.shape[1] - begin, tile.shape[1]), low)
    for channel in range(min(rows.shape[0], tile.shape[0])):
        target = tile[channel]
        target[:low] = 0
        target[high:] = 0
        _copy(rows, channel, begin + low, begin + high, target[low:high])


@njit(**_PART)
def store(tile, rows, begin):
    """Copy to columns from ``begin`` on; what would lie outside is dropped."""
    for channel in range(rows.shape[0]):
        target = rows[channel, begin : begin + tile.shape[1]]
        _copy(tile, channel, 0, target.size, target)


@njit(**_PART)
def offsets_of(window, taps, dilation):
    """Where in a window laid flat each tap of each row starts; filled up to ``VECTORS``."""
    rows, width = window.shape
    offsets = np.zeros(-(-rows * taps // VECTORS) * VECTORS, np.int64)
    for row in range(rows):
        for tap in range(taps):
            offsets[row * taps + tap] = row * width + tap * dilation
    return offsets


@njit(**_PART)
def convolve(window, offsets, weights, bias, out):
    """Convolve a window with packed weights."""
    for channel in range(out.shape[0]):
        out[channel] = bias[channel]
    add_products(window, offsets, weights, out)


@njit(**_PART)
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


@njit(**_PART)
def add_weight_grad(grad, window, offsets, sums):
    """Add what a tile of the output gives to ``sums`` ``(out, offsets)``; ``grad`` is 0 outside the sound."""
    flat = window.reshape(-1)
    for second in range(0, offsets.size, VECTORS):
        for first in range(0, grad.shape[0], CHANNELS):
            inner_products(grad, flat, offsets, sums, first, second)


@njit(**_PART)
def add_sums(tile, sums):
    """Add the sum of each row."""
    for channel in range(tile.shape[0]):
        row, total = tile[channel], _ZERO
        for t in range(row.size):
            total += row[t]
        sums[channel] += total


@njit(**_PART)
def exp_below_0(x):
    """exp(x) of x <= 0, to about 1 ulp; 1e-38 where it is less."""
    x = max(x, np.float32(-87))
    power = np.int32(x * _LOG2_E - _HALF)
    x -= np.float32(power) * _LN2  # in half a ln(2) around 0
    poly = np.float32(1 / 720)
    poly = poly * x + np.float32(1 / 120)
    poly = poly * x + np.float32(1 / 24)
    poly = poly * x + np.float32(1 / 6)
    poly = poly * x + _HALF
    poly = poly * x + _ONE
    poly = poly * x + _ONE
    return poly * float_of_bits((power + np.int32(127)) << np.int32(23))


@njit(**_PART)
def elu(x):
    """ELU; NaN stays."""
    below = exp_below_0(min(x, _ZERO)) - _ONE
    return below if x <= _ZERO else x


@njit(**_PART)
def elu_slope(x):
    return exp_below_0(min(x, _ZERO))


@njit(**_PART)
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
