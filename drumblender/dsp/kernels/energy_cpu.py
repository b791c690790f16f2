"""Weighted sums of squared samples, and their adjoint."""

import numpy as np

from drumblender.dsp.kernels.jit import FAST, jit


@jit(fastmath=FAST)
def weighted_energy(x, weights, sums, start, stop):
    """Sums of the squared samples times each row of weights."""
    for row in range(start, stop):
        for j in range(weights.shape[0]):
            total = 0.0
            for n in range(x.shape[1]):
                value = np.float64(x[row, n])
                total += value * value * weights[j, n]
            sums[row, j] = total


@jit(fastmath=FAST)
def weighted_energy_adjoint(x, weights, grad, grad_x, start, stop):
    for row in range(start, stop):
        for n in range(x.shape[1]):
            total = 0.0
            for j in range(weights.shape[0]):
                total += grad[row, j] * weights[j, n]
            grad_x[row, n] = 2.0 * x[row, n] * total
