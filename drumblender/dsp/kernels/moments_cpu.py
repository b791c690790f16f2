"""Spectra through two windows at once; centroid and flatness of rows of magnitudes; and their adjoints.

Centroid and flatness need the logarithm of every bin, but only in sums: the logarithm of a product costs one
logarithm for eight bins. The products are kept in double precision, which eight magnitudes cannot leave.
"""

import math

import numpy as np

from drumblender.dsp.kernels.jit import FAST, jit

_LANES = 16  # columns of products side by side
_DEPTH = 8  # factors in each
_BLOCK = _LANES * _DEPTH
_TINY = 1e-12


@jit(fastmath=FAST)
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


@jit(fastmath=FAST)
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


@jit(fastmath=FAST)
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


@jit(fastmath=FAST)
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


@jit(fastmath=FAST)
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


@jit(fastmath=FAST)
def cut_pairs(x, window, other, hop, frames):
    """Frames through ``window`` as real parts and through ``other`` as imaginary parts, in turn."""
    for i in range(frames.shape[0]):
        begin = i * hop
        for n in range(window.size):
            sample = x[begin + n]
            frames[i, 2 * n] = sample * window[n]
            frames[i, 2 * n + 1] = sample * other[n]


@jit(fastmath=FAST)
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


@jit(fastmath=FAST)
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


@jit(fastmath=FAST)
def add_pairs(frames, window, other, hop, grad_x):
    """Adjoint of ``cut_pairs``."""
    for i in range(frames.shape[0]):
        begin = i * hop
        for n in range(window.size):
            grad_x[begin + n] += frames[i, 2 * n] * window[n] + frames[i, 2 * n + 1] * other[n]
