"""Distances between the magnitudes of two spectra, and their adjoints, one pass over memory each.

Spectra come as rows of interleaved real and imaginary parts: ``(rows, 2 * bins)`` float32, a row a frame.
"""

import math

import numpy as np

from drumblender.dsp.kernels.jit import FASTEST, jit
from drumblender.dsp.kernels.numba_math import log_above_0

_INF = np.float32(math.inf)


@jit(fastmath=FASTEST)
def products(x, y, floor, sums, start, stop):
    """For each row: the sums of u v and v v, of magnitudes u and v whose squares are at least ``floor``."""
    for row in range(start, stop):
        a, b = x[row], y[row]
        cross, energy = np.float32(0.0), np.float32(0.0)
        for k in range(a.size // 2):
            p = max(a[2 * k] * a[2 * k] + a[2 * k + 1] * a[2 * k + 1], floor)
            q = max(b[2 * k] * b[2 * k] + b[2 * k + 1] * b[2 * k + 1], floor)
            cross += math.sqrt(p) * math.sqrt(q)
            energy += q
        sums[row, 0], sums[row, 1] = cross, energy


@jit(fastmath=FASTEST)
def distances(x, y, gain, floor, offset, sums, start, stop):
    """For each row: the sums of (u - v)^2, v^2, |ln(u + offset) - ln(v + offset)| and |u - v|.

    u and v are the magnitudes, v times the gain of its row.
    """
    for row in range(start, stop):
        a, b, g = x[row], y[row], gain[row]
        squares, energy = np.float32(0.0), np.float32(0.0)
        logs, absolute = np.float32(0.0), np.float32(0.0)
        for k in range(a.size // 2):
            u = math.sqrt(max(a[2 * k] * a[2 * k] + a[2 * k + 1] * a[2 * k + 1], floor))
            v = g * math.sqrt(max(b[2 * k] * b[2 * k] + b[2 * k + 1] * b[2 * k + 1], floor))
            logs += abs(log_above_0((u + offset) / (v + offset)))
            squares += (u - v) * (u - v)
            energy += v * v
            absolute += abs(u - v)
        if not absolute < _INF:  # nor NaN: the logarithm's bits would hide it, and isfinite is optimised away
            logs = absolute
        sums[row, 0], sums[row, 1], sums[row, 2], sums[row, 3] = squares, energy, logs, absolute


@jit(fastmath=FASTEST)
def distances_gain_slope(x, y, gain, floor, offset, slopes, start, stop):
    """For each row, minus the slopes over the gain: half the first sum's, the logs' and that of |u - v|."""
    zero = np.float32(0.0)
    for row in range(start, stop):
        a, b, g = x[row], y[row], gain[row]
        inner, logs, absolute = zero, zero, zero
        for k in range(a.size // 2):
            u = math.sqrt(max(a[2 * k] * a[2 * k] + a[2 * k + 1] * a[2 * k + 1], floor))
            v = math.sqrt(max(b[2 * k] * b[2 * k] + b[2 * k + 1] * b[2 * k + 1], floor))
            difference = u - g * v
            slope = (np.float32(difference > zero) - np.float32(difference < zero)) * v
            inner += difference * v
            logs += slope / (g * v + offset)
            absolute += slope
        slopes[row, 0], slopes[row, 1], slopes[row, 2] = inner, logs, absolute


@jit(fastmath=FASTEST)
def distances_adjoint(x, y, gain, floor, offset, grads, grad_x, start, stop):
    """Gradient with respect to the spectrum x.

    ``grads`` holds for each row the gradients of the sums of (u - v)^2, of the logs, of |u - v| and of u v.
    """
    zero, two = np.float32(0.0), np.float32(2.0)
    tiny = max(floor, np.float32(1e-37))
    for row in range(start, stop):
        a, b, out, g = x[row], y[row], grad_x[row], gain[row]
        squares, logs, absolute, cross = two * grads[row, 0], grads[row, 1], grads[row, 2], grads[row, 3]
        for k in range(a.size // 2):
            power = a[2 * k] * a[2 * k] + a[2 * k + 1] * a[2 * k + 1]
            u = math.sqrt(max(power, tiny))
            v = math.sqrt(max(b[2 * k] * b[2 * k] + b[2 * k + 1] * b[2 * k + 1], floor))
            difference = u - g * v
            sign = np.float32(difference > zero) - np.float32(difference < zero)
            slope = squares * difference + sign * (logs / (u + offset) + absolute) + cross * v
            slope = slope / u if power >= tiny else zero
            out[2 * k] = slope * a[2 * k]
            out[2 * k + 1] = slope * a[2 * k + 1]


@jit(fastmath=FASTEST)
def log_distances(x, y, eps, out, start, stop):
    """For each row: the root mean square of ln(|x|^2 + eps) - ln(|y|^2 + eps)."""
    for row in range(start, stop):
        a, b = x[row], y[row]
        power, total = np.float32(0.0), np.float32(0.0)
        for k in range(a.size // 2):
            p = a[2 * k] * a[2 * k] + a[2 * k + 1] * a[2 * k + 1]
            q = b[2 * k] * b[2 * k] + b[2 * k + 1] * b[2 * k + 1]
            log = log_above_0((p + eps) / (q + eps))
            total += log * log
            power += p + q
        # What is not finite, the logarithm's bits would hide.
        out[row] = math.sqrt(total / (a.size // 2)) if power < _INF else math.nan
