"""Compiled polyphase resampling and its adjoint.

Step q makes the outputs ``q phases`` to ``(q + 1) phases`` from the ``taps`` inputs at ``q step``; the input
carries zeros on both sides. Either way the inner sum runs through memory in order.
"""

from drumblender.dsp.kernels.jit import FAST, jit


@jit(fastmath=FAST)
def resample_forward(padded, rows, step, out, start, stop):
    """Fill ``out``, of whole steps, for items ``start`` to ``stop``; ``rows`` is ``(phases, taps)``."""
    phases, taps = rows.shape
    for b in range(start, stop):
        for q in range(out.shape[1] // phases):
            heard = padded[b, q * step : q * step + taps]
            for j in range(phases):
                row = rows[j]
                total = 0.0
                for i in range(taps):
                    total += row[i] * heard[i]
                out[b, q * phases + j] = total


@jit(fastmath=FAST)
def resample_backward(grad, kernel, step, grad_padded, start, stop):
    """Add the adjoint to ``grad_padded``; ``kernel`` is ``(taps, phases)``."""
    taps, phases = kernel.shape
    for b in range(start, stop):
        for q in range(grad.shape[1] // phases):
            given = grad[b, q * phases : (q + 1) * phases]
            for i in range(taps):
                total = 0.0
                for j in range(phases):
                    total += kernel[i, j] * given[j]
                grad_padded[b, q * step + i] += total
