"""What the magnitudes of a frame say about timbre: centroid, spread, flatness, flux.

Frames are cut without padding, and features that look through the same window share its FFT.
"""

import math
from functools import cache

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from drumblender.dsp.kernels.threads import parallel_for
from drumblender.dsp.precision import in_full_precision
from drumblender.dsp.sharing import plain_array
from drumblender.types import Audio

WINDOWS = ("hann", "flat_top", "symmetric_hann", "none")
_TINY = 1e-12
_FLAT_TOP = (0.21557895, 0.41663158, 0.277263158, 0.083578947, 0.006947368)

Spectra = Float[Tensor, "... bins"]


@cache
def analysis_window(name: str, length: int, dtype: torch.dtype = torch.float32) -> Float[Tensor, "length"]:
    """One of ``WINDOWS``: periodic Hann, flat-top and Hann that end where they began, or ones.

    On the CPU; the tensor is shared, do not write to it.
    """
    if name == "hann":
        return torch.hann_window(length, dtype=dtype)
    if name == "symmetric_hann":
        return torch.hann_window(length, periodic=False, dtype=dtype)
    if name == "flat_top":
        # float32 for any dtype, one operation after another: the rounding of the published window belongs to
        # it, and training in float64 follows the published runs with no other.
        count = torch.arange(length, dtype=torch.float32)
        terms = [
            (-1) ** k * height * torch.cos(2 * k * math.pi * count / max(length - 1, 1))
            for k, height in enumerate(_FLAT_TOP)
        ]
        return sum(terms).to(dtype)
    if name == "none":
        return torch.ones(length, dtype=dtype)
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
    shapes = [analysis_window(name, frame_size, audio.dtype).to(audio.device) for name in windows]
    spectra = []
    while len(shapes) > 1 and audio.device.type == "cpu":
        spectra += _PairedMagnitudes.apply(audio, shapes.pop(0), shapes.pop(0), hop_size)
    spectra += [frame_magnitudes_plain(audio, shape, hop_size) for shape in shapes]
    return tuple(spectra)


def frame_magnitudes_plain(
    audio: Audio, window: Float[Tensor, "size"], hop_size: int
) -> Float[Tensor, "batch frames bins"]:
    """What :func:`frame_magnitudes` computes for one window: any device, any precision.

    On the CPU in float64, because a float32 FFT's rounding is what the flatness of a tone would measure.
    """
    frames = (audio.double() if audio.device.type == "cpu" else audio).unfold(
        -1, len(window), hop_size
    ) * window
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
        # Slow to import. pocketfft runs in our threads; MKL's FFT would leave a team of its own spinning.
        import scipy.fft

        from drumblender.dsp.kernels import frames_cpu

        per_row = (audio.shape[1] - len(window)) // hop_size + 1
        kind = np.complex64 if audio.dtype == torch.float32 else np.complex128
        spectra = np.empty((len(audio), per_row, len(window)), dtype=kind)
        results = [audio.new_empty(len(audio), per_row, len(window) // 2 + 1) for _ in range(2)]
        signal, shapes = plain_array(audio), (window.numpy(), other.numpy())
        real, imaginary = (result.numpy() for result in results)

        def transform(start: int, stop: int) -> None:
            for row in range(start, stop):
                part = spectra[row]
                frames_cpu.cut_pairs(signal[row], *shapes, hop_size, interleaved(part))
                transformed = scipy.fft.fft(part, overwrite_x=True)
                if transformed is not part:  # it may overwrite, and says not that it must
                    part[:] = transformed
                frames_cpu.split_pairs(interleaved(part), real[row], imaginary[row])

        parallel_for(transform, len(audio))
        ctx.spectra, ctx.shapes, ctx.hop_size, ctx.shape = spectra, shapes, hop_size, tuple(audio.shape)
        return tuple(results)

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx, *grads: Tensor):
        import scipy.fft

        from drumblender.dsp.kernels import frames_cpu

        real, imaginary = (plain_array(grad) for grad in grads)
        signal = np.zeros(ctx.shape, dtype=real.dtype)

        def add_back(start: int, stop: int) -> None:
            joined = np.empty_like(ctx.spectra[0])
            for row in range(start, stop):
                spectra = interleaved(ctx.spectra[row])
                frames_cpu.join_pairs(spectra, real[row], imaginary[row], interleaved(joined))
                frames = scipy.fft.ifft(joined, norm="forward")
                frames_cpu.add_pairs(interleaved(frames), *ctx.shapes, ctx.hop_size, signal[row])

        parallel_for(add_back, len(signal))
        return torch.from_numpy(signal), None, None, None


def interleaved(spectra: np.ndarray) -> np.ndarray:
    """Rows of real and imaginary parts in turn, as the kernels read them: the same memory."""
    return spectra.view(spectra.real.dtype)


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
