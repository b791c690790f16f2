"""What the fused layers on the CPU are made of: tiles of all channels and some frames, kept in the cache.

A tile is a float32 array ``(channels, frames)`` with a multiple of ``CHANNELS`` rows and of ``STEP`` columns.
Sound lies in memory as ``(channels, frames)`` of float32, or of bfloat16 given as its 16 bits (uint16).
"""

import math

import numpy as np
from numba import njit, types
from numba.extending import overload

from drumblender.nets.kernels.lanes import (
    CHANNELS,
    STEP,
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
_LOG2_E, _LN2 = np.float32(1 / math.log(2)), np.float32(math.log(2))
_SQRT_HALF, _DENSITY_AT_0 = np.float32(math.sqrt(0.5)), np.float32(1 / math.sqrt(2 * math.pi))
_ZERO, _HALF, _ONE = np.float32(0), np.float32(0.5), np.float32(1)


def _widen(value):
    """A stored number as float32."""


@overload(_widen, inline="always")
def _(value):
    if value == types.uint16:
        return lambda value: float_of_bits(np.int32(np.uint32(value) << np.uint32(16)))
    return lambda value: value


def _put(row, index, value):
    """Store a float32, rounded to the nearest number that the row can hold."""


@overload(_put, inline="always")
def _(row, index, value):
    if row.dtype != types.uint16:

        def plain(row, index, value):
            row[index] = value

        return plain

    def rounded(row, index, value):
        bits = np.uint32(bits_of_float(value))
        to_even = np.uint32(0x7FFF) + ((bits >> np.uint32(16)) & np.uint32(1))
        row[index] = np.uint16((bits + to_even) >> np.uint32(16))

    return rounded


@njit(**FAST)
def make_tile(channels, frames):
    """Room for a tile, zeros."""
    return np.zeros((-(-channels // CHANNELS) * CHANNELS, -(-frames // STEP) * STEP), np.float32)


@njit(**FAST)
def load(rows, begin, tile):
    """Copy columns from ``begin`` on; what lies outside of the sound is 0."""
    low = min(max(-begin, 0), tile.shape[1])
    high = max(min(rows.shape[1] - begin, tile.shape[1]), low)
    for channel in range(rows.shape[0]):
        target = tile[channel]
        target[:low] = 0.0
        target[high:] = 0.0
        source, inside = rows[channel, begin + low : begin + high], target[low:high]
        for t in range(inside.size):
            inside[t] = _widen(source[t])


@njit(**FAST)
def store(tile, rows, begin):
    """Copy to columns from ``begin`` on; what would lie outside is dropped."""
    for channel in range(rows.shape[0]):
        target, source = rows[channel, begin : begin + tile.shape[1]], tile[channel]
        for t in range(target.size):
            _put(target, t, source[t])


@njit(**FAST)
def offsets_of(channels, width, taps, dilation):
    """Where in a flat window of that width each tap of each channel starts; filled up to ``CHANNELS``."""
    offsets = np.zeros(-(-channels * taps // CHANNELS) * CHANNELS, np.int64)
    for channel in range(channels):
        for tap in range(taps):
            offsets[channel * taps + tap] = channel * width + tap * dilation
    return offsets


@njit(**FAST)
def convolve(window, offsets, weights, bias, out):
    """Convolve a window with packed weights."""
    for channel in range(out.shape[0]):
        out[channel] = bias[channel]
    add_products(window, offsets, weights, out)


@njit(**FAST)
def add_products(window, offsets, weights, out):
    """Add the convolution of a window with packed weights."""
    flat = window.reshape(-1)
    for block in range(weights.shape[0]):
        for start in range(0, out.shape[1], STEP):
            sum_rows(flat, offsets, weights[block], out, block * CHANNELS, start)


@njit(**FAST)
def add_weight_grad(grad, window, offsets, sums):
    """Add what a tile of the output gives to ``sums`` ``(out, offsets)``; ``grad`` is 0 outside the sound."""
    flat = window.reshape(-1)
    for second in range(0, offsets.size, CHANNELS):
        for first in range(0, grad.shape[0], CHANNELS):
            inner_products(grad, flat, offsets, sums, first, second)


@njit(**FAST)
def add_sums(tile, sums):
    """Add the sum of each row."""
    for channel in range(tile.shape[0]):
        row, total = tile[channel], _ZERO
        for t in range(row.size):
            total += row[t]
        sums[channel] += total


@njit(inline="always", **FAST)
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


@njit(inline="always", **FAST)
def elu(x):
    """ELU; NaN stays."""
    below = exp_below_0(min(x, _ZERO)) - _ONE
    return below if x <= _ZERO else x


@njit(inline="always", **FAST)
def elu_slope(x):
    return exp_below_0(min(x, _ZERO))


@njit(inline="always", **FAST)
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
