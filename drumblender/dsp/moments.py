"""What the magnitudes of a frame say about timbre: centroid, spread, flatness, flux.

Frames are cut without padding, and features that look through the same window share its FFT.
"""

import math
from collections.abc import Iterator
from functools import cache

import torch
from jaxtyping import Float
from torch import Tensor

from drumblender.dsp.kernels.threads import parallel_for
from drumblender.dsp.precision import in_full_precision, widen
from drumblender.types import Audio

WINDOWS = ("hann", "flat_top", "symmetric_hann", "none")
_TINY = 1e-12
_FLAT_TOP = (0.21557895, 0.41663158, 0.277263158, 0.083578947, 0.006947368)
_CHUNK = 64  # frames whose spectra are held at a time

Spectra = Float[Tensor, "... bins"]


@cache
def analysis_window(name: str, length: int) -> Float[Tensor, "length"]:
    """One of ``WINDOWS``: periodic Hann, flat-top and Hann that end where they began, or ones.

    float32 on the CPU; the tensor is shared, do not write to it.
    """
    if name == "hann":
        return torch.hann_window(length)
    if name == "symmetric_hann":
        return torch.hann_window(length, periodic=False)
    if name == "flat_top":
        angle = torch.arange(length, dtype=torch.float64) * (2 * math.pi / max(length - 1, 1))
        terms = [(-1) ** k * height * torch.cos(k * angle) for k, height in enumerate(_FLAT_TOP)]
        return sum(terms).float()
    if name == "none":
        return torch.ones(length)
    raise ValueError(f"A window is one of {', '.join(WINDOWS)}, got {name!r}.")


@in_full_precision
def frame_magnitudes(
    audio: Audio, windows: tuple[str, ...], *, frame_size: int, hop_size: int
) -> tuple[Float[Tensor, "batch frames bins"], ...]:
    """Magnitude spectra of all whole frames through each window.

    Two windows share one complex FFT: one goes through its real part and one through its imaginary part.

    Args:
        audio: Sound of at least one frame.
        windows: Names as :func:`analysis_window` takes them, each once.
        frame_size: Samples in a frame.
        hop_size: Samples from a frame to the next.
    """
    check_frames(audio.shape[-1], frame_size, hop_size)
    shapes = [analysis_window(name, frame_size).to(audio) for name in windows]
    spectra = []
    while len(shapes) > 1 and audio.device.type == "cpu":
        spectra += _PairedMagnitudes.apply(audio, shapes.pop(0), shapes.pop(0), hop_size)
    spectra += [frame_magnitudes_plain(audio, shape, hop_size) for shape in shapes]
    return tuple(spectra)


def frame_magnitudes_plain(
    audio: Audio, window: Float[Tensor, "size"], hop_size: int
) -> Float[Tensor, "batch frames bins"]:
    """What :func:`frame_magnitudes` computes for one window: any device, any precision.

    In float64, because a float32 FFT's rounding is what the flatness of a tone would measure.
    """
    frames = widen(audio).unfold(-1, len(window), hop_size) * window
    return torch.fft.rfft(frames).abs().to(audio.dtype)


@in_full_precision
def centroid_bins(
    magnitude: Spectra, *, compress: bool = False, floor: float | None = None
) -> Float[Tensor, "..."]:
    """The mean bin, each weighted by its magnitude.

    Args:
        magnitude: Not below 0.
        compress: Weigh by ``log(1 + magnitude)`` instead.
        floor: Magnitudes below it count as this much, and get no gradient.
    """
    if magnitude.device.type == "cpu":
        rows = magnitude.reshape(-1, magnitude.shape[-1])
        return _Centroid.apply(rows, compress, floor or 0.0).view(magnitude.shape[:-1])
    return centroid_plain(weigh(magnitude, compress, floor))


def centroid_plain(weight: Spectra) -> Float[Tensor, "..."]:
    """What :func:`centroid_bins` computes from the weights: any device, any precision."""
    return (weight * bin_numbers(weight)).sum(dim=-1) / weight.sum(dim=-1).clamp(min=_TINY)


