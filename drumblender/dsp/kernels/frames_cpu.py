"""Loops over overlapping frames: K-weighted power, and spectra through two windows at once."""

import math

import numpy as np
from numba import njit

_FAST = {"nogil": True, "cache": True, "error_model": "numpy", "fastmath": {"reassoc", "contract", "nsz"}}
_LANES = 16  # frames filtered side by side: a recursion waits for itself, sixteen of them fill the pipeline


@njit(**_FAST)
def _weigh(x, first_frame, lanes, hop, b, a, limit, once, twice):
    """Both K-weighting stages of ``lanes`` frames from rest, unlimited results to ``once`` and ``twice``."""
    size = once.shape[0]
    p0, p1, p2, p3, p4 = b[0, 0], b[0, 1], b[0, 2], a[0, 1], a[0, 2]
    q0, q1, q2, q3, q4 = b[1, 0], b[1, 1], b[1, 2], a[1, 1], a[1, 2]
    s1, s2, t1, t2 = np.zeros(_LANES), np.zeros(_LANES), np.zeros(_LANES), np.zeros(_LANES)
    for lane in range(_LANES):
        begin = (first_frame + min(lane, lanes - 1)) * hop
        for n in range(size):
            once[n, lane] = x[begin + n]
    for n in range(size):
        for lane in range(_LANES):
            sample = once[n, lane]
            y = p0 * sample + s1[lane]
            s1[lane] = p1 * sample - p3 * y + s2[lane]
            s2[lane] = p2 * sample - p4 * y
            once[n, lane] = y
            y = min(max(y, -limit), limit)
            z = q0 * y + t1[lane]
            t1[lane] = q1 * y - q3 * z + t2[lane]
            t2[lane] = q2 * y - q4 * z
            twice[n, lane] = z


@njit(**_FAST)
def k_power_forward(x, size, hop, b, a, limit, power, start, stop):
    """Mean square of each K-weighted frame."""
    once, twice = np.empty((size, _LANES)), np.empty((size, _LANES))
    total = np.empty(_LANES)
    for row in range(start, stop):
        for first in range(0, power.shape[1], _LANES):
            lanes = min(_LANES, power.shape[1] - first)
            _weigh(x[row], first, lanes, hop, b, a, limit, once, twice)
            total[:] = 0.0
            for n in range(size):
                for lane in range(_LANES):
                    z = min(max(twice[n, lane], -limit), limit)
                    total[lane] += z * z
            for lane in range(lanes):
                power[row, first + lane] = total[lane] / size


@njit(**_FAST)
def k_power_backward(x, size, hop, b, a, limit, grad, grad_x, start, stop):
    """Add each frame's gradient to the samples it covers; the recursions run backwards in time."""
    once, twice = np.empty((size, _LANES)), np.empty((size, _LANES))
    p0, p1, p2, p3, p4 = b[0, 0], b[0, 1], b[0, 2], a[0, 1], a[0, 2]
    q0, q1, q2, q3, q4 = b[1, 0], b[1, 1], b[1, 2], a[1, 1], a[1, 2]
    slope = np.empty(_LANES)
    s1, s2, t1, t2 = np.empty(_LANES), np.empty(_LANES), np.empty(_LANES), np.empty(_LANES)
    for row in range(start, stop):
        total = np.zeros(x.shape[1])
        for first in range(0, grad.shape[1], _LANES):
            lanes = min(_LANES, grad.shape[1] - first)
            _weigh(x[row], first, lanes, hop, b, a, limit, once, twice)
            slope[:] = 0.0
            for lane in range(lanes):
                slope[lane] = 2 * grad[row, first + lane] / size
            for n in range(size):
                for lane in range(_LANES):
                    z = twice[n, lane]
                    twice[n, lane] = slope[lane] * z if abs(z) <= limit else 0.0
            s1[:], s2[:], t1[:], t2[:] = 0.0, 0.0, 0.0, 0.0
            for n in range(size):  # the adjoint of a filter from rest is the filter, backwards in time
                late, early = twice[size - 1 - n], once[size - 1 - n]
                for lane in range(_LANES):
                    u = late[lane]
                    y = q0 * u + t1[lane]
                    t1[lane] = q1 * u - q3 * y + t2[lane]
                    t2[lane] = q2 * u - q4 * y
                    v = y if abs(early[lane]) <= limit else 0.0
                    z = p0 * v + s1[lane]
                    s1[lane] = p1 * v - p3 * z + s2[lane]
                    s2[lane] = p2 * v - p4 * z
                    early[lane] = z
            for lane in range(lanes):
                begin = (first + lane) * hop
                for n in range(size):
                    total[begin + n] += once[n, lane]
        for n in range(x.shape[1]):
            grad_x[row, n] = total[n]


