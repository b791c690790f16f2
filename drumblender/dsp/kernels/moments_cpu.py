"""Centroid and flatness of rows of magnitudes, and their adjoints.

Both need the logarithm of every bin, but only in sums: the logarithm of a product costs one logarithm for
eight bins. The products are kept in double precision, which eight magnitudes cannot leave.
"""

import math

import numpy as np
from numba import njit

_FAST = {"nogil": True, "cache": True, "error_model": "numpy", "fastmath": {"reassoc", "contract", "nsz"}}
_LANES = 16  # columns of products side by side
_DEPTH = 8  # factors in each
_BLOCK = _LANES * _DEPTH
_TINY = 1e-12


@njit(**_FAST)
def _log_moments(x, floor):
    """Sums of log(1 + x) and of k log(1 + x) over the bins k, x lifted to the floor."""
    total, first = 0.0, 0.0
    product, powers = np.empty(_LANES), np.empty(_LANES)
    whole = x.size // _BLOCK * _BLOCK
    for begin in range(0, whole, _BLOCK):
        product[:], powers[:] = 1.0, 1.0
        for depth in range(_DEPTH - 1, -1, -1):
            for lane in range(_LANES):
                product[lane] *= 1.0 + max(np.float64(x[begin + depth * _LANES + lane]), floor)
            if depth > 0:  # so that the factor of each depth is multiplied in as often as its depth says
                for lane in range(_LANES):
                    powers[lane] *= product[lane]
        for lane in range(_LANES):
            log = math.log(product[lane])
            total += log
            first += (begin + lane) * log + _LANES * math.log(powers[lane])
    for k in range(whole, x.size):
        log = math.log1p(max(np.float64(x[k]), floor))
        total += log
        first += k * log
    if not math.isfinite(first):  # magnitudes beyond 1e10 overflow the powers
        total, first = 0.0, 0.0
        for k in range(x.size):
            log = math.log1p(max(np.float64(x[k]), floor))
            total += log
            first += k * log
    return total, first


@njit(**_FAST)
def centroid_forward(magnitude, compress, floor, centre, total, start, stop):
    """The mean bin, weighted by the magnitude or its log(1 + x), and the sum of the weights."""
    for row in range(start, stop):
        x = magnitude[row]
        if compress:
            weight, first = _log_moments(x, floor)
        else:
            weight, first = 0.0, 0.0
            for k in range(x.size):
                value = max(np.float64(x[k]), floor)
                weight += value
                first += k * value
        total[row] = weight
        centre[row] = first / max(weight, _TINY)


@njit(**_FAST)
def centroid_backward(magnitude, compress, floor, centre, total, grad, grad_magnitude, start, stop):
    kind = magnitude.dtype.type
    zero, one, low = kind(0.0), kind(1.0), kind(floor)
    for row in range(start, stop):
        x = magnitude[row]
        slope = kind(grad[row] / max(total[row], _TINY))
        middle = kind(centre[row]) if total[row] >= _TINY else zero
        for k in range(x.size):
            by_weight = slope * (kind(k) - middle)
            if compress:
                by_weight = by_weight / (one + x[k])
            grad_magnitude[row, k] = by_weight if x[k] >= low else zero


@njit(**_FAST)
def flatness_forward(magnitude, amin, ratio, mean, start, stop):
    """Geometric over arithmetic mean of the power, lifted to ``amin``; and the arithmetic mean."""
    for row in range(start, stop):
        x = magnitude[row]
        total, log = 0.0, 0.0
        product = np.empty(_LANES)
        whole = x.size // _BLOCK * _BLOCK
        for begin in range(0, whole, _BLOCK):
            product[:] = 1.0
            for depth in range(_DEPTH):
                for lane in range(_LANES):
                    value = np.float64(x[begin + depth * _LANES + lane])
                    power = max(value * value, amin)
                    total += power
                    product[lane] *= power
            for lane in range(_LANES):
                log += math.log(product[lane])
        for k in range(whole, x.size):
            value = np.float64(x[k])
            power = max(value * value, amin)
            total += power
            log += math.log(power)
        mean[row] = total / x.size
        ratio[row] = math.exp(log / x.size) / mean[row]


@njit(**_FAST)
def flatness_backward(magnitude, amin, ratio, mean, grad, grad_magnitude, start, stop):
    kind = magnitude.dtype.type
    zero, low = kind(0.0), kind(amin)
    for row in range(start, stop):
        x = magnitude[row]
        slope = kind(2 * grad[row] * ratio[row] / x.size)
        inverse = kind(1.0 / mean[row])
        for k in range(x.size):
            power = x[k] * x[k]
            grad_magnitude[row, k] = slope * (x[k] / power - x[k] * inverse) if power >= low else zero
