"""A whole drum voice in one pass: swept sines, filtered noise, and a tanh; with its adjoint.

No intermediate signal of the batch is kept: a row is mixed in a buffer that stays in the cache.
"""

import numpy as np

from drumblender.dsp.kernels.decays_cpu import add_sweep, sweep_adjoint
from drumblender.dsp.kernels.jit import FAST, ORDERED, jit
from drumblender.dsp.kernels.numba_math import biquad_step, exp_rest, powers_of_two

_BLOCK = 512

# Columns of ``hiss``: rate of the decay, numerator and denominator of the filter, level.
RATE, B0, B1, B2, A1, A2, LEVEL = range(7)


@jit(fastmath=FAST)
def tanh_in_place(x):
    """tanh to the precision of a double, many at a time: 1 - 2 / (exp(2 x) + 1)."""
    power = np.empty(_BLOCK)
    bits = power.view(np.int64)
    for first in range(0, x.size, _BLOCK):
        part = x[first : first + _BLOCK]
        for i in range(part.size):
            twice = min(max(2.0 * part[i], -50.0), 50.0)
            whole, part[i] = powers_of_two(twice)
            bits[i] = (np.int64(whole) + 1023) << 52
        for i in range(part.size):
            part[i] = 1.0 - 2.0 / (exp_rest(part[i]) * power[i] + 1.0)


@jit(fastmath=ORDERED)
def _filter_noise(noise, hiss, attack, after, filtered):
    """The decaying noise through the biquad, unlimited; with ``after`` it does not decay yet."""
    b0, b1, b2, a1, a2 = hiss[B0], hiss[B1], hiss[B2], hiss[A1], hiss[A2]
    level = 1.0
    x1, x2, y1, y2 = 0.0, 0.0, 0.0, 0.0
    for n in range(filtered.size):
        x0 = np.float64(noise[n])
        if not after:
            if n < attack:
                x0 *= (n + 1) / attack
            else:
                x0 *= level
                level *= hiss[RATE]
        y0 = biquad_step(x0, x1, x2, y1, y2, b0, b1, b2, a1, a2)
        x2, x1, y2, y1 = x1, x0, y1, y0
        filtered[n] = y0


@jit(fastmath=FAST)
def voice_forward(tones, hiss, noise, drive, attack, after, limit, out, start, stop):
    """out = tanh(drive (tones + level * limited noise)).

    ``tones`` holds the five controls of each sine, ``(rows, sines, 5)``; ``hiss`` those of the noise.
    """
    mix, filtered = np.empty(out.shape[1]), np.empty(out.shape[1])
    for row in range(start, stop):
        source = noise[min(row, noise.shape[0] - 1)]
        mix[:] = 0.0
        for sine in range(tones.shape[1]):
            add_sweep(tones[row, sine], attack, mix)
        _filter_noise(source, hiss[row], attack, after, filtered)
        level, fade = hiss[row, LEVEL], 1.0
        if after:
            for n in range(mix.size):
                shape = (n + 1) / attack if n < attack else fade
                mix[n] += level * shape * min(max(filtered[n], -limit), limit)
                if n >= attack:
                    fade *= hiss[row, RATE]
        else:
            for n in range(mix.size):
                mix[n] += level * min(max(filtered[n], -limit), limit)
        for n in range(mix.size):
            mix[n] *= drive[row]
        tanh_in_place(mix)
        for n in range(mix.size):
            out[row, n] = mix[n]


@jit(fastmath=ORDERED)
def _noise_adjoint(noise, hiss, attack, after, limit, filtered, grad, grads):
    """Derivatives by the controls of the noise; the recursion runs backwards in time."""
    b0, b1, b2, a1, a2 = hiss[B0], hiss[B1], hiss[B2], hiss[A1], hiss[A2]
    rate = hiss[RATE]
    size = filtered.size
    shape, slope = np.empty(size), np.empty(size)  # of the decay, and its derivative by the rate
    level, level_slope = 1.0, 0.0
    for n in range(size):
        if n < attack:
            shape[n], slope[n] = (n + 1) / attack, 0.0
        else:
            shape[n], slope[n] = level, level_slope
            level_slope = level_slope * rate + level
            level *= rate
    w1, w2 = 0.0, 0.0
    by_rate, by_b0, by_b1, by_b2, by_a1, by_a2, by_level = 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0
    for n in range(size - 1, -1, -1):
        source, y, g = np.float64(noise[n]), filtered[n], grad[n]
        limited = min(max(y, -limit), limit)
        x = source if after else source * shape[n]
        if after:
            by_level += g * limited * shape[n]
            by_rate += g * hiss[LEVEL] * limited * slope[n]
            g *= shape[n]
        else:
            by_level += g * limited
        g = g * hiss[LEVEL] if abs(y) <= limit else 0.0
        w0 = (g - a2 * w2) - a1 * w1
        by_b0 += w0 * x
        by_b1 += w1 * x
        by_b2 += w2 * x
        by_a1 -= w1 * y
        by_a2 -= w2 * y
        if not after:
            by_rate += (b0 * w0 + b1 * w1 + b2 * w2) * source * slope[n]
        w2, w1 = w1, w0
    grads[RATE], grads[LEVEL] = by_rate, by_level
    grads[B0], grads[B1], grads[B2], grads[A1], grads[A2] = by_b0, by_b1, by_b2, by_a1, by_a2


@jit(fastmath=FAST)
def voice_backward(
    tones, hiss, noise, drive, attack, after, limit, out, grad, by_tones, by_hiss, by_drive, start, stop
):
    """Derivatives by all controls; that of the drive follows from those of the levels, which it scales."""
    slope, filtered = np.empty(out.shape[1]), np.empty(out.shape[1])
    for row in range(start, stop):
        source = noise[min(row, noise.shape[0] - 1)]
        for n in range(slope.size):
            value = np.float64(out[row, n])
            slope[n] = drive[row] * (1.0 - value * value) * grad[row, n]
        total = 0.0
        for sine in range(tones.shape[1]):
            sweep_adjoint(tones[row, sine], attack, slope, by_tones[row, sine])
            total += tones[row, sine, 4] * by_tones[row, sine, 4]
        _filter_noise(source, hiss[row], attack, after, filtered)
        _noise_adjoint(source, hiss[row], attack, after, limit, filtered, slope, by_hiss[row])
        total += hiss[row, LEVEL] * by_hiss[row, LEVEL]
        by_drive[row] = total / drive[row]
