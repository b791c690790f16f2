"""Compiled loops of a string: its fractional delay and what keeps its filter stable, each with its adjoint.

Every function works in place, for the batch items or rows ``start`` to ``stop``.
"""

import math

import numpy as np

from drumblender.dsp.kernels.jit import jit


@jit
def taps_forward(period, loop, max_delay, min_period, lag, taps, alpha, slopes, start, stop):
    """Fill ``lag`` and ``taps``; keep ``alpha`` and its slopes by period and by each loop coefficient."""
    num_samples, width = loop.shape[1], loop.shape[2]
    for b in range(start, stop):
        last = np.nan
        omega = cosine = sine = 0.0
        for n in range(num_samples):
            raised = max(period[b, n], min_period)
            if raised != last:  # a held pitch pays for its cosine once
                last = raised
                omega = 2 * math.pi / last
                cosine, sine = math.cos(omega), math.sin(omega)
            # Response of the loop filter at the pitch, and its slope by frequency.
            real = imag = real_slope = imag_slope = 0.0
            c, s = 1.0, 0.0
            for k in range(width):
                real += loop[b, n, k] * c
                imag -= loop[b, n, k] * s
                real_slope -= k * loop[b, n, k] * s
                imag_slope -= k * loop[b, n, k] * c
                c, s = c * cosine - s * sine, s * cosine + c * sine
            angle = math.atan2(imag, real)
            wanted = last - 1 + angle / omega
            limit = max_delay - 1e-6
            delay = min(max(wanted, 0.0), limit)
            whole = math.floor(delay)
            fraction = delay - whole
            lag[b, n] = whole + 1
            alpha[b, n] = fraction

            power = real * real + imag * imag
            if 0.0 <= wanted <= limit and power > 0:
                angle_slope = (real * imag_slope - imag * real_slope) / power
                by_omega = (angle_slope - angle / omega) / omega
                slopes[b, n, 0] = 1 - by_omega * omega / last
                c, s = 1.0, 0.0
                for k in range(width):
                    slopes[b, n, 1 + k] = -(real * s + imag * c) / (power * omega)
                    c, s = c * cosine - s * sine, s * cosine + c * sine
            else:
                slopes[b, n] = 0.0
                if 0.0 <= wanted <= limit:
                    slopes[b, n, 0] = 1.0

            if period[b, n] < min_period:
                slopes[b, n, 0] = 0.0

            before = 0.0
            for k in range(width):
                taps[b, n, k] = -((1 - fraction) * loop[b, n, k] + fraction * before)
                before = loop[b, n, k]
            taps[b, n, width] = -fraction * before


@jit
def taps_backward(grad_taps, loop, alpha, slopes, grad_period, grad_loop, start, stop):
    """Adjoint of :func:`taps_forward`."""
    num_samples, width = loop.shape[1], loop.shape[2]
    for b in range(start, stop):
        for n in range(num_samples):
            grad_alpha = before = 0.0
            for k in range(width):
                grad_alpha += grad_taps[b, n, k] * (loop[b, n, k] - before)
                before = loop[b, n, k]
            grad_alpha -= grad_taps[b, n, width] * before
            grad_period[b, n] = grad_alpha * slopes[b, n, 0]
            for k in range(width):
                direct = (1 - alpha[b, n]) * grad_taps[b, n, k] + alpha[b, n] * grad_taps[b, n, k + 1]
                grad_loop[b, n, k] = grad_alpha * slopes[b, n, 1 + k] - direct


@jit
def squash_forward(raw, raw_gain, low, high, squashed, out, start, stop):
    """Rows of sigmoids that share out a gain from ``low`` to ``high``; ``squashed`` keeps gain, then taps."""
    width = raw.shape[1]
    for n in range(start, stop):
        squashed[n, 0] = 1 / (1 + math.exp(-raw_gain[n]))
        total = 0.0
        for k in range(width):
            squashed[n, 1 + k] = 1 / (1 + math.exp(-raw[n, k]))
            total += squashed[n, 1 + k]
        scale = (low + (high - low) * squashed[n, 0]) / total
        for k in range(width):
            out[n, k] = squashed[n, 1 + k] * scale


@jit
def squash_backward(grad, squashed, low, high, grad_raw, grad_gain, start, stop):
    """Adjoint of :func:`squash_forward`."""
    width = grad.shape[1]
    for n in range(start, stop):
        gain = squashed[n, 0]
        total = mean = 0.0
        for k in range(width):
            total += squashed[n, 1 + k]
            mean += grad[n, k] * squashed[n, 1 + k]
        mean /= total
        scale = (low + (high - low) * gain) / total
        grad_gain[n] = mean * (high - low) * gain * (1 - gain)
        for k in range(width):
            s = squashed[n, 1 + k]
            grad_raw[n, k] = (grad[n, k] - mean) * scale * s * (1 - s)
