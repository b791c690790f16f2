"""Harmonics on the CPU: Clenshaw's and Chebyshev's recurrences over the orders, samples side by side.

With c = cos(phase), ``b[k] = amp[k] + 2 c b[k+1] - b[k+2]`` leads down to
``sum amp[k] sin(k phase) = b[1] sin(phase)`` and ``sum amp[k] cos(k phase) = c b[1] - b[2]``: two
multiplications a harmonic and sample instead of a sine. Where the phase is near 0 or pi it loses digits,
about the square of the order times the rounding error: little in float64, all in float32.

A block is a span of at most MAX_BLOCK samples between two neighbouring frames of the amplitudes, so that
within it an amplitude is a blend of two numbers.
"""

import math

import numpy as np

from drumblender.dsp.kernels.jit import FASTEST, jit

TWO_PI = 2 * math.pi
MAX_BLOCK = 128  # samples: what a recurrence works on stays in the first-level cache


@jit
def tune(f0, left, blend, sample_rate, num_harmonics, cosine, sine, limit, first, last):
    """Cosine and sine of the running phase, and how many harmonics lie below Nyquist."""
    nyquist, last_frame = sample_rate / 2, f0.shape[1] - 1
    for b in range(first, last):
        turns = 0.0
        for n in range(left.size):
            low = np.float64(f0[b, left[n]])
            f = low + blend[n] * (f0[b, min(left[n] + 1, last_frame)] - low)
            turns += f / sample_rate
            turns -= np.rint(turns)
            cosine[b, n], sine[b, n] = math.cos(TWO_PI * turns), math.sin(TWO_PI * turns)
            audible = num_harmonics
            if abs(f) * num_harmonics >= nyquist:
                audible = int(nyquist / abs(f))
                audible -= audible * abs(f) >= nyquist
            limit[b, n] = audible


@jit(inline=True)
def _series(low, high, blend, cosine, limit, by_order, newer, older):
    """Clenshaw's recurrence down to order 1, two orders a pass; leaves b[1] in newer and b[2] in older."""
    size = cosine.size
    top, full = limit[0], limit[0]
    for n in range(size):
        top, full = max(top, limit[n]), min(full, limit[n])
        newer[n] = older[n] = 0
    k = top + top % 2  # passes end with orders 2 and 1
    while k > 0:
        scale, next_scale = (float(k), float(k - 1)) if by_order else (1.0, 1.0)
        a0 = scale * low[k - 1] if k <= top else 0.0
        da = scale * high[k - 1] - a0 if k <= top else 0.0
        e0 = next_scale * low[k - 2]
        de = next_scale * high[k - 2] - e0
        if k <= full:
            for n in range(size):
                c = 2 * cosine[n]
                older[n] = (a0 + da * blend[n]) + c * newer[n] - older[n]
                newer[n] = (e0 + de * blend[n]) + c * older[n] - newer[n]
        else:
            for n in range(size):
                c = 2 * cosine[n]
                a = a0 + da * blend[n] if k <= limit[n] else 0.0
                e = e0 + de * blend[n] if k - 1 <= limit[n] else 0.0
                older[n] = a + c * newer[n] - older[n]
                newer[n] = e + c * older[n] - newer[n]
        k -= 2


@jit(fastmath=FASTEST)
def render(amp, left, blend, blocks, cosine, sine, limit, audio, first, last):
    num_blocks, newer, older = blocks.size - 1, np.empty(MAX_BLOCK), np.empty(MAX_BLOCK)
    for item in range(first, last):
        b, s = divmod(item, num_blocks)
        start, stop = blocks[s], blocks[s + 1]
        low, high = amp[b, left[start]], amp[b, min(left[start] + 1, amp.shape[1] - 1)]
        c, share, audible = cosine[b, start:stop], blend[start:stop], limit[b, start:stop]
        _series(low, high, share, c, audible, False, newer, older)
        for n in range(stop - start):
            audio[b, start + n] = newer[n] * sine[b, start + n]


@jit(fastmath=FASTEST)
def adjoint_of_phase(amp, left, blend, blocks, cosine, sine, limit, grad, by_phase, first, last):
    num_blocks, newer, older = blocks.size - 1, np.empty(MAX_BLOCK), np.empty(MAX_BLOCK)
    for item in range(first, last):
        b, s = divmod(item, num_blocks)
        start, stop = blocks[s], blocks[s + 1]
        low, high = amp[b, left[start]], amp[b, min(left[start] + 1, amp.shape[1] - 1)]
        c, share, audible = cosine[b, start:stop], blend[start:stop], limit[b, start:stop]
        _series(low, high, share, c, audible, True, newer, older)
        for n in range(stop - start):
            by_phase[b, start + n] = grad[b, start + n] * (c[n] * newer[n] - older[n])


@jit
def adjoint_of_tune(by_phase, left, blend, sample_rate, by_f0):
    """Adds up, from the end, how much all later samples gain from a radian more."""
    last_frame = by_f0.shape[1] - 1
    for b in range(len(by_phase)):
        later = 0.0
        for n in range(left.size - 1, -1, -1):
            later += by_phase[b, n]
            by_f0[b, left[n]] += (1 - blend[n]) * later
            by_f0[b, min(left[n] + 1, last_frame)] += blend[n] * later
    by_f0 *= TWO_PI / sample_rate


@jit(fastmath=FASTEST)
def adjoint_of_amp(amp, left, blend, blocks, cosine, sine, limit, grad, total, tilt, first, last):
    """Sums over each block of the gradient times sin(k phase), and of that times the blend."""
    num_blocks, num_harmonics = blocks.size - 1, amp.shape[2]
    older, newer = np.empty(MAX_BLOCK), np.empty(MAX_BLOCK)
    for item in range(first, last):
        b, s = divmod(item, num_blocks)
        start, size = blocks[s], blocks[s + 1] - blocks[s]
        c, audible = cosine[b, start : start + size], limit[b, start : start + size]
        g, share = grad[b, start : start + size], blend[start : start + size]
        top, full = audible[0], audible[0]
        for n in range(size):
            top, full = max(top, audible[n]), min(full, audible[n])
            older[n], newer[n] = 0.0, g[n] * sine[b, start + n]  # the recurrence carries the gradient along
        for k in range(1, num_harmonics + 1):
            once = twice = 0.0
            if k <= full:
                for n in range(size):
                    once += newer[n]
                    twice += newer[n] * share[n]
            elif k <= top:
                for n in range(size):
                    h = newer[n] if k <= audible[n] else 0.0
                    once += h
                    twice += h * share[n]
            total[b, s, k - 1], tilt[b, s, k - 1] = once, twice
            if k > top:
                continue
            for n in range(size):
                h = 2 * c[n] * newer[n] - older[n]
                older[n] = newer[n]
                newer[n] = h


@jit
def gather(total, tilt, left, blocks, by_amp):
    last_frame = by_amp.shape[1] - 1
    for b in range(len(total)):
        for s in range(total.shape[1]):
            frame = left[blocks[s]]
            by_amp[b, frame] += total[b, s] - tilt[b, s]
            by_amp[b, min(frame + 1, last_frame)] += tilt[b, s]
