"""What the magnitudes of a frame say about timbre: centroid, spread, flatness, flux.

Frames are cut without padding, and features that look through the same window share its FFT.
"""

import math

import torch
from jaxtyping import Float
from torch import Tensor

from drumblender.dsp.checks import check_some
from drumblender.dsp.kernels import served
from drumblender.dsp.precision import in_full_precision
from drumblender.dsp.spectra import hann_window
from drumblender.dsp.tables import placed, table
from drumblender.types import Audio

WINDOWS = ("hann", "flat_top", "symmetric_hann", "none")
_TINY = 1e-12
_FLAT_TOP = (0.21557895, 0.41663158, 0.277263158, 0.083578947, 0.006947368)

Spectra = Float[Tensor, "... bins"]


@table
def analysis_window(name: str, length: int, dtype: torch.dtype = torch.float32) -> Float[Tensor, "length"]:
    """One of ``WINDOWS``: periodic Hann, flat-top and Hann that end where they began, or ones.

    On the CPU; the tensor is shared, do not write to it.

    Examples:
        >>> analysis_window("hann", 4).round(decimals=3).abs()
        tensor([0.0000, 0.5000, 1.0000, 0.5000])
    """
    if name == "hann":
        return hann_window(length, dtype)
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
    audio: Audio, windows: tuple[str, ...], *, frame_size: int, hop_length: int
) -> tuple[Float[Tensor, "batch frames bins"], ...]:
    """Magnitude spectra of all whole frames through each window.

    Two windows share one complex FFT: one goes through its real part and one through its imaginary part.

    Args:
        audio: Sound of at least one frame.
        windows: Names as :func:`analysis_window` takes them, each once.
        frame_size: Samples in a frame.
        hop_length: Samples from a frame to the next.

    Raises:
        ValueError: A size below 1, no sounds, or none with a whole frame.

    Examples:
        >>> sound = torch.randn(2, 1000)
        >>> hann, none = frame_magnitudes(sound, ("hann", "none"), frame_size=256, hop_length=128)
        >>> hann.shape
        torch.Size([2, 6, 129])
    """
    check_some(audio)
    check_whole_frames(audio.shape[-1], frame_size, hop_length)
    shapes = [placed(analysis_window(name, frame_size, audio.dtype), audio) for name in windows]
    spectra = []
    while len(shapes) > 1 and served(audio):
        from drumblender.dsp.kernels.moments import PairedMagnitudes  # numba and scipy.fft import slowly

        spectra += PairedMagnitudes.apply(audio, shapes.pop(0), shapes.pop(0), hop_length)
    spectra += [frame_magnitudes_plain(audio, shape, hop_length) for shape in shapes]
    return tuple(spectra)


def frame_magnitudes_plain(
    audio: Audio, window: Float[Tensor, "size"], hop_length: int
) -> Float[Tensor, "batch frames bins"]:
    """What :func:`frame_magnitudes` computes for one window: any device, any precision.

    On the CPU in float64, because a float32 FFT's rounding is what the flatness of a tone would measure.
    """
    frames = (audio.double() if audio.device.type == "cpu" else audio).unfold(
        -1, len(window), hop_length
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

    Examples:
        >>> centroid_bins(torch.tensor([[0.0, 1.0, 0.0, 1.0]]))
        tensor([2.])
    """
    if served(magnitude):
        from drumblender.dsp.kernels.moments import Centroid

        rows = magnitude.reshape(-1, magnitude.shape[-1])
        return Centroid.apply(rows, compress, floor or 0.0).view(magnitude.shape[:-1])
    return centroid_plain(weigh(magnitude, compress, floor))


def centroid_plain(weight: Spectra) -> Float[Tensor, "..."]:
    """What :func:`centroid_bins` computes from the weights: any device, any precision."""
    return (weight * bin_numbers(weight)).sum(dim=-1) / weight.sum(dim=-1).clamp(min=_TINY)


@in_full_precision
def spread_bins(
    magnitude: Spectra, *, compress: bool = False, floor: float | None = None
) -> Float[Tensor, "..."]:
    """The variance around the centroid, in bins squared; arguments as in :func:`centroid_bins`.

    Examples:
        >>> spread_bins(torch.tensor([[0.0, 1.0, 0.0, 1.0]]))
        tensor([1.])
    """
    weight = weigh(magnitude, compress, floor)
    offset = bin_numbers(weight) - centroid_plain(weight)[..., None]
    return (weight * offset.square()).sum(dim=-1) / weight.sum(dim=-1).clamp(min=_TINY)


@in_full_precision
def flatness(magnitude: Spectra, *, amin: float = 1e-10) -> Float[Tensor, "..."]:
    """Geometric over arithmetic mean of the power: 1 for a flat spectrum, near 0 for a pure tone.

    Args:
        magnitude: Not below 0.
        amin: Powers below it count as this much, and get no gradient.

    Examples:
        >>> flatness(torch.tensor([[2.0, 2.0, 2.0], [2.0, 0.0, 0.0]])).round(decimals=2)
        tensor([1., 0.])
    """
    if served(magnitude):
        from drumblender.dsp.kernels.moments import Flatness

        rows = magnitude.reshape(-1, magnitude.shape[-1])
        return Flatness.apply(rows, amin).view(magnitude.shape[:-1])
    return flatness_plain(magnitude, amin=amin)


def flatness_plain(magnitude: Spectra, *, amin: float = 1e-10) -> Float[Tensor, "..."]:
    """What :func:`flatness` computes: any device, any precision."""
    power = magnitude.square()
    power = torch.where(power < amin, amin, power)
    return power.log().mean(dim=-1).exp() / power.mean(dim=-1)


def flux(magnitude: Float[Tensor, "... frames bins"]) -> Float[Tensor, "... steps"]:
    """Squared growth from each frame to the next, summed over the bins; what shrinks does not count.

    Examples:
        >>> flux(torch.tensor([[0.0, 0.0], [1.0, 2.0], [0.0, 1.0]]))
        tensor([5., 0.])
    """
    return magnitude.diff(dim=-2).relu().square().sum(dim=-1)


def weigh(magnitude: Spectra, compress: bool, floor: float | None) -> Spectra:
    """Lift magnitudes to the floor and, if asked, compress them to ``log(1 + magnitude)``.

    Examples:
        >>> weigh(torch.tensor([0.0, 2.0]), compress=False, floor=1.0)
        tensor([1., 2.])
    """
    if floor is not None:
        magnitude = torch.where(magnitude < floor, floor, magnitude)
    return torch.log1p(magnitude) if compress else magnitude


def bin_numbers(spectra: Spectra) -> Float[Tensor, "bins"]:
    """The number of each bin, in the type of the spectra.

    Examples:
        >>> bin_numbers(torch.zeros(2, 3))
        tensor([0., 1., 2.])
    """
    return torch.arange(spectra.shape[-1], device=spectra.device, dtype=spectra.dtype)


def check_whole_frames(num_samples: int, frame_size: int, hop_length: int) -> None:
    """Raise ValueError unless at least one frame of a positive size fits.

    Examples:
        >>> check_whole_frames(100, frame_size=256, hop_length=128)
        Traceback (most recent call last):
            ...
        ValueError: 100 samples are shorter than one frame of 256.
    """
    if min(frame_size, hop_length) < 1:
        raise ValueError(f"A frame and a hop take at least 1 sample, got {frame_size=}, {hop_length=}.")
    if num_samples < frame_size:
        raise ValueError(f"{num_samples} samples are shorter than one frame of {frame_size}.")