@in_full_precision
def spread_bins(
    magnitude: Spectra, *, compress: bool = False, floor: float | None = None
) -> Float[Tensor, "..."]:
    """The variance around the centroid, in bins squared; arguments as in :func:`centroid_bins`."""
    weight = weigh(magnitude, compress, floor)
    offset = bin_numbers(weight) - centroid_plain(weight)[..., None]
    return (weight * offset.square()).sum(dim=-1) / weight.sum(dim=-1).clamp(min=_TINY)


@in_full_precision
def flatness(magnitude: Spectra, *, amin: float = 1e-10) -> Float[Tensor, "..."]:
    """Geometric over arithmetic mean of the power: 1 for a flat spectrum, near 0 for a pure tone.

    Args:
        magnitude: Not below 0.
        amin: Powers below it count as this much, and get no gradient.
    """
    if magnitude.device.type == "cpu":
        rows = magnitude.reshape(-1, magnitude.shape[-1])
        return _Flatness.apply(rows, amin).view(magnitude.shape[:-1])
    return flatness_plain(magnitude, amin=amin)


def flatness_plain(magnitude: Spectra, *, amin: float = 1e-10) -> Float[Tensor, "..."]:
    """What :func:`flatness` computes: any device, any precision."""
    power = magnitude.square()
    power = torch.where(power < amin, amin, power)
    return power.log().mean(dim=-1).exp() / power.mean(dim=-1)


def flux(magnitude: Float[Tensor, "... frames bins"]) -> Float[Tensor, "... steps"]:
    """Squared growth from each frame to the next, summed over the bins; what shrinks does not count."""
    return magnitude.diff(dim=-2).relu().square().sum(dim=-1)


def weigh(magnitude: Spectra, compress: bool, floor: float | None) -> Spectra:
    """Lift magnitudes to the floor and, if asked, compress them to ``log(1 + magnitude)``."""
    if floor is not None:
        magnitude = torch.where(magnitude < floor, floor, magnitude)
    return torch.log1p(magnitude) if compress else magnitude


def bin_numbers(spectra: Spectra) -> Float[Tensor, "bins"]:
    return torch.arange(spectra.shape[-1], device=spectra.device, dtype=spectra.dtype)


def check_frames(num_samples: int, frame_size: int, hop_size: int) -> None:
    """Raise ValueError unless at least one frame of a positive size fits."""
    if min(frame_size, hop_size) < 1:
        raise ValueError(f"A frame and a hop take at least 1 sample, got {frame_size=}, {hop_size=}.")
    if num_samples < frame_size:
        raise ValueError(f"{num_samples} samples are shorter than one frame of {frame_size}.")