@njit(**_FAST)
def cut_pairs(x, window, other, hop, frames):
    """Frames through ``window`` as real parts and through ``other`` as imaginary parts, in turn."""
    for i in range(frames.shape[0]):
        begin = i * hop
        for n in range(window.size):
            sample = x[begin + n]
            frames[i, 2 * n] = sample * window[n]
            frames[i, 2 * n + 1] = sample * other[n]


@njit(**_FAST)
def split_pairs(spectra, real, other):
    """Magnitudes of the spectra of real and imaginary parts, apart by conjugate symmetry."""
    size = spectra.shape[1] // 2
    half = spectra.dtype.type(0.5)
    for i in range(spectra.shape[0]):
        spectrum, one, two = spectra[i], real[i], other[i]
        one[0], two[0] = abs(spectrum[0]), abs(spectrum[1])
        for k in range(1, one.size):
            u, v = spectrum[2 * k], spectrum[2 * k + 1]
            p, q = spectrum[2 * (size - k)], spectrum[2 * (size - k) + 1]
            one[k] = (u + p) * (u + p) + (v - q) * (v - q)
            two[k] = (u - p) * (u - p) + (v + q) * (v + q)
        for k in range(1, one.size):  # apart from the loop above, these run many at a time
            one[k] = half * math.sqrt(one[k])
        for k in range(1, one.size):
            two[k] = half * math.sqrt(two[k])


@njit(**_FAST)
def join_pairs(spectra, grad_real, grad_other, joined):
    """What the unscaled inverse FFT turns into the gradients of the windowed frames.

    A gradient g of the magnitude of bin k is g Z/|Z| in the spectrum of a real signal, and the adjoint of the
    real FFT sums its real part times exp(2 pi i k n / size): half in bin k, half conjugated in its mirror.
    """
    size = spectra.shape[1] // 2
    kind = spectra.dtype.type
    zero, half, tiny = kind(0.0), kind(0.5), kind(1e-37)
    one, two = np.empty_like(grad_real[0]), np.empty_like(grad_real[0])
    for i in range(spectra.shape[0]):
        spectrum, out = spectra[i], joined[i]
        by_one, by_two = grad_real[i], grad_other[i]
        out[0] = by_one[0] * ((spectrum[0] > zero) - (spectrum[0] < zero))
        out[1] = by_two[0] * ((spectrum[1] > zero) - (spectrum[1] < zero))
        for k in range(1, by_one.size):
            u, v = spectrum[2 * k], spectrum[2 * k + 1]
            p, q = spectrum[2 * (size - k)], spectrum[2 * (size - k) + 1]
            one[k] = (u + p) * (u + p) + (v - q) * (v - q)  # of twice the two spectra
            two[k] = (u - p) * (u - p) + (v + q) * (v + q)
        for k in range(1, by_one.size):
            one[k] = half * by_one[k] / max(math.sqrt(one[k]), tiny)
        for k in range(1, by_one.size):
            two[k] = half * by_two[k] / max(math.sqrt(two[k]), tiny)
        for k in range(1, by_one.size):
            u, v = spectrum[2 * k], spectrum[2 * k + 1]
            p, q = spectrum[2 * (size - k)], spectrum[2 * (size - k) + 1]
            a_re, a_im = one[k] * (u + p), one[k] * (v - q)
            b_re, b_im = two[k] * (v + q), two[k] * (p - u)
            out[2 * k], out[2 * k + 1] = a_re - b_im, a_im + b_re
            out[2 * (size - k)], out[2 * (size - k) + 1] = a_re + b_im, b_re - a_im
        if size % 2 == 0:  # the bin at Nyquist mirrors itself
            out[size] += out[size]
            out[size + 1] += out[size + 1]


@njit(**_FAST)
def add_pairs(frames, window, other, hop, grad_x):
    """Adjoint of ``cut_pairs``."""
    for i in range(frames.shape[0]):
        begin = i * hop
        for n in range(window.size):
            grad_x[begin + n] += frames[i, 2 * n] * window[n] + frames[i, 2 * n + 1] * other[n]


@njit(**_FAST)
def weighted_energy(x, weights, sums, start, stop):
    """Sums of the squared samples times each row of weights."""
    for row in range(start, stop):
        for j in range(weights.shape[0]):
            total = 0.0
            for n in range(x.shape[1]):
                value = np.float64(x[row, n])
                total += value * value * weights[j, n]
            sums[row, j] = total


@njit(**_FAST)
def weighted_energy_adjoint(x, weights, grad, grad_x, start, stop):
    for row in range(start, stop):
        for n in range(x.shape[1]):
            total = 0.0
            for j in range(weights.shape[0]):
                total += grad[row, j] * weights[j, n]
            grad_x[row, n] = 2.0 * x[row, n] * total
