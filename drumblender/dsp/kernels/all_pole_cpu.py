"""Compiled loops of the sparse recursion and its inverse, each with its adjoint.

Every function works in place on float64 arrays for the batch items ``start`` to ``stop``. Signals that
are read in the past carry that past in front: sample n stands at index ``history + n``.
"""

from drumblender.dsp.kernels.jit import jit


@jit
def loop_forward(excitation, lag, taps, signal, start, stop):
    """Fill ``signal`` after its history with ``x[n] - sum_k a_k[n] y[n - lag[n] - k]``."""
    num_samples, width = taps.shape[1], taps.shape[2]
    history = signal.shape[1] - num_samples
    for b in range(start, stop):
        for n in range(num_samples):
            read = history + n - lag[b, n]
            total = excitation[b, n]
            for k in range(width):
                total -= taps[b, n, k] * signal[b, read - k]
            signal[b, history + n] = total


@jit
def loop_backward(grad, lag, taps, signal, grad_taps, start, stop):
    """Turn ``grad`` by signal into that by excitation, and its history, 0 at first, into that by state."""
    num_samples, width = taps.shape[1], taps.shape[2]
    history = signal.shape[1] - num_samples
    for b in range(start, stop):
        for n in range(num_samples - 1, -1, -1):
            read = history + n - lag[b, n]
            final = grad[b, history + n]
            for k in range(width):
                grad_taps[b, n, k] = -final * signal[b, read - k]
                grad[b, read - k] -= taps[b, n, k] * final


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
