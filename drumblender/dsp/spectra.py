"""Short-time spectra of audio and their magnitudes."""

from collections.abc import Iterator
from functools import cache
from typing import Literal

import torch
from jaxtyping import Complex, Float
from torch import Tensor

from drumblender.dsp.kernels.threads import parallel_for
from drumblender.dsp.precision import in_full_precision
from drumblender.types import Audio

Spectrum = Complex[Tensor, "batch frames bins"]


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
    padded = torch.nn.functional.pad(audio[:, None], (n_fft // 2, n_fft // 2), mode=pad_mode)[:, 0]
    return _Stft.apply(padded, n_fft, hop_length, window)


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
    @staticmethod
    def forward(ctx, padded: Tensor, n_fft: int, hop_length: int, window: Tensor) -> Tensor:
        batch, num_padded = padded.shape
        per_item = 1 + (num_padded - n_fft) // hop_length
        spectra = torch.empty(batch * per_item, n_fft // 2 + 1, dtype=torch.complex64)
        for first, frames in windowed_frames(padded, n_fft, hop_length, window):
            torch.fft.rfft(frames, out=spectra[first : first + len(frames)])
        ctx.window, ctx.shape, ctx.hop_length, ctx.n_fft = window, padded.shape, hop_length, n_fft
        return spectra.view(batch, per_item, -1)

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx, grad: Tensor) -> tuple[Tensor, None, None, None]:
        from drumblender.dsp.kernels import spectra_cpu

        per_item, n_fft = grad.shape[1], ctx.n_fft
        spectra = grad.resolve_conj().contiguous().flatten(0, 1)
        grad_padded = torch.zeros(ctx.shape)
        window, offset = ctx.window.contiguous().numpy(), (n_fft - ctx.window.numel()) // 2
        for first, chunk in _chunks(spectra, n_fft):
            frames = torch.fft.irfft(chunk, n_fft, norm="forward").numpy()
            spectra_cpu.add_frames(
                frames, as_rows(chunk), per_item, first, window, ctx.hop_length, offset, grad_padded.numpy()
            )
        return grad_padded, None, None, None


def windowed_frames(
    padded: Audio, n_fft: int, hop_length: int, window: Float[Tensor, "length"]
) -> Iterator[tuple[int, Float[Tensor, "rows n_fft"]]]:
    """Cut all items into windowed frames, counted through, a cache-sized chunk at a time (float32, CPU).

    Yields:
        The number of the chunk's first frame, and the chunk. The next one overwrites it.
    """
    from drumblender.dsp.kernels import spectra_cpu  # numba is slow to import

    per_item = 1 + (padded.shape[1] - n_fft) // hop_length
    num_frames, offset = len(padded) * per_item, (n_fft - window.numel()) // 2
    padded, window = padded.contiguous().numpy(), window.contiguous().numpy()
    frames = torch.empty(min(num_frames, _chunk_size(n_fft)), n_fft)
    for first in range(0, num_frames, len(frames)):
        chunk = frames[: num_frames - first]
        rows = chunk.numpy()
        parallel_for(
            lambda start, stop, first=first, rows=rows: spectra_cpu.cut_frames(
                padded, per_item, first, window, hop_length, offset, rows, start, stop
            ),
            len(rows),
        )
        yield first, chunk


def _chunk_size(n_fft: int) -> int:
    return max(1, 2**18 // n_fft)  # frames of a megabyte together stay in cache between two steps


def _chunks(spectra: Tensor, n_fft: int) -> Iterator[tuple[int, Tensor]]:
    first = 0
    for chunk in spectra.split(_chunk_size(n_fft)):
        yield first, chunk
        first += len(chunk)


def as_rows(spectrum: Tensor):
    """Rows of interleaved real and imaginary parts, as the kernels read them."""
    return torch.view_as_real(spectrum).view(-1, 2 * spectrum.shape[-1]).numpy()
