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

_CHUNK_SAMPLES = 2**17  # half a megabyte of frames, as of other spectra
_TABLE_BANDS = 256  # up to here a table from bands to spectra beats two transforms


class Table(NamedTuple):
    """Spectra of filters as sums over bands.

    Of a response that is even on the circle of a transform they are real, and ``by_band`` has a column for
    each bin. Of one that is even on half that circle, as published, those of even bins are; those of odd bins
    have real parts that are all alike, the last column, after their imaginary parts.
    """

    by_band: np.ndarray  # (bands, columns)
    real: bool


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
    """The spectra that :class:`Taps` give each band; None where transforms are faster, or of another form."""
    if num_bands > _TABLE_BANDS:
        return None
    number = np.arange(num_bands)
    cosines = 2 * np.cos(np.pi / (num_bands - 1) * number[:, None] * number)  # by band and by tap: a DCT-I
    cosines[[0, -1]] /= 2
    frames = np.zeros((num_bands, n_fft))
    np.add.at(frames, (slice(None), place), weight * cosines[:, source])
    spectra = np.fft.rfft(frames)
    even, odd = spectra[:, ::2], spectra[:, 1::2]
    if _all_zero(spectra.imag):
        columns = spectra.real
    elif n_fft % 4 == 0 and _all_zero(even.imag) and _all_zero(odd.real - odd.real[:, :1]):
        columns = np.hstack([even.real, odd.imag, odd.real[:, :1]])
    else:
        return None
    by_band = np.zeros((num_bands, -(-columns.shape[1] // 8) * 8), np.float32)  # MKL is slow at other widths
    by_band[:, : columns.shape[1]] = columns
    return Table(by_band, real=columns.shape[1] == spectra.shape[1])


def _all_zero(values: np.ndarray) -> bool:
    return bool(np.abs(values).max() < 1e-9)


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
        keep, kept = ctx.needs_input_grad[0], [[] for _ in range(batch)]

        def filter_items(start: int, stop: int) -> None:
            for item in range(start, stop):
                for span, frames in _chunks(num_frames, taps.n_fft):
                    frames_cpu.window_rows(rows[item, span], taps.before, taps.lead, frames)
                    x = transforms.rfft(frames)
                    if keep:
                        kept[item].append(x)
                    y = _applied(x, numbers[item, span], taps, frames)
                    frames_cpu.lay_frames(y, taps.after, span.start, hop, out[item])

        parallel_for(filter_items, batch)
        ctx.taps, ctx.kept, ctx.numbers_shape, ctx.hop = taps, kept, numbers.shape, hop
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
                for x, (span, frames) in zip(ctx.kept[item], _chunks(num_frames, taps.n_fft), strict=True):
                    frames_cpu.cut_frames(padded[item], taps.after, span.start, hop, frames)
                    _applied_adjoint(x, transforms.rfft(frames), taps, by_numbers[item, span])

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


def _applied(spectra: np.ndarray, numbers: np.ndarray, taps: Taps, frames: np.ndarray) -> np.ndarray:
    """The frames of these spectra through the filters; ``frames`` is room for their taps."""
    from drumblender.dsp.kernels import frames_cpu

    x = spectra.view(np.float32)
    if taps.table is None:
        frames_cpu.place_taps(numbers, taps.source, taps.weight, taps.place, frames)
        y = transforms.rfft(frames).view(np.float32)
        frames_cpu.multiply_rows(x, y, False, y)
    else:
        y = np.empty_like(x)
        apply = frames_cpu.apply_real if taps.table.real else frames_cpu.apply_halves
        apply(x, numbers, y)
    return transforms.irfft(y.view(np.complex64), taps.n_fft)


def _applied_adjoint(spectra: np.ndarray, grads: np.ndarray, taps: Taps, by_numbers: np.ndarray) -> None:
    """From the spectra of the filtered frames' gradients; ``grads`` is written over."""
    from drumblender.dsp.kernels import frames_cpu

    x, y = spectra.view(np.float32), grads.view(np.float32)
    if taps.table is None:
        frames_cpu.multiply_rows(x, y, True, y)
        frames = transforms.irfft(grads, taps.n_fft)
        frames_cpu.gather_taps(frames, taps.source, taps.weight, taps.place, by_numbers)
        return
    adjoint = frames_cpu.apply_real_adjoint if taps.table.real else frames_cpu.apply_halves_adjoint
    adjoint(x, y, np.float32(1 / taps.n_fft), by_numbers)


def _chunks(num_frames: int, n_fft: int) -> Iterator[tuple[slice, np.ndarray]]:
    """Spans of frames, and room for each."""
    size = max(1, _CHUNK_SAMPLES // n_fft)
    room = np.empty((min(size, num_frames), n_fft), np.float32)
    for first in range(0, num_frames, size):
        last = min(first + size, num_frames)
        yield slice(first, last), room[: last - first]
