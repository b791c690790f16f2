"""Short-time spectra of audio and their magnitudes."""

from collections.abc import Iterator
from functools import cache
from typing import Literal

import numpy as np
import torch
from jaxtyping import Complex, Float
from torch import Tensor

from drumblender.dsp.kernels.threads import parallel_for
from drumblender.dsp.precision import in_full_precision
from drumblender.types import Audio

Spectrum = Complex[Tensor, "batch frames bins"]

_CHUNK_SAMPLES = 2**17  # half a megabyte of frames stays in cache from one step to the next


@cache
def hann_window(length: int) -> Float[Tensor, "length"]:
    """Periodic Hann window, float32 on the CPU. The tensor is shared: do not write to it."""
    return torch.hann_window(length)


@in_full_precision
def stft(
    audio: Audio,
    n_fft: int,
    hop_length: int,
    window: Float[Tensor, "length"] | None = None,
    *,
    pad_mode: Literal["reflect", "constant"] = "reflect",
) -> Spectrum:
    """Short-time Fourier transform, frame ``t`` centred on sample ``t * hop_length``.

    The values of ``torch.stft``, frames before bins. In float32 on the CPU framing and its adjoint are
    compiled loops, and the adjoint of the FFT is a real one: about three times faster than autograd's.

    Args:
        audio: Sound, any floating type; half precision is computed in float32.
        n_fft: Points of the FFT, which gives ``n_fft // 2 + 1`` bins.
        hop_length: Samples between frames.
        window: No longer than ``n_fft``, centred in it; periodic Hann of length ``n_fft`` by default.
        pad_mode: What is assumed before and after the audio: its mirror image, or silence.

    Raises:
        ValueError: A size below 1, a window longer than the FFT, or audio too short to mirror.
    """
    check_frames(audio, n_fft, hop_length, None if window is None else window.numel(), pad_mode)
    window = (hann_window(n_fft) if window is None else window).to(audio)
    if audio.device.type != "cpu" or audio.dtype != torch.float32 or window.requires_grad:
        return stft_plain(audio, n_fft, hop_length, window, pad_mode)
    return _Stft.apply(audio, n_fft, hop_length, window, pad_mode == "reflect")


def stft_plain(
    audio: Audio, n_fft: int, hop_length: int, window: Float[Tensor, "length"], pad_mode: str = "reflect"
) -> Spectrum:
    """What :func:`stft` computes, by ``torch.stft``: any device, any precision."""
    spectrum = torch.stft(
        audio, n_fft, hop_length, window.numel(), window, pad_mode=pad_mode, return_complex=True
    )
    return spectrum.transpose(1, 2)


def power(spectrum: Spectrum) -> Float[Tensor, "batch frames bins"]:
    """Squared magnitude."""
    return spectrum.real.square() + spectrum.imag.square()


def magnitude(spectrum: Spectrum, floor: float = 0.0) -> Float[Tensor, "batch frames bins"]:
    """The square root of the power, which is lifted to at least ``floor``; below it the gradient is 0."""
    squared = power(spectrum)
    if floor > 0:
        return squared.clamp(min=floor).sqrt()
    return torch.where(squared > 0, squared, 1.0).sqrt() * (squared > 0)


def check_frames(
    audio: Audio, n_fft: int, hop_length: int, window_length: int | None = None, pad_mode: str = "reflect"
) -> None:
    """Refuse sizes that :func:`stft` cannot work with; raises ValueError."""
    window_length = n_fft if window_length is None else window_length
    if min(n_fft, hop_length, window_length) < 1:
        raise ValueError(f"Sizes start at 1, got {n_fft=}, {hop_length=}, {window_length=}.")
    if window_length > n_fft:
        raise ValueError(f"A window of {window_length} samples does not fit in {n_fft=}.")
    if pad_mode not in ("reflect", "constant"):
        raise ValueError(f"pad_mode is 'reflect' or 'constant', got {pad_mode!r}.")
    num_samples = audio.shape[-1]
    if num_samples < 1:
        raise ValueError("The audio has 0 samples.")
    if pad_mode == "reflect" and num_samples <= n_fft // 2:
        raise ValueError(
            f"{num_samples} samples are too few to mirror for {n_fft=}: give more than {n_fft // 2}, "
            "or a smaller n_fft."
        )


class _Stft(torch.autograd.Function):
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
    @torch.autograd.function.once_differentiable
    def backward(ctx, grad: Tensor) -> tuple[Tensor, None, None, None, None]:
        import scipy.fft  # slow to import, like numba

        from drumblender.dsp.kernels import spectra_cpu

        per_item, n_fft, offset = grad.shape[1], ctx.n_fft, (ctx.n_fft - len(ctx.weights)) // 2
        spectra = grad.resolve_conj().contiguous().flatten(0, 1).numpy()
        padded, audio = np.zeros(ctx.padded_shape, np.float32), torch.empty(ctx.shape)
        out = audio.numpy()

        def add_back(start: int, stop: int) -> None:
            for first, last in _chunks(start * per_item, stop * per_item, n_fft):
                rows = spectra[first:last]
                frames = scipy.fft.irfft(rows, n_fft, norm="forward")
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


def padded_rows(audio: Audio, n_fft: int, mirror: bool) -> np.ndarray:
    """float32 audio on the CPU with half a frame before and after: its mirror images, or silence."""
    from drumblender.dsp.kernels import spectra_cpu

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
    import scipy.fft

    from drumblender.dsp.kernels import spectra_cpu

    per_item, offset = 1 + (padded.shape[1] - n_fft) // hop_length, (n_fft - len(window)) // 2
    buffer = np.empty((_CHUNK_SAMPLES // n_fft + 1, n_fft), np.float32)
    for first, last in _chunks(start, stop, n_fft):
        frames = buffer[: last - first]
        spectra_cpu.cut_frames(padded, per_item, first, window, hop_length, offset, frames)
        yield first, scipy.fft.rfft(frames)


def _chunks(start: int, stop: int, n_fft: int) -> Iterator[tuple[int, int]]:
    size = max(1, _CHUNK_SAMPLES // n_fft)
    for first in range(start, stop, size):
        yield first, min(first + size, stop)
