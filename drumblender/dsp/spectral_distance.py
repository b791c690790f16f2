"""How far apart the magnitudes of two spectra lie."""

from typing import NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor

from drumblender.dsp.kernels import served, served_on_cuda
from drumblender.dsp.precision import in_full_precision
from drumblender.dsp.roots import safe_root
from drumblender.dsp.spectra import (
    Spectrum,
    check_frames,
    hann_window,
    magnitude,
    power,
    stft,
)
from drumblender.types import Audio


class SpectralSums(NamedTuple):
    """How far apart the magnitudes u (prediction) and v (target, times its gain) of each item are.

    Examples:
        >>> sums = SpectralSums(*torch.ones(4, 2))
        >>> sums._fields
        ('squares', 'energy', 'logs', 'absolute')
    """

    squares: Float[Tensor, "batch"]  # sum of (u - v)^2
    energy: Float[Tensor, "batch"]  # sum of v^2
    logs: Float[Tensor, "batch"]  # sum of |ln(u + offset) - ln(v + offset)|
    absolute: Float[Tensor, "batch"]  # sum of |u - v|


def spectral_sums(
    prediction: Spectrum,
    target: Spectrum,
    *,
    floor: float = 1e-8,
    offset: float = 0.0,
    match_gain: bool = False,
) -> SpectralSums:
    """The sums over frames and bins that spectral losses are made of, in float64 for each item.

    Differentiable. In float32, where only the prediction needs a gradient, by compiled loops: on the CPU, and
    on CUDA with Triton.

    Args:
        prediction: Spectrum of the prediction.
        target: Spectrum of the same shape.
        floor: The power of a bin counts as at least this.
        offset: Added to magnitudes before the logarithm. Floor or offset must be above 0.
        match_gain: Scale each target by the gain that brings it closest to its prediction (least squares).

    Examples:
        >>> spectrum = torch.full((1, 2, 3), 1.0 + 0j)
        >>> spectral_sums(2 * spectrum, spectrum).absolute  # six bins, 1 apart
        tensor([6.], dtype=torch.float64)
    """
    if prediction.shape != target.shape:
        raise ValueError(f"Spectra differ in shape: {tuple(prediction.shape)} and {tuple(target.shape)}.")
    if floor < 0 or offset < 0 or floor + offset <= 0:
        raise ValueError(f"The floor or the offset must be above 0, got {floor=}, {offset=}.")
    representable = max(floor**0.5, offset) >= 1e-15  # so that no ratio overflows float32
    narrow = prediction.dtype == torch.complex64 == target.dtype and prediction.numel() > 0
    if narrow and representable and not (target.requires_grad and torch.is_grad_enabled()):
        settings = prediction, target, floor, offset, match_gain
        if served(prediction, target):
            from drumblender.dsp.kernels import spectral_distance as kernel  # numba is slow to import

            return SpectralSums(*kernel.SpectralSums.apply(*settings).unbind(1))
        if served_on_cuda(prediction, target):
            from drumblender.dsp.kernels import spectral_distance_cuda

            return SpectralSums(*spectral_distance_cuda.SpectralSums.apply(*settings).unbind(1))
    return spectral_sums_plain(prediction, target, floor=floor, offset=offset, match_gain=match_gain)


def spectral_sums_plain(
    prediction: Spectrum, target: Spectrum, *, floor: float, offset: float = 0.0, match_gain: bool = False
) -> SpectralSums:
    """What :func:`spectral_sums` computes, as a formula in torch."""
    u, v = magnitude(prediction, floor), magnitude(target, floor)
    if match_gain:
        v = v * matching_gain(_total(u * v), _total(v.square()))[:, None, None].to(v.dtype)
    logs = (torch.log(u + offset) - torch.log(v + offset)).abs()
    return SpectralSums(_total((u - v).square()), _total(v.square()), _total(logs), _total((u - v).abs()))


def matching_gain(cross: Tensor, energy: Tensor) -> Tensor:
    """Least-squares gain; 1 where it would be 0 or undefined, so that logarithms stay finite.

    Examples:
        >>> x, y = torch.tensor([2.0, 4.0]), torch.tensor([1.0, 2.0])
        >>> matching_gain(cross=(x * y).sum(), energy=y.square().sum())
        tensor(2.)
    """
    matchable = (cross > 0) & (energy > 0)
    return torch.where(matchable, cross, 1.0) / torch.where(matchable, energy, 1.0)


def _total(values: Tensor) -> Tensor:
    accumulator = torch.float32 if values.device.type == "mps" else torch.float64
    return values.sum(dim=(1, 2), dtype=accumulator)


@in_full_precision
def log_spectral_distance(
    prediction: Audio, target: Audio, *, n_fft: int, hop_length: int, eps: float = 1e-8
) -> Float[Tensor, "batch frames"]:
    """Root mean square over bins of ``ln(|X|^2 + eps) - ln(|Y|^2 + eps)``, for each frame.

    Periodic Hann window of ``n_fft``, reflect padding. In float32 on the CPU, where no gradient is asked for,
    a few frames at a time: memory does not grow with the length of the sound.

    Args:
        prediction: Sound.
        target: Sound of the same shape.
        n_fft: Points of the FFT.
        hop_length: Samples between frames.
        eps: Added to powers, above 0.

    Examples:
        >>> sound = torch.randn(1, 8000)
        >>> distance = log_spectral_distance(10 * sound, sound, n_fft=1024, hop_length=256)
        >>> distance.shape, round(distance.mean().item(), 2)  # ln 100
        (torch.Size([1, 32]), 4.61)
    """
    if prediction.shape != target.shape:
        raise ValueError(f"Shapes differ: {tuple(prediction.shape)} and {tuple(target.shape)}.")
    if eps <= 0:
        raise ValueError(f"eps keeps the logarithm of silence finite and must be above 0, got {eps}.")
    check_frames(prediction, n_fft, hop_length)
    needs_grad = torch.is_grad_enabled() and (prediction.requires_grad or target.requires_grad)
    fused = prediction.dtype == torch.float32 == target.dtype and served(prediction, target)
    if fused and not needs_grad and eps >= 1e-20:
        from drumblender.dsp.kernels import spectral_distance as kernel

        window = hann_window(n_fft).numpy()
        return kernel.log_spectral_distance(prediction, target, n_fft, hop_length, window, eps)
    logs = [torch.log(power(stft(audio, n_fft, hop_length)) + eps) for audio in (prediction, target)]
    return safe_root((logs[0] - logs[1]).square().mean(dim=-1))
