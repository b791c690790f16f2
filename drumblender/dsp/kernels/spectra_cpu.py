"""Framing and overlap-add on the CPU, one pass over memory each.

Spectra come as rows of interleaved real and imaginary parts: ``(rows, 2 * bins)`` float32, a row a frame.
"""

import numpy as np

from drumblender.dsp.kernels.jit import FASTEST, jit


@jit(fastmath=FASTEST)
def pad(audio, mirror, padded, start, stop):
    """Put the items ``start`` to ``stop`` in the middle of ``padded``, between mirror images or zeros."""
    size, half = audio.shape[1], (padded.shape[1] - audio.shape[1]) // 2
    for item in range(start, stop):
        source, out = audio[item], padded[item]
        out[half : half + size] = source
        if mirror:
            for n in range(half):
                out[n] = source[half - n]
                out[half + size + n] = source[size - 2 - n]
        else:
            out[:half] = 0.0
            out[half + size :] = 0.0


@jit(fastmath=FASTEST)
def pad_adjoint(padded, mirror, audio, start, stop):
    """Adjoint of ``pad``: ``audio`` is written."""
    size, half = audio.shape[1], (padded.shape[1] - audio.shape[1]) // 2
    for item in range(start, stop):
        source, out = padded[item], audio[item]
        out[:] = source[half : half + size]
        if mirror:
            for n in range(half):
                out[half - n] += source[n]
                out[size - 2 - n] += source[half + size + n]


@jit(fastmath=FASTEST)
def cut_frames(padded, per_item, first, window, hop, offset, frames):
    """Window as many frames as ``frames`` has, from frame ``first`` of all items, counted through.

    The window begins at column ``offset``.
    """
    for row in range(frames.shape[0]):
        item, frame = (first + row) // per_item, (first + row) % per_item
        source = padded[item, frame * hop + offset : frame * hop + offset + window.size]
        out = frames[row]
        out[:offset] = 0.0
        for n in range(window.size):
            out[offset + n] = source[n] * window[n]
        out[offset + window.size :] = 0.0


@jit(fastmath=FASTEST)
def add_frames(frames, spectra, per_item, first, window, hop, offset, padded):
    """Adjoint of the real FFT's last step and of ``cut_frames``, for as many rows as ``frames`` has.

    ``frames`` is the unscaled inverse FFT of ``spectra``, which counts every bin twice but the first and, for
    an even length, the last. Half of it and half of those two is the adjoint.
    """
    half = np.float32(0.5)
    for row in range(frames.shape[0]):
        item, frame = (first + row) // per_item, (first + row) % per_item
        source = frames[row, offset : offset + window.size]
        out = padded[item, frame * hop + offset : frame * hop + offset + window.size]
        low = spectra[row, 0]
        high = spectra[row, spectra.shape[1] - 2] if frames.shape[1] % 2 == 0 else np.float32(0.0)
        if offset % 2:
            high = -high
        even, odd = half * (low + high), half * (low - high)
        for n in range(0, window.size - 1, 2):
            out[n] += window[n] * (half * source[n] + even)
            out[n + 1] += window[n + 1] * (half * source[n + 1] + odd)
        if window.size % 2:
            n = window.size - 1
            out[n] += window[n] * (half * source[n] + even)