class _PairedMagnitudes(torch.autograd.Function):
    @staticmethod
    def forward(ctx, audio: Tensor, window: Tensor, other: Tensor, hop_size: int):
        from drumblender.dsp.kernels import frames_cpu  # numba is slow to import

        ctx.save_for_backward(audio, window, other)
        ctx.hop_size = hop_size
        per_row = (audio.shape[1] - len(window)) // hop_size + 1
        results = [audio.new_empty(len(audio) * per_row, len(window) // 2 + 1) for _ in range(2)]
        for first_row, _, _, spectra in _paired_spectra(audio, window, other, hop_size, per_row):
            arrays = interleaved(spectra), first_row * per_row, *(result.numpy() for result in results)
            parallel_for(lambda i, j, arrays=arrays: frames_cpu.split_pairs(*arrays, i, j), len(spectra))
        return tuple(result.view(len(audio), per_row, -1) for result in results)

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx, *grads: Tensor):
        from drumblender.dsp.kernels import frames_cpu

        audio, window, other = ctx.saved_tensors
        shapes, per_row = (window.numpy(), other.numpy()), grads[0].shape[1]
        by_bins = tuple(grad.contiguous().flatten(0, 1).numpy() for grad in grads)
        grad_audio = audio.new_zeros(audio.shape)
        # The spectra are computed again: that costs less than memory that is touched for the first time.
        for first_row, rows, frames, spectra in _paired_spectra(audio, window, other, ctx.hop_size, per_row):
            join = interleaved(spectra), first_row * per_row, *by_bins
            parallel_for(lambda i, j, join=join: frames_cpu.join_pairs(*join, i, j), len(spectra))
            torch.fft.ifft(spectra, norm="forward", out=frames)
            add = interleaved(frames), first_row, per_row, *shapes, ctx.hop_size, grad_audio.numpy()
            parallel_for(lambda i, j, add=add: frames_cpu.add_pairs(*add, i, j), rows)
        return grad_audio, None, None, None


def _paired_spectra(
    audio: Tensor, window: Tensor, other: Tensor, hop_size: int, per_row: int
) -> Iterator[tuple[int, int, Tensor, Tensor]]:
    """Complex FFTs of frames through both windows, some rows at a time: first row, rows, frames, spectra."""
    from drumblender.dsp.kernels import frames_cpu

    step = max(_CHUNK // per_row, 1)
    kind = torch.complex64 if audio.dtype == torch.float32 else torch.complex128
    frames, result = (torch.empty(step * per_row, len(window), dtype=kind) for _ in range(2))
    settings = per_row, window.numpy(), other.numpy(), hop_size
    signal = audio.detach().contiguous().numpy()
    for first_row in range(0, len(audio), step):
        rows = min(step, len(audio) - first_row)
        part, spectra = frames[: rows * per_row], result[: rows * per_row]
        arrays = signal, first_row, *settings, interleaved(part)
        parallel_for(lambda i, j, arrays=arrays: frames_cpu.cut_pairs(*arrays, i, j), len(part))
        torch.fft.fft(part, out=spectra)
        yield first_row, rows, part, spectra


def interleaved(spectra: Tensor):
    """Rows of real and imaginary parts in turn, as the kernels read them."""
    return torch.view_as_real(spectra).view(-1, 2 * spectra.shape[-1]).numpy()


class _Centroid(torch.autograd.Function):
    @staticmethod
    def forward(ctx, magnitude: Tensor, compress: bool, floor: float) -> Tensor:
        from drumblender.dsp.kernels import moments_cpu

        rows = magnitude.detach().contiguous()
        centre, total = torch.empty(2, len(rows), dtype=torch.float64)
        arrays = rows.numpy(), compress, floor, centre.numpy(), total.numpy()
        parallel_for(lambda i, j: moments_cpu.centroid_forward(*arrays, i, j), len(rows))
        ctx.save_for_backward(rows)
        ctx.arrays = arrays[1:]
        return centre.to(magnitude.dtype)

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx, grad: Tensor):
        from drumblender.dsp.kernels import moments_cpu

        (rows,) = ctx.saved_tensors
        grad_rows = torch.empty_like(rows)
        arrays = rows.numpy(), *ctx.arrays, grad.double().contiguous().numpy(), grad_rows.numpy()
        parallel_for(lambda i, j: moments_cpu.centroid_backward(*arrays, i, j), len(rows))
        return grad_rows, None, None


class _Flatness(torch.autograd.Function):
    @staticmethod
    def forward(ctx, magnitude: Tensor, amin: float) -> Tensor:
        from drumblender.dsp.kernels import moments_cpu

        rows = magnitude.detach().contiguous()
        ratio, mean = torch.empty(2, len(rows), dtype=torch.float64)
        arrays = rows.numpy(), amin, ratio.numpy(), mean.numpy()
        parallel_for(lambda i, j: moments_cpu.flatness_forward(*arrays, i, j), len(rows))
        ctx.save_for_backward(rows)
        ctx.arrays = arrays[1:]
        return ratio.to(magnitude.dtype)

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx, grad: Tensor):
        from drumblender.dsp.kernels import moments_cpu

        (rows,) = ctx.saved_tensors
        grad_rows = torch.empty_like(rows)
        arrays = rows.numpy(), *ctx.arrays, grad.double().contiguous().numpy(), grad_rows.numpy()
        parallel_for(lambda i, j: moments_cpu.flatness_backward(*arrays, i, j), len(rows))
        return grad_rows, None
