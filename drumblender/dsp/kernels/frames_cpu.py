"""Loops that cut, weigh and lay out the frames of a filter, for float32 on the CPU.

What happens to a frame between its transform and the way back is one pass over memory that is in cache.
"""

import numpy as np

from drumblender.dsp.kernels.jit import FASTEST, jit


@jit(fastmath=FASTEST)
def blend_rows(rows, left, blend, out):
    """Fill each row of ``out`` with values that go from column ``left`` to the next by a share ``blend``.

    ``left`` is unsigned: an index that could be negative takes twice the time.
    """
    for row in range(rows.shape[0]):
        source, target = rows[row], out[row]
        above = source[1:]
        for k in range(left.size):
            low = source[left[k]]
            target[k] = low + blend[k] * (above[left[k]] - low)


@jit(fastmath=FASTEST)
def blend_rows_adjoint(grads, left, blend, rows):
    """Adjoint of :func:`blend_rows`, whose ``left`` never falls: ``rows`` is written."""
    bands = rows.shape[1]
    edges = np.zeros(bands, np.int64)  # where each column begins to be on the left
    for k in range(left.size):
        edges[left[k] + np.uint64(1)] = k + 1
    for band in range(1, bands):
        edges[band] = max(edges[band], edges[band - 1])
    for row in range(grads.shape[0]):
        source, target, carried = grads[row], rows[row], np.float32(0.0)
        for band in range(bands - 1):
            given, share = source[edges[band] : edges[band + 1]], blend[edges[band] : edges[band + 1]]
            whole, above = np.float32(0.0), np.float32(0.0)
            for k in range(given.size):
                whole += given[k]
                above += share[k] * given[k]
            target[band] = carried + whole - above
            carried = above
        target[bands - 1] = carried


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
    """Adjoint of :func:`place_taps`: ``halves`` is written."""
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
def apply_real(spectra, gains, out):
    """Interleaved complex rows times real ones, of which more is not read; ``out`` may be ``spectra``."""
    for row in range(out.shape[0]):
        x, gain, z = spectra[row], gains[row], out[row]
        for k in range(z.size // 2):
            z[2 * k] = gain[k] * x[2 * k]
            z[2 * k + 1] = gain[k] * x[2 * k + 1]


@jit(fastmath=FASTEST)
def apply_real_adjoint(spectra, grads, scale, gains):
    """Adjoint of :func:`apply_real` and a real transform of length ``1 / scale``: ``gains`` is written.

    Inner bins of a real transform stand for two: they count twice.
    """
    bins, twice = grads.shape[1] // 2, np.float32(2.0) * scale
    for row in range(grads.shape[0]):
        x, g, out = spectra[row], grads[row], gains[row]
        out[bins:] = 0.0
        for k in range(bins):
            out[k] = twice * (x[2 * k] * g[2 * k] + x[2 * k + 1] * g[2 * k + 1])
        out[0] *= np.float32(0.5)
        out[bins - 1] *= np.float32(0.5)


@jit(fastmath=FASTEST)
def apply_halves(spectra, numbers, out):
    """Interleaved complex rows times filters that are real in even bins, and alike but for an imaginary part
    in odd ones: numbers of the even bins, imaginary parts of the odd, and their real part.

    Laid out first, bin by bin: in one loop over pairs of bins it is not vectorised.
    """
    odd = out.shape[1] // 4
    bins = 2 * odd + 1
    real, imag = np.zeros(bins, np.float32), np.zeros(bins, np.float32)
    for row in range(out.shape[0]):
        x, z, alike = spectra[row], out[row], numbers[row, bins]
        even_real, odd_imag = numbers[row, : odd + 1], numbers[row, odd + 1 : bins]
        for k in range(odd):
            real[2 * k], real[2 * k + 1], imag[2 * k + 1] = even_real[k], alike, odd_imag[k]
        real[bins - 1] = even_real[odd]
        for k in range(bins):
            z[2 * k] = real[k] * x[2 * k] - imag[k] * x[2 * k + 1]
            z[2 * k + 1] = real[k] * x[2 * k + 1] + imag[k] * x[2 * k]


@jit(fastmath=FASTEST)
def apply_halves_adjoint(spectra, grads, scale, numbers):
    """Adjoint of :func:`apply_halves`, as :func:`apply_real_adjoint` is of the other."""
    odd, twice = grads.shape[1] // 4, np.float32(2.0) * scale
    bins = 2 * odd + 1
    real, imag = np.empty(bins, np.float32), np.empty(bins, np.float32)
    for row in range(grads.shape[0]):
        x, g, out, alike = spectra[row], grads[row], numbers[row], np.float32(0.0)
        for k in range(bins):
            real[k] = twice * (x[2 * k] * g[2 * k] + x[2 * k + 1] * g[2 * k + 1])
            imag[k] = twice * (x[2 * k] * g[2 * k + 1] - x[2 * k + 1] * g[2 * k])
        real[0] *= np.float32(0.5)
        real[bins - 1] *= np.float32(0.5)
        even_real, odd_imag = out[: odd + 1], out[odd + 1 : bins]
        for k in range(odd):
            even_real[k], odd_imag[k] = real[2 * k], imag[2 * k + 1]
            alike += real[2 * k + 1]
        even_real[odd] = real[bins - 1]
        out[bins], out[bins + 1 :] = alike, 0.0
