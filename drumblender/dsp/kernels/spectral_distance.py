"""Distances between spectra: sums as an autograd function, and a distance without gradient, on the CPU."""

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor
from torch.autograd.function import once_differentiable

from drumblender.dsp.kernels import spectral_distance_cpu
from drumblender.dsp.kernels.spectra import padded_rows, spectra_of_frames
from drumblender.dsp.kernels.threads import parallel_for
from drumblender.dsp.spectral_distance import matching_gain


class SpectralSums(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x: Tensor, y: Tensor, floor: float, offset: float, match_gain: bool) -> Tensor:
        x, y = x.detach().resolve_conj().contiguous(), y.detach().resolve_conj().contiguous()
        batch, num_frames, _ = x.shape
        limits = np.float32(floor), np.float32(offset)
        rows = _rows(x), _rows(y)
        gain, energy = torch.ones(batch, dtype=torch.float64), None
        if match_gain:
            sums = torch.empty(batch * num_frames, 2)
            parallel_for(
                lambda start, stop: spectral_distance_cpu.products(
                    *rows, limits[0], sums.numpy(), start, stop
                ),
                len(sums),
            )
            cross, energy = _per_item(sums, batch).unbind(1)
            gain, energy = matching_gain(cross, energy), torch.where(cross > 0, energy, 0.0)
        row_gain = gain.float().repeat_interleave(num_frames)
        sums = torch.empty(batch * num_frames, 4)
        parallel_for(
            lambda start, stop: spectral_distance_cpu.distances(
                *rows, row_gain.numpy(), *limits, sums.numpy(), start, stop
            ),
            len(sums),
        )
        sums = _per_item(sums, batch)
        ctx.save_for_backward(x, y)
        ctx.gain, ctx.limits, ctx.target_energy, ctx.sums = gain, limits, energy, sums
        return sums

    @staticmethod
    @once_differentiable
    def backward(ctx, grad: Tensor) -> tuple[Tensor, None, None, None, None]:
        x, y = ctx.saved_tensors
        batch, num_frames, _ = x.shape
        row_gain = ctx.gain.float().repeat_interleave(num_frames).numpy()
        weights = torch.zeros(batch, 4, dtype=torch.float64)
        weights[:, 0], weights[:, 1], weights[:, 2] = grad[:, 0], grad[:, 2], grad[:, 3]
        arrays = _rows(x), _rows(y), row_gain, *ctx.limits
        if ctx.target_energy is not None:
            slopes = torch.empty(batch * num_frames, 3)
            parallel_for(
                lambda start, stop: spectral_distance_cpu.distances_gain_slope(
                    *arrays, slopes.numpy(), start, stop
                ),
                len(slopes),
            )
            inner, logs, absolute = _per_item(slopes, batch).unbind(1)
            grad_gain = 2 * grad[:, 1] * ctx.sums[:, 1] / ctx.gain
            grad_gain = grad_gain - 2 * grad[:, 0] * inner - grad[:, 2] * logs - grad[:, 3] * absolute
            weights[:, 3] = torch.where(ctx.target_energy > 0, grad_gain / ctx.target_energy, 0.0)
        row_weights = weights.float().repeat_interleave(num_frames, dim=0).numpy()
        grad_x = torch.empty_like(x)
        parallel_for(
            lambda start, stop: spectral_distance_cpu.distances_adjoint(
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


def log_spectral_distance(
    prediction: Tensor, target: Tensor, n_fft: int, hop_length: int, window: np.ndarray, eps: float
) -> Tensor:
    """What ``spectral_distance.log_spectral_distance`` does, for float32 without gradients."""
    padded = [padded_rows(audio, n_fft, mirror=True) for audio in (prediction, target)]
    per_item = 1 + (padded[0].shape[1] - n_fft) // hop_length
    distance = torch.empty(len(prediction) * per_item)
    out = distance.numpy()

    def measure(start: int, stop: int) -> None:
        both = (spectra_of_frames(audio, n_fft, hop_length, window, start, stop) for audio in padded)
        for (first, x), (_, y) in zip(*both, strict=True):
            spectral_distance_cpu.log_distances(
                x.view(np.float32),
                y.view(np.float32),
                np.float32(eps),
                out[first : first + len(x)],
                0,
                len(x),
            )

    parallel_for(measure, len(distance))
    return distance.view(-1, per_item)
