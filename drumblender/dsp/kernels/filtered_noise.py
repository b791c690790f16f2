"""Frames of noise that are filtered and laid over each other, on the CPU.

A frame is transformed, multiplied, transformed back and added to the sound, as many frames at a time as stay
in cache; nothing of frames times bins is held but what the gradient needs.
"""

from collections.abc import Iterator
from functools import lru_cache
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from drumblender.dsp.kernels.threads import parallel_for

_CHUNK_SAMPLES = 2**16
_TABLE_BANDS = 256  # up to here a table beats the transform, whose sizes have large prime factors


class Taps(NamedTuple):
    """How half a zero-phase response becomes the filter of a frame, and a filtered frame a part of the sound.

    Tap ``n`` is ``weight[n]`` times the half response at ``source[n]`` and stands at ``place[n]``.
    """

    source: np.ndarray
    weight: np.ndarray
    place: np.ndarray
    before: np.ndarray  # window of the noise
    after: np.ndarray  # window of the filtered frame, as long as that is
    n_fft: int
    lead: int  # samples by which the filter is late


def fused_filtered_noise(magnitude: Tensor, noise: Tensor, taps: Taps) -> Tensor:
    """What ``filtered_noise_plain`` does, for float32 on the CPU, where noise needs no gradient."""
    return _FilteredNoise.apply(magnitude, noise.detach(), taps)


class _FilteredNoise(torch.autograd.Function):
    @staticmethod
    def forward(ctx, magnitude, noise, taps):
        import scipy.fft

        from drumblender.dsp.kernels import frames_cpu

        bands, rows = magnitude.detach().contiguous().numpy(), noise.contiguous().numpy()
        batch, num_frames, window = rows.shape
        hop = window // 2
        size = (num_frames - 1) * hop + window
        out = np.zeros((batch, (num_frames - 1) * hop + len(taps.after)), np.float32)
        keep = ctx.needs_input_grad[0]
        bins = taps.n_fft // 2 + 1
        spectra = np.empty((batch, num_frames, bins), np.complex64) if keep else None

        def filter_items(start: int, stop: int) -> None:
            for item in range(start, stop):
                for span, frames in _chunks(num_frames, taps.n_fft):
                    frames_cpu.window_rows(rows[item, span], taps.before, frames)
                    x = scipy.fft.rfft(frames)
                    if keep:
                        spectra[item, span] = x
                    frames_cpu.place_taps(
                        _half_responses(bands[item, span]), taps.source, taps.weight, taps.place, frames
                    )
                    h = scipy.fft.rfft(frames)
                    y = h.view(np.float32)
                    frames_cpu.multiply_rows(x.view(np.float32), y, False, y)
                    frames = scipy.fft.irfft(h, taps.n_fft, overwrite_x=True)
                    frames_cpu.lay_frames(frames, taps.after, span.start, hop, out[item])

        parallel_for(filter_items, batch)
        ctx.taps, ctx.spectra, ctx.bands_shape, ctx.hop = taps, spectra, bands.shape, hop
        return torch.from_numpy(out[:, taps.lead : taps.lead + size].copy() if taps.lead else out)

    @staticmethod
    @once_differentiable
    def backward(ctx, grad):
        import scipy.fft

        from drumblender.dsp.kernels import frames_cpu

        taps, hop = ctx.taps, ctx.hop
        batch, num_frames, num_bands = ctx.bands_shape
        padded = np.zeros((batch, (num_frames - 1) * hop + len(taps.after)), np.float32)
        padded[:, taps.lead : taps.lead + grad.shape[1]] = grad.numpy()
        by_bands = np.empty(ctx.bands_shape, np.float32)

        def spread_items(start: int, stop: int) -> None:
            for item in range(start, stop):
                for span, frames in _chunks(num_frames, taps.n_fft):
                    frames_cpu.cut_frames(padded[item], taps.after, span.start, hop, frames)
                    g = scipy.fft.rfft(frames)
                    y, x = g.view(np.float32), ctx.spectra[item, span].view(np.float32)
                    frames_cpu.multiply_rows(x, y, True, y)
                    frames = scipy.fft.irfft(g, taps.n_fft, overwrite_x=True)
                    halves = np.empty((len(frames), num_bands), np.float32)
                    frames_cpu.gather_taps(frames, taps.source, taps.weight, taps.place, halves)
                    by_bands[item, span] = _half_responses_adjoint(halves)

        parallel_for(spread_items, batch)
        return torch.from_numpy(by_bands), None, None


def _half_responses(bands: np.ndarray) -> np.ndarray:
    """Cosine transform (DCT-I) of rows: half of each response, times its length."""
    import scipy.fft

    from drumblender.dsp.kernels import frames_cpu

    if bands.shape[1] > _TABLE_BANDS:
        return scipy.fft.dct(bands, type=1)
    halves = np.empty_like(bands)
    frames_cpu.transform_rows(bands, _cosines(bands.shape[1], False), halves)
    return halves


def _half_responses_adjoint(halves: np.ndarray) -> np.ndarray:
    import scipy.fft

    from drumblender.dsp.kernels import frames_cpu

    if halves.shape[1] > _TABLE_BANDS:  # the transform counts inner numbers twice, its adjoint inner results
        halves[:, 1:-1] /= 2
        bands = scipy.fft.dct(halves, type=1)
        bands[:, 1:-1] *= 2
        return bands
    bands = np.empty_like(halves)
    frames_cpu.transform_rows(halves, _cosines(halves.shape[1], True), bands)
    return bands


@lru_cache(maxsize=8)
def _cosines(num_bands: int, transposed: bool) -> np.ndarray:
    number = np.arange(num_bands)
    table = 2 * np.cos(np.pi / (num_bands - 1) * number[:, None] * number)  # by band and by tap
    table[[0, -1]] /= 2
    return np.ascontiguousarray(table.T if transposed else table, dtype=np.float32)


def _chunks(num_frames: int, n_fft: int) -> Iterator[tuple[slice, np.ndarray]]:
    """Spans of frames, and room for each."""
    size = max(1, _CHUNK_SAMPLES // n_fft)
    room = np.empty((min(size, num_frames), n_fft), np.float32)
    for first in range(0, num_frames, size):
        last = min(first + size, num_frames)
        yield slice(first, last), room[: last - first]
