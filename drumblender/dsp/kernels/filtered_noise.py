"""Frames of noise that are filtered and laid over each other, on the CPU.

A frame is transformed, multiplied, transformed back and added to the sound, as many frames at a time as stay
in cache; nothing of frames times bins is held but what the gradient needs.
"""

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from drumblender.dsp.kernels import transforms
from drumblender.dsp.kernels.threads import parallel_for

_CHUNK_SAMPLES = 2**16
_TABLE_BANDS = 256  # up to here a table from bands to spectra beats two transforms


class Table(NamedTuple):
    """Spectra of filters as sums over bands.

    Number ``place`` of a spectrum, real and imaginary parts counted in turn, is what stands at ``column`` in
    the product of bands and ``by_band``. Of an even response half the numbers are 0 or all alike: what is 0
    has no column, what is alike shares one.
    """

    by_band: np.ndarray  # (bands, columns)
    column: np.ndarray
    place: np.ndarray
    weight: np.ndarray  # how often the transform back counts a number, over its length


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
    lead: int  # where the noise begins in its frame: the filter is heard as long before
    table: Table | None  # from bands to spectra, where they are few


def table_of(
    num_bands: int, source: np.ndarray, weight: np.ndarray, place: np.ndarray, n_fft: int
) -> Table | None:
    """The spectra that :class:`Taps` give each band; None where transforms are faster."""
    if num_bands > _TABLE_BANDS:
        return None
    number = np.arange(num_bands)
    cosines = 2 * np.cos(np.pi / (num_bands - 1) * number[:, None] * number)  # by band and by tap: a DCT-I
    cosines[[0, -1]] /= 2
    frames = np.zeros((num_bands, n_fft))
    np.add.at(frames, (slice(None), place), weight * cosines[:, source])
    parts = np.fft.rfft(frames).view(np.float64).round(12)
    place = np.flatnonzero(parts.any(axis=0))
    columns, column = np.unique(parts[:, place], axis=1, return_inverse=True)
    by_band = np.zeros((num_bands, -(-columns.shape[1] // 8) * 8), np.float32)  # MKL is slow at other widths
    by_band[:, : columns.shape[1]] = columns
    counted = np.where((place < 2) | (place >= n_fft), 1 / n_fft, 2 / n_fft)
    return Table(by_band, column.ravel(), place, counted.astype(np.float32))


def fused_filtered_noise(magnitude: Tensor, noise: Tensor, taps: Taps) -> Tensor:
    """What ``filtered_noise_plain`` does, for float32 on the CPU, where noise needs no gradient."""
    return _FilteredNoise.apply(magnitude, noise.detach(), taps)


class _FilteredNoise(torch.autograd.Function):
    @staticmethod
    def forward(ctx, magnitude, noise, taps):
        from drumblender.dsp.kernels import frames_cpu

        numbers, rows = _numbers(magnitude.detach(), taps), noise.contiguous().numpy()
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
                    frames_cpu.window_rows(rows[item, span], taps.before, taps.lead, frames)
                    x = transforms.rfft(frames)
                    if keep:
                        spectra[item, span] = x
                    h = _responses(numbers[item, span], taps, frames)
                    y = h.view(np.float32)
                    frames_cpu.multiply_rows(x.view(np.float32), y, False, y)
                    frames = transforms.irfft(h, taps.n_fft)
                    frames_cpu.lay_frames(frames, taps.after, span.start, hop, out[item])

        parallel_for(filter_items, batch)
        ctx.taps, ctx.spectra, ctx.numbers_shape, ctx.hop = taps, spectra, numbers.shape, hop
        return torch.from_numpy(out[:, taps.lead : taps.lead + size].copy() if taps.lead else out)

    @staticmethod
    @once_differentiable
    def backward(ctx, grad):
        from drumblender.dsp.kernels import frames_cpu

        taps, hop = ctx.taps, ctx.hop
        batch, num_frames, _ = ctx.numbers_shape
        padded = np.zeros((batch, (num_frames - 1) * hop + len(taps.after)), np.float32)
        padded[:, taps.lead : taps.lead + grad.shape[1]] = grad.numpy()
        by_numbers = np.empty(ctx.numbers_shape, np.float32)

        def spread_items(start: int, stop: int) -> None:
            for item in range(start, stop):
                for span, frames in _chunks(num_frames, taps.n_fft):
                    frames_cpu.cut_frames(padded[item], taps.after, span.start, hop, frames)
                    g = transforms.rfft(frames)
                    y, x = g.view(np.float32), ctx.spectra[item, span].view(np.float32)
                    frames_cpu.multiply_rows(x, y, True, y)
                    _responses_adjoint(g, taps, by_numbers[item, span])

        parallel_for(spread_items, batch)
        return _numbers_adjoint(by_numbers, taps), None, None


def _numbers(bands: Tensor, taps: Taps) -> np.ndarray:
    """What describes each filter: columns of the table, or half of its response, times its length."""
    if taps.table is not None:
        return (bands @ torch.from_numpy(taps.table.by_band)).numpy()
    import scipy.fft

    return scipy.fft.dct(bands.numpy(), type=1)


def _numbers_adjoint(by_numbers: np.ndarray, taps: Taps) -> Tensor:
    if taps.table is not None:
        return torch.from_numpy(by_numbers) @ torch.from_numpy(taps.table.by_band).T
    import scipy.fft

    by_numbers[..., 1:-1] /= 2  # the transform counts inner numbers twice, its adjoint inner results
    by_bands = scipy.fft.dct(by_numbers, type=1)
    by_bands[..., 1:-1] *= 2
    return torch.from_numpy(by_bands)


def _responses(numbers: np.ndarray, taps: Taps, frames: np.ndarray) -> np.ndarray:
    """Spectra of the filters, complex64; ``frames`` is room for their taps."""
    from drumblender.dsp.kernels import frames_cpu

    if taps.table is None:
        frames_cpu.place_taps(numbers, taps.source, taps.weight, taps.place, frames)
        return transforms.rfft(frames)
    spectra = np.empty((len(numbers), taps.n_fft // 2 + 1), np.complex64)
    table = taps.table
    frames_cpu.spread_columns(numbers, table.column, table.place, spectra.view(np.float32))
    return spectra


def _responses_adjoint(spectra: np.ndarray, taps: Taps, by_numbers: np.ndarray) -> None:
    """From a gradient by spectra of the filters, as a transform of frames gives it."""
    from drumblender.dsp.kernels import frames_cpu

    if taps.table is None:
        frames = transforms.irfft(spectra, taps.n_fft)
        frames_cpu.gather_taps(frames, taps.source, taps.weight, taps.place, by_numbers)
        return
    rows, table = spectra.view(np.float32), taps.table
    frames_cpu.gather_taps(rows, table.column, table.weight, table.place, by_numbers)


def _chunks(num_frames: int, n_fft: int) -> Iterator[tuple[slice, np.ndarray]]:
    """Spans of frames, and room for each."""
    size = max(1, _CHUNK_SAMPLES // n_fft)
    room = np.empty((min(size, num_frames), n_fft), np.float32)
    for first in range(0, num_frames, size):
        last = min(first + size, num_frames)
        yield slice(first, last), room[: last - first]
