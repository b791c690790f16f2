"""Second-order recursive filters and their adjoints, a row at a time in double precision."""

import numpy as np

from drumblender.dsp.kernels.jit import ORDERED, jit
from drumblender.dsp.kernels.numba_math import biquad_step


@jit(fastmath=ORDERED)
def biquad_forward(x, b, a, limit, out, start, stop):
    """Filter each row from rest; what leaves (not what is fed back) is limited to ``limit`` in size."""
    num_samples = x.shape[1]
    for row in range(start, stop):
        b0, b1, b2 = np.float64(b[row, 0]), np.float64(b[row, 1]), np.float64(b[row, 2])
        a1, a2 = np.float64(a[row, 1]), np.float64(a[row, 2])
        x1, x2, y1, y2 = 0.0, 0.0, 0.0, 0.0
        for n in range(num_samples):
            x0 = np.float64(x[row, n])
            y0 = biquad_step(x0, x1, x2, y1, y2, b0, b1, b2, a1, a2)
            x2, x1, y2, y1 = x1, x0, y1, y0
            out[row, n] = min(max(y0, -limit), limit)


@jit(fastmath=ORDERED)
def biquad_backward(x, b, a, limit, grad, grad_x, grad_b, grad_a, start, stop):
    """The adjoint runs the recursion backwards in time over the gradient of the samples within the limit."""
    num_samples = x.shape[1]
    y = np.empty(num_samples)
    for row in range(start, stop):
        b0, b1, b2 = np.float64(b[row, 0]), np.float64(b[row, 1]), np.float64(b[row, 2])
        a1, a2 = np.float64(a[row, 1]), np.float64(a[row, 2])
        x1, x2, y1, y2 = 0.0, 0.0, 0.0, 0.0
        for n in range(num_samples):
            x0 = np.float64(x[row, n])
            y0 = biquad_step(x0, x1, x2, y1, y2, b0, b1, b2, a1, a2)
            x2, x1, y2, y1 = x1, x0, y1, y0
            y[n] = y0
        w1, w2 = 0.0, 0.0
        by_b0, by_b1, by_b2, by_a1, by_a2 = 0.0, 0.0, 0.0, 0.0, 0.0
        for n in range(num_samples - 1, -1, -1):
            inside = 1.0 if abs(y[n]) <= limit else 0.0
            w0 = (inside * np.float64(grad[row, n]) - a2 * w2) - a1 * w1
            grad_x[row, n] = b0 * w0 + b1 * w1 + b2 * w2
            by_b0 += w0 * x[row, n]
            by_b1 += w1 * x[row, n]
            by_b2 += w2 * x[row, n]
            by_a1 += w1 * y[n]
            by_a2 += w2 * y[n]
            w2, w1 = w1, w0
        grad_b[row, 0], grad_b[row, 1], grad_b[row, 2] = by_b0, by_b1, by_b2
        grad_a[row, 0], grad_a[row, 1], grad_a[row, 2] = 0.0, -by_a1, -by_a2
