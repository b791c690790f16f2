"""Sums of spectral distances to one target, and their gradient on the waveform, item by item in cache.

Unlike :mod:`drumblender.dsp.kernels.spectral_distance` it computes the target's spectra once, and spectra,
distances and the way back follow one another on a single sound, whose memory is used again by the next.
A search renders thousands of sounds for one target: there the fresh pages of large tensors cost more than the
arithmetic.
"""

import threading
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from drumblender.dsp.kernels import spectra_cpu, spectral_distance_cpu, transforms
from drumblender.dsp.kernels.spectra import padded_rows, spectra_of_frames
from drumblender.dsp.kernels.threads import parallel_for

_CHUNK_SAMPLES = 2**16


@dataclass(frozen=True)
class Resolution:
    """One STFT of the target, and how its distances are weighed.

    Attributes:
        target: Its spectra, ``(frames, 2 * bins)``, real and imaginary parts interleaved.
        window: Samples of the window, centred in the FFT.
        convergence, logs, absolute: Weights of ``|u - v| / |v|`` and of the means of ``|ln u - ln v|`` and
            ``|u - v|``.
        floor, offset, lift: Least power of a bin; what is added to magnitudes in logarithms and to ``|v|``.
    """

    target: np.ndarray
    n_fft: int
    hop_length: int
    window: np.ndarray
    convergence: float
    logs: float
    absolute: float
    floor: float
    offset: float
    lift: float


@dataclass
class Plan:
    """All resolutions of a loss, and the memory that its calls share."""

    resolutions: Sequence[Resolution]
    scratch: Any = field(default_factory=threading.local)

    def rows(self, like: np.ndarray) -> np.ndarray:
        """Memory of this thread for spectra of that shape."""
        kept = self.scratch.__dict__.setdefault(like.shape, None)
        if kept is None:
            kept = self.scratch.__dict__[like.shape] = np.empty_like(like)
        return kept


class TargetDistance(torch.autograd.Function):
    """``(batch, samples)`` to ``(batch,)``: the mean over resolutions of each sound's weighted distances."""

    @staticmethod
    def forward(ctx, audio: Tensor, plan: Plan) -> Tensor:
        values, grads = np.zeros(len(audio)), None
        if ctx.needs_input_grad[0]:
            grads = np.zeros(audio.shape, np.float32)
        for resolution in plan.resolutions:
            padded = padded_rows(audio, resolution.n_fft, mirror=True)

            def measure(start: int, stop: int, resolution=resolution, padded=padded) -> None:
                for item in range(start, stop):
                    grad = None if grads is None else grads[item : item + 1]
                    values[item] += _compare(resolution, plan, padded[item : item + 1], grad)

            parallel_for(measure, len(audio))
        count = len(plan.resolutions)
        ctx.grads = None if grads is None else grads / np.float32(count)
        return torch.from_numpy(values / count).to(audio.dtype)

    @staticmethod
    @once_differentiable
    def backward(ctx, grad: Tensor) -> tuple[Tensor, None]:
        return torch.from_numpy(ctx.grads) * grad[:, None], None


def _compare(resolution: Resolution, plan: Plan, padded: np.ndarray, grad: np.ndarray | None) -> float:
    """The distance of one sound; its gradient is added to ``grad``, ``(1, samples)``."""
    target = resolution.target
    frames, bins = target.shape[0], target.shape[1] // 2
    spectra, unity = plan.rows(target), np.ones(frames, np.float32)
    sums = np.empty((frames, 4), np.float32)
    limits = np.float32(resolution.floor), np.float32(resolution.offset)
    settings = resolution.n_fft, resolution.hop_length, resolution.window
    for first, rows in spectra_of_frames(padded, *settings, 0, frames):
        part = slice(first, first + len(rows))
        spectra[part] = rows.view(np.float32)
        spectral_distance_cpu.distances(
            spectra[part], target[part], unity[part], *limits, sums[part], 0, len(rows)
        )
    squares, energy, logs, absolute = sums.sum(axis=0, dtype=np.float64)
    length = np.sqrt(energy) + resolution.lift
    cells = frames * bins
    value = resolution.convergence * np.sqrt(squares) / length
    value += (resolution.logs * logs + resolution.absolute * absolute) / cells
    if grad is not None and np.isfinite(value):
        slope = resolution.convergence / (2 * np.sqrt(squares) * length) if squares > 0 else 0.0
        weights = [slope, resolution.logs / cells, resolution.absolute / cells, 0.0]
        _add_gradient(resolution, spectra, np.tile(np.float32(weights), (frames, 1)), padded.shape, grad)
    elif grad is not None:
        grad[:] = np.nan
    return float(value)


def _add_gradient(
    resolution: Resolution, spectra: np.ndarray, weights: np.ndarray, shape: tuple[int, ...], grad: np.ndarray
) -> None:
    """From the spectra of one sound back to its samples."""
    n_fft, hop, window = resolution.n_fft, resolution.hop_length, resolution.window
    limits = np.float32(resolution.floor), np.float32(resolution.offset)
    frames, offset = len(spectra), (n_fft - len(window)) // 2
    unity, padded = np.ones(frames, np.float32), np.zeros(shape, np.float32)
    size = max(1, _CHUNK_SAMPLES // n_fft)
    slopes = np.empty((size, spectra.shape[1]), np.float32)
    for first in range(0, frames, size):
        part = slice(first, min(first + size, frames))
        count = part.stop - first
        spectral_distance_cpu.distances_adjoint(
            spectra[part],
            resolution.target[part],
            unity[part],
            *limits,
            weights[part],
            slopes[:count],
            0,
            count,
        )
        back = transforms.irfft(slopes[:count].view(np.complex64), n_fft, norm="forward")
        spectra_cpu.add_frames(back, slopes[:count], frames, first, window, hop, offset, padded)
    unpadded = np.empty_like(grad)
    spectra_cpu.pad_adjoint(padded, True, unpadded, 0, 1)
    grad += unpadded
