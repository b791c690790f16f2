"""K-weighted power of overlapping frames, and its adjoint."""

import numpy as np

from drumblender.dsp.kernels.jit import FAST, jit
from drumblender.dsp.kernels.numba_math import biquad_turn

_LANES = 16  # frames filtered side by side: a recursion waits for itself, sixteen of them fill the pipeline


@jit(fastmath=FAST)
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
            y, s1[lane], s2[lane] = biquad_turn(sample, s1[lane], s2[lane], p0, p1, p2, p3, p4)
            once[n, lane] = y
            y = min(max(y, -limit), limit)
            z, t1[lane], t2[lane] = biquad_turn(y, t1[lane], t2[lane], q0, q1, q2, q3, q4)
            twice[n, lane] = z


@jit(fastmath=FAST)
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


@jit(fastmath=FAST)
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
                    y, t1[lane], t2[lane] = biquad_turn(u, t1[lane], t2[lane], q0, q1, q2, q3, q4)
                    v = y if abs(early[lane]) <= limit else 0.0
                    z, s1[lane], s2[lane] = biquad_turn(v, s1[lane], s2[lane], p0, p1, p2, p3, p4)
                    early[lane] = z
            for lane in range(lanes):
                begin = (first + lane) * hop
                for n in range(size):
                    total[begin + n] += once[n, lane]
        for n in range(x.shape[1]):
            grad_x[row, n] = total[n]
