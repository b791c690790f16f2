"""The short-time Fourier transform as an autograd function on the CPU, and its parts."""

from collections.abc import Iterator

import numpy as np
import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from drumblender.dsp.kernels import spectra_cpu, transforms
from drumblender.dsp.kernels.threads import parallel_for

_CHUNK_SAMPLES = 2**17  # half a megabyte of frames stays in cache from one step to the next


class Stft(torch.autograd.Function):
    """Our loops only: after a parallel operation of torch its team spins for a while, beside our threads."""

    @staticmethod
    def forward(ctx, audio: Tensor, n_fft: int, hop_length: int, window: Tensor, mirror: bool) -> Tensor:
        padded, weights = padded_rows(audio, n_fft, mirror), window.contiguous().numpy()
        per_item = 1 + (padded.shape[1] - n_fft) // hop_length
        spectra = torch.empty(len(padded) * per_item, n_fft // 2 + 1, dtype=torch.complex64)
        out = spectra.numpy()

        def transform(start: int, stop: int) -> None:
            for first, rows in spectra_of_frames(padded, n_fft, hop_length, weights, start, stop):
                out[first : first + len(rows)] = rows

        parallel_for(transform, len(spectra))
        ctx.shape, ctx.padded_shape, ctx.weights = audio.shape, padded.shape, weights
        ctx.n_fft, ctx.hop_length, ctx.mirror = n_fft, hop_length, mirror
        return spectra.view(len(padded), per_item, -1)

    @staticmethod
    @once_differentiable
    def backward(ctx, grad: Tensor) -> tuple[Tensor, None, None, None, None]:
        per_item, n_fft, offset = grad.shape[1], ctx.n_fft, (ctx.n_fft - len(ctx.weights)) // 2
        spectra = grad.resolve_conj().contiguous().flatten(0, 1).numpy()
        padded, audio = np.zeros(ctx.padded_shape, np.float32), torch.empty(ctx.shape)
        out = audio.numpy()

        def add_back(start: int, stop: int) -> None:
            for first, last in _chunks(start * per_item, stop * per_item, n_fft):
                rows = spectra[first:last]
                frames = transforms.irfft(rows, n_fft, norm="forward")
                spectra_cpu.add_frames(
                    frames,
                    rows.view(np.float32),
                    per_item,
                    first,
                    ctx.weights,
                    ctx.hop_length,
                    offset,
                    padded,
                )
            spectra_cpu.pad_adjoint(padded, ctx.mirror, out, start, stop)

        parallel_for(add_back, len(padded))
        return audio, None, None, None, None


def padded_rows(audio: Tensor, n_fft: int, mirror: bool) -> np.ndarray:
    """float32 audio on the CPU with half a frame before and after: its mirror images, or silence."""
    source = audio.detach().contiguous().numpy()
    padded = np.empty((source.shape[0], source.shape[1] + 2 * (n_fft // 2)), np.float32)
    parallel_for(lambda start, stop: spectra_cpu.pad(source, mirror, padded, start, stop), len(source))
    return padded


def spectra_of_frames(
    padded: np.ndarray, n_fft: int, hop_length: int, window: np.ndarray, start: int, stop: int
) -> Iterator[tuple[int, np.ndarray]]:
    """Transform the frames ``start`` to ``stop`` of all items, by chunks that fit in cache.

    For float32 on the CPU. It runs in the thread that calls it: pocketfft, unlike MKL, starts no team of its
    own to compete with :func:`parallel_for`, and is twice as fast where ``n_fft`` has a large prime factor.

    Yields:
        The number of the first frame, and the spectra ``(frames, bins)``, complex64.
    """
    per_item, offset = 1 + (padded.shape[1] - n_fft) // hop_length, (n_fft - len(window)) // 2
    buffer = np.empty((_CHUNK_SAMPLES // n_fft + 1, n_fft), np.float32)
    for first, last in _chunks(start, stop, n_fft):
        frames = buffer[: last - first]
        spectra_cpu.cut_frames(padded, per_item, first, window, hop_length, offset, frames)
        yield first, transforms.rfft(frames)


def _chunks(start: int, stop: int, n_fft: int) -> Iterator[tuple[int, int]]:
    size = max(1, _CHUNK_SAMPLES // n_fft)
    for first in range(start, stop, size):
        yield first, min(first + size, stop)
