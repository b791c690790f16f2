"""How far apart the magnitudes of two spectra lie."""

from typing import NamedTuple

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from drumblender.dsp.kernels.threads import parallel_for
from drumblender.dsp.precision import in_full_precision
from drumblender.dsp.spectra import (
    Spectrum,
    check_frames,
    hann_window,
    magnitude,
    padded_rows,
    power,
    spectra_of_frames,
    stft,
)
from drumblender.types import Audio


class SpectralSums(NamedTuple):
    """How far apart the magnitudes u (prediction) and v (target, times its gain) of each item are."""

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

    Differentiable. In float32 on the CPU, where only the prediction needs a gradient, by compiled loops.

    Args:
        prediction: Spectrum of the prediction.
        target: Spectrum of the same shape.
        floor: The power of a bin counts as at least this.
        offset: Added to magnitudes before the logarithm. Floor or offset must be above 0.
        match_gain: Scale each target by the gain that brings it closest to its prediction (least squares).
    """
    if prediction.shape != target.shape:
        raise ValueError(f"Spectra differ in shape: {tuple(prediction.shape)} and {tuple(target.shape)}.")
    if floor < 0 or offset < 0 or floor + offset <= 0:
        raise ValueError(f"The floor or the offset must be above 0, got {floor=}, {offset=}.")
    fused = prediction.device.type == "cpu" and prediction.dtype == torch.complex64 == target.dtype
    representable = max(floor**0.5, offset) >= 1e-15  # so that no ratio overflows float32
    if fused and representable and not (target.requires_grad and torch.is_grad_enabled()):
        return SpectralSums(*_SpectralSums.apply(prediction, target, floor, offset, match_gain).unbind(1))
    return spectral_sums_plain(prediction, target, floor=floor, offset=offset, match_gain=match_gain)


def spectral_sums_plain(
    prediction: Spectrum, target: Spectrum, *, floor: float, offset: float = 0.0, match_gain: bool = False
) -> SpectralSums:
    """What :func:`spectral_sums` computes, as a formula in torch."""
    u, v = magnitude(prediction, floor), magnitude(target, floor)
    if match_gain:
        v = v * _gain(_total(u * v), _total(v.square()))[:, None, None].to(v.dtype)
    logs = (torch.log(u + offset) - torch.log(v + offset)).abs()
    return SpectralSums(_total((u - v).square()), _total(v.square()), _total(logs), _total((u - v).abs()))


def _gain(cross: Tensor, energy: Tensor) -> Tensor:
    """Least-squares gain; 1 where it would be 0 or undefined, so that logarithms stay finite."""
    matchable = (cross > 0) & (energy > 0)
    return torch.where(matchable, cross, 1.0) / torch.where(matchable, energy, 1.0)


def _total(values: Tensor) -> Tensor:
    accumulator = torch.float32 if values.device.type == "mps" else torch.float64
    return values.sum(dim=(1, 2), dtype=accumulator)


class _SpectralSums(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x: Tensor, y: Tensor, floor: float, offset: float, match_gain: bool) -> Tensor:
        from drumblender.dsp.kernels import spectra_cpu

        x, y = x.detach().resolve_conj().contiguous(), y.detach().resolve_conj().contiguous()
        batch, num_frames, _ = x.shape
        limits = np.float32(floor), np.float32(offset)
        rows = _rows(x), _rows(y)
        gain, energy = torch.ones(batch, dtype=torch.float64), None
        if match_gain:
            sums = torch.empty(batch * num_frames, 2)
            parallel_for(
                lambda start, stop: spectra_cpu.products(*rows, limits[0], sums.numpy(), start, stop),
                len(sums),
            )
            cross, energy = _per_item(sums, batch).unbind(1)
            gain, energy = _gain(cross, energy), torch.where(cross > 0, energy, 0.0)
        row_gain = gain.float().repeat_interleave(num_frames)
        sums = torch.empty(batch * num_frames, 4)
        parallel_for(
            lambda start, stop: spectra_cpu.distances(
                *rows, row_gain.numpy(), *limits, sums.numpy(), start, stop
            ),
            len(sums),
        )
        sums = _per_item(sums, batch)
        ctx.save_for_backward(x, y)
        ctx.gain, ctx.limits, ctx.target_energy, ctx.sums = gain, limits, energy, sums
        return sums

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx, grad: Tensor) -> tuple[Tensor, None, None, None, None]:
        from drumblender.dsp.kernels import spectra_cpu

        x, y = ctx.saved_tensors
        batch, num_frames, _ = x.shape
        row_gain = ctx.gain.float().repeat_interleave(num_frames).numpy()
        weights = torch.zeros(batch, 4, dtype=torch.float64)
        weights[:, 0], weights[:, 1], weights[:, 2] = grad[:, 0], grad[:, 2], grad[:, 3]
        arrays = _rows(x), _rows(y), row_gain, *ctx.limits
        if ctx.target_energy is not None:
            slopes = torch.empty(batch * num_frames, 3)
            parallel_for(
                lambda start, stop: spectra_cpu.distances_gain_slope(*arrays, slopes.numpy(), start, stop),
                len(slopes),
            )
            inner, logs, absolute = _per_item(slopes, batch).unbind(1)
            grad_gain = 2 * grad[:, 1] * ctx.sums[:, 1] / ctx.gain
            grad_gain = grad_gain - 2 * grad[:, 0] * inner - grad[:, 2] * logs - grad[:, 3] * absolute
            weights[:, 3] = torch.where(ctx.target_energy > 0, grad_gain / ctx.target_energy, 0.0)
        row_weights = weights.float().repeat_interleave(num_frames, dim=0).numpy()
        grad_x = torch.empty_like(x)
        parallel_for(
            lambda start, stop: spectra_cpu.distances_adjoint(
                *arrays, row_weights, _rows(grad_x), start, stop
            ),
            batch * num_frames,
        )
        return grad_x, None, None, None, None


def _rows(spectrum: Tensor) -> np.ndarray:
    """Rows of interleaved real and imaginary parts, as the kernels read them."""
    return torch.view_as_real(spectrum).view(-1, 2 * spectrum.shape[-1]).numpy()


def _per_item(row_sums: Float[Tensor, "rows sums"], batch: int) -> Float[Tensor, "batch sums"]:
    return row_sums.view(batch, -1, row_sums.shape[1]).sum(dim=1, dtype=torch.float64)


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
    """
    if prediction.shape != target.shape:
        raise ValueError(f"Shapes differ: {tuple(prediction.shape)} and {tuple(target.shape)}.")
    if eps <= 0:
        raise ValueError(f"eps keeps the logarithm of silence finite and must be above 0, got {eps}.")
    check_frames(prediction, n_fft, hop_length)
    needs_grad = torch.is_grad_enabled() and (prediction.requires_grad or target.requires_grad)
    on_cpu = prediction.device.type == "cpu" and prediction.dtype == torch.float32 == target.dtype
    if on_cpu and not needs_grad and eps >= 1e-20:
        return _log_spectral_distance_cpu(prediction, target, n_fft, hop_length, eps)
    logs = [torch.log(power(stft(audio, n_fft, hop_length)) + eps) for audio in (prediction, target)]
    return (logs[0] - logs[1]).square().mean(dim=-1).sqrt()


def _log_spectral_distance_cpu(
    prediction: Tensor, target: Tensor, n_fft: int, hop_length: int, eps: float
) -> Tensor:
    from drumblender.dsp.kernels import spectra_cpu

    window = hann_window(n_fft).numpy()
    padded = [padded_rows(audio, n_fft, mirror=True) for audio in (prediction, target)]
    per_item = 1 + (padded[0].shape[1] - n_fft) // hop_length
    distance = torch.empty(len(prediction) * per_item)
    out = distance.numpy()

    def measure(start: int, stop: int) -> None:
        both = (spectra_of_frames(audio, n_fft, hop_length, window, start, stop) for audio in padded)
        for (first, x), (_, y) in zip(*both, strict=True):
            spectra_cpu.log_distances(
                x.view(np.float32),
                y.view(np.float32),
                np.float32(eps),
                out[first : first + len(x)],
                0,
                len(x),
            )

    parallel_for(measure, len(distance))
    return distance.view(-1, per_item)
