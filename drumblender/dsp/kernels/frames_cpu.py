"""Loops that cut, weigh and lay out the frames of a filter, for float32 on the CPU.

What happens to a frame between its transform and the way back is one pass over memory that is in cache.
"""

import numpy as np

from drumblender.dsp.kernels.jit import FASTEST, jit


@jit(fastmath=FASTEST)
def blend_rows(rows, left, blend, out):
    """Fill each row of ``out`` with values that go from column ``left`` to the next by a share ``blend``."""
    for row in range(rows.shape[0]):
        source, target = rows[row], out[row]
        for k in range(left.size):
            low = source[left[k]]
            target[k] = low + blend[k] * (source[left[k] + 1] - low)


@jit(fastmath=FASTEST)
def blend_rows_adjoint(grads, left, blend, rows):
    """Adjoint of :func:`blend_rows`: ``rows`` is written."""
    rows[:] = 0.0
    for row in range(rows.shape[0]):
        source, target = grads[row], rows[row]
        for k in range(left.size):
            target[left[k]] += (np.float32(1.0) - blend[k]) * source[k]
            target[left[k] + 1] += blend[k] * source[k]


@jit(fastmath=FASTEST)
def scale_rows(spectra, gains):
    """Multiply interleaved complex rows by real ones, in place."""
    for row in range(gains.shape[0]):
        values, gain = spectra[row], gains[row]
        for k in range(gain.size):
            values[2 * k] *= gain[k]
            values[2 * k + 1] *= gain[k]


@jit(fastmath=FASTEST)
def gain_slopes(spectra, grads, gains, scale):
    """Turn ``gains`` into the slopes of their logarithms: gain times ``scale`` times Re(conj(x) g).

    Inner bins of a real transform stand for two: they count twice.
    """
    bins, even = gains.shape[1], np.float32(2.0) * scale
    for row in range(gains.shape[0]):
        x, g, out = spectra[row], grads[row], gains[row]
        for k in range(bins):
            out[k] *= even * (x[2 * k] * g[2 * k] + x[2 * k + 1] * g[2 * k + 1])
        out[0] *= np.float32(0.5)
        out[bins - 1] *= np.float32(0.5)


@jit(fastmath=FASTEST)
def lay_frames(frames, window, first, hop, audio):
    """Add windowed frames to one sound, frame ``first`` and those after it, a hop apart."""
    for row in range(frames.shape[0]):
        source = frames[row]
        out = audio[(first + row) * hop : (first + row) * hop + window.size]
        for n in range(window.size):
            out[n] += window[n] * source[n]


@jit(fastmath=FASTEST)
def cut_frames(audio, window, first, hop, frames):
    """Adjoint of :func:`lay_frames`; the rest of each frame is silence."""
    for row in range(frames.shape[0]):
        out = frames[row]
        source = audio[(first + row) * hop : (first + row) * hop + window.size]
        for n in range(window.size):
            out[n] = window[n] * source[n]
        out[window.size :] = 0.0


@jit(fastmath=FASTEST)
def window_rows(rows, window, first, frames):
    """Rows under a window, from place ``first`` of each frame on; the rest of it is silence."""
    for row in range(rows.shape[0]):
        out, source = frames[row], rows[row]
        out[:first] = 0.0
        for n in range(window.size):
            out[first + n] = window[n] * source[n]
        out[first + window.size :] = 0.0


@jit(fastmath=FASTEST)
def place_taps(halves, source, weight, place, frames):
    """Write ``weight`` times the tap ``source`` of half a response to the places from ``place`` on."""
    for row in range(halves.shape[0]):
        half, out = halves[row], frames[row]
        out[:] = 0.0
        for n in range(source.size):
            out[place[n]] += weight[n] * half[source[n]]


@jit(fastmath=FASTEST)
def gather_taps(frames, source, weight, place, halves):
    """Adjoint of :func:`place_taps`, and weighted of :func:`spread_columns`: ``halves`` is written."""
    for row in range(halves.shape[0]):
        half, out = halves[row], frames[row]
        half[:] = 0.0
        for n in range(source.size):
            half[source[n]] += weight[n] * out[place[n]]


@jit(fastmath=FASTEST)
def multiply_rows(a, b, conjugate, out):
    """Products of interleaved complex rows, of the conjugate of ``a`` where asked; ``out`` may be ``b``."""
    sign = np.float32(-1.0) if conjugate else np.float32(1.0)
    for row in range(a.shape[0]):
        x, y, z = a[row], b[row], out[row]
        for k in range(x.size // 2):
            real, imag = x[2 * k], sign * x[2 * k + 1]
            other_real, other_imag = y[2 * k], y[2 * k + 1]
            z[2 * k] = real * other_real - imag * other_imag
            z[2 * k + 1] = real * other_imag + imag * other_real


@jit(fastmath=FASTEST)
def spread_columns(rows, column, place, out):
    """Write what stands in each ``column`` of a row to its ``place`` in ``out``; the rest is 0."""
    for row in range(rows.shape[0]):
        source, target = rows[row], out[row]
        target[:] = 0.0
        for n in range(column.size):
            target[place[n]] = source[column[n]]
