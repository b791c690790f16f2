"""Loops over exponential decays and the sines they sweep, with their adjoints.

A decay and its running sum are recurrences, so one pass a block of samples writes them to scratch memory that
stays in the cache, and a second pass, free of dependences, evaluates the sines many at a time.
"""

import math

import numpy as np

from drumblender.dsp.kernels.jit import FAST, jit
from drumblender.dsp.kernels.numba_math import cos_turns, sin_turns

_BLOCK = 512  # samples whose scratch arrays stay in the first-level cache


@jit(fastmath=FAST)
def decay_forward(rate, attack, out, start, stop):
    """out[n] = (n + 1) / attack before ``attack``, then rate ** (n - attack)."""
    num_samples = out.shape[1]
    rise = min(attack, num_samples)
    for row in range(start, stop):
        r = np.float64(rate[row])
        for n in range(rise):
            out[row, n] = (n + 1) / attack
        level = 1.0
        for n in range(rise, num_samples):
            out[row, n] = level
            level *= r


@jit(fastmath=FAST)
def decay_backward(rate, attack, grad, grad_rate, start, stop):
    num_samples = grad.shape[1]
    for row in range(start, stop):
        r = np.float64(rate[row])
        level, slope, total = 1.0, 0.0, 0.0  # slope is the derivative of the level by the rate
        for n in range(min(attack, num_samples), num_samples):
            total += grad[row, n] * slope
            slope = slope * r + level
            level *= r
        grad_rate[row] = total


@jit(fastmath=FAST)
def add_sweep(controls, attack, mix):
    """mix[n] += amp fade[n] sin(2 pi turns (n + depth * sum of sweep before n)).

    ``controls`` holds turns a sample, depth, rate of the sweep, rate of the fade, and amp.
    """
    f, m, r_sweep, r_fade, gain = controls[0], controls[1], controls[2], controls[3], controls[4]
    turns, fade = np.empty(_BLOCK), np.empty(_BLOCK)
    sweep, level, area = 1.0, 1.0, 0.0
    for first in range(0, mix.size, _BLOCK):
        size = min(_BLOCK, mix.size - first)
        for i in range(size):
            n = first + i
            turns[i] = f * (n + m * area)
            if n < attack:
                rise = (n + 1) / attack
                fade[i] = gain * rise
                area += rise
            else:
                fade[i] = gain * level
                area += sweep
                level *= r_fade
                sweep *= r_sweep
        for i in range(size):
            turns[i] = fade[i] * sin_turns(turns[i])
        for i in range(size):
            mix[first + i] += turns[i]


@jit(fastmath=FAST)
def sweep_adjoint(controls, attack, grad, grads):
    """The derivatives by the five controls, from the gradient of each sample."""
    f, m, r_sweep, r_fade, gain = controls[0], controls[1], controls[2], controls[3], controls[4]
    clock, areas, area_slopes = np.empty(_BLOCK), np.empty(_BLOCK), np.empty(_BLOCK)
    fade, fade_slopes = np.empty(_BLOCK), np.empty(_BLOCK)
    sweep, sweep_slope, level, level_slope, area, area_slope = 1.0, 0.0, 1.0, 0.0, 0.0, 0.0
    by_clock, by_area, by_slope, by_fade, by_level = 0.0, 0.0, 0.0, 0.0, 0.0
    for first in range(0, grad.size, _BLOCK):
        size = min(_BLOCK, grad.size - first)
        for i in range(size):
            n = first + i
            clock[i], areas[i], area_slopes[i] = n + m * area, area, area_slope
            if n < attack:
                rise = (n + 1) / attack
                fade[i], fade_slopes[i] = rise, 0.0
                area += rise
            else:
                fade[i], fade_slopes[i] = level, level_slope
                area += sweep
                area_slope += sweep_slope
                level_slope = level_slope * r_fade + level
                level *= r_fade
                sweep_slope = sweep_slope * r_sweep + sweep
                sweep *= r_sweep
        for i in range(size):
            g = np.float64(grad[first + i])
            turns = f * clock[i]
            sine = g * sin_turns(turns)
            by_level += sine * fade[i]
            by_fade += sine * fade_slopes[i]
            swing = g * fade[i] * cos_turns(turns)
            by_clock += swing * clock[i]
            by_area += swing * areas[i]
            by_slope += swing * area_slopes[i]
    tau = 2 * math.pi * gain
    grads[0] = tau * by_clock
    grads[1] = tau * f * by_area
    grads[2] = tau * f * m * by_slope
    grads[3] = gain * by_fade
    grads[4] = by_level


@jit(fastmath=FAST)
def sweep_forward(controls, attack, out, start, stop):
    mix = np.empty(out.shape[1])
    for row in range(start, stop):
        mix[:] = 0.0
        add_sweep(controls[row], attack, mix)
        for n in range(mix.size):
            out[row, n] = mix[n]


@jit(fastmath=FAST)
def sweep_backward(controls, attack, grad, grads, start, stop):
    for row in range(start, stop):
        sweep_adjoint(controls[row], attack, grad[row], grads[row])
