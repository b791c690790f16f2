"""Compiled loops of the sparse recursion and its inverse, each with its adjoint.

Every function works in place on float64 arrays, taps also on float32, for the batch items ``start`` to
``stop``. Signals that are read in the past carry that past in front: sample n stands at index
``history + n``. Where they are read, indices are unsigned: of a signed one numba asks at every sample whether
it is negative.
"""

import numpy as np

from drumblender.dsp.kernels.jit import ORDERED, jit


@jit(fastmath=ORDERED)
def loop_forward(excitation, lag, taps, signal, start, stop):
    """Fill ``signal`` after its history with ``x[n] - sum_k a_k[n] y[n - lag[n] - k]``.

    In two sums, and the newest sample last: nothing waits for it long.
    """
    num_samples, width = taps.shape[1], taps.shape[2]
    history = signal.shape[1] - num_samples
    for b in range(start, stop):
        x, y = excitation[b], signal[b]
        for n in range(num_samples):
            a, newest = taps[b, n], np.uint64(history + n - lag[b, n])
            total, other = x[n], 0.0
            for k in range(1, width - 1, 2):
                total -= a[k] * y[newest - np.uint64(k)]
                other -= a[k + 1] * y[newest - np.uint64(k + 1)]
            if width % 2 == 0:
                other -= a[width - 1] * y[newest - np.uint64(width - 1)]
            y[history + n] = total + other - a[0] * y[newest]


@jit(fastmath=ORDERED)
def loop_backward(grad, lag, taps, signal, grad_taps, start, stop):
    """Turn ``grad`` by signal into that by excitation, and its history, 0 at first, into that by state."""
    num_samples, width = taps.shape[1], taps.shape[2]
    history = signal.shape[1] - num_samples
    for b in range(start, stop):
        y, by_y = signal[b], grad[b]
        for n in range(num_samples - 1, -1, -1):
            a, by_a, newest = taps[b, n], grad_taps[b, n], np.uint64(history + n - lag[b, n])
            final = by_y[history + n]
            for k in range(width):
                read = newest - np.uint64(k)
                by_a[k] = -final * y[read]
                by_y[read] -= a[k] * final


@jit
def inverse_forward(signal, lag, taps, excitation, start, stop):
    """Fill ``excitation`` with ``y[n] + sum_k a_k[n] y[n - lag[n] - k]``."""
    num_samples, width = taps.shape[1], taps.shape[2]
    history = signal.shape[1] - num_samples
    for b in range(start, stop):
        for n in range(num_samples):
            read = history + n - lag[b, n]
            total = signal[b, history + n]
            for k in range(width):
                total += taps[b, n, k] * signal[b, read - k]
            excitation[b, n] = total


@jit
def inverse_backward(grad, lag, taps, signal, grad_signal, grad_taps, start, stop):
    """Add to ``grad_signal``, which starts as ``grad`` behind a history of 0, and fill ``grad_taps``."""
    num_samples, width = taps.shape[1], taps.shape[2]
    history = signal.shape[1] - num_samples
    for b in range(start, stop):
        for n in range(num_samples):
            read = history + n - lag[b, n]
            given = grad[b, n]
            for k in range(width):
                grad_taps[b, n, k] = given * signal[b, read - k]
                grad_signal[b, read - k] += taps[b, n, k] * given
