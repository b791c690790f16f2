"""Noise shaped in its short-time spectra, on the CPU: frame by frame, in as many spectra as stay in cache."""

from functools import lru_cache

import numpy as np
import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from drumblender.dsp.envelopes import frame_blends
from drumblender.dsp.kernels import transforms
from drumblender.dsp.kernels.band_filter import inverse_overlap
from drumblender.dsp.kernels.spectra import padded_rows, spectra_of_frames
from drumblender.dsp.kernels.threads import parallel_for
from drumblender.dsp.spectra import hann_window


def fused_stft_filter(noise: Tensor, magnitude: Tensor, n_fft: int, hop_length: int) -> Tensor:
    """What ``stft_filter_plain`` does, for float32 on the CPU, where noise needs no gradient."""
    return _StftFilter.apply(noise.detach(), magnitude, n_fft, hop_length)


class _StftFilter(torch.autograd.Function):
    @staticmethod
    def forward(ctx, noise, magnitude, n_fft, hop):
        from drumblender.dsp.kernels import frames_cpu

        levels = magnitude.detach().contiguous().numpy()
        batch, per_item, num_bands = levels.shape
        left, blend = _blends(num_bands, n_fft // 2 + 1)
        padded, window = padded_rows(noise, n_fft, mirror=True), hann_window(n_fft).numpy()
        num_samples = (per_item - 1) * hop
        out = np.zeros((batch, num_samples + n_fft), np.float32)
        keep = ctx.needs_input_grad[1]
        spectra = np.empty((batch, per_item, len(left)), np.complex64) if keep else None

        def filter_items(start: int, stop: int) -> None:
            for item in range(start, stop):
                source = padded[item : item + 1]
                for first, rows in spectra_of_frames(source, n_fft, hop, window, 0, per_item):
                    span = slice(first, first + len(rows))
                    if keep:
                        spectra[item, span] = rows
                    gains = np.empty((len(rows), len(left)), np.float32)
                    frames_cpu.blend_rows(levels[item, span], left, blend, gains)
                    frames_cpu.apply_real(rows.view(np.float32), gains, rows.view(np.float32))
                    frames = transforms.irfft(rows, n_fft)
                    frames_cpu.lay_frames(frames, window, first, hop, out[item])

        parallel_for(filter_items, batch)
        ctx.settings, ctx.spectra, ctx.shape = (n_fft, hop), spectra, levels.shape
        inside = slice(n_fft // 2, n_fft // 2 + num_samples)
        return torch.from_numpy(out[:, inside] * inverse_overlap(n_fft, hop, num_samples))

    @staticmethod
    @once_differentiable
    def backward(ctx, grad):
        from drumblender.dsp.kernels import frames_cpu

        (n_fft, hop), (batch, per_item, num_bands) = ctx.settings, ctx.shape
        left, blend = _blends(num_bands, n_fft // 2 + 1)
        grad = grad * torch.from_numpy(inverse_overlap(n_fft, hop, grad.shape[1]))
        padded, window = padded_rows(grad, n_fft, mirror=False), hann_window(n_fft).numpy()
        by_level, scale = np.empty(ctx.shape, np.float32), np.float32(1 / n_fft)

        def slope_items(start: int, stop: int) -> None:
            for item in range(start, stop):
                source = padded[item : item + 1]
                for first, rows in spectra_of_frames(source, n_fft, hop, window, 0, per_item):
                    span = slice(first, first + len(rows))
                    slopes = np.empty((len(rows), len(left)), np.float32)
                    x = ctx.spectra[item, span].view(np.float32)
                    frames_cpu.apply_real_adjoint(x, rows.view(np.float32), scale, slopes)
                    frames_cpu.blend_rows_adjoint(slopes, left, blend, by_level[item, span])

        parallel_for(slope_items, batch)
        return None, torch.from_numpy(by_level), None, None


@lru_cache(maxsize=32)
def _blends(num_bands: int, num_bins: int) -> tuple[np.ndarray, np.ndarray]:
    """The band at or below each bin, never the last, and the share of the next one."""
    left, blend = (values.numpy() for values in frame_blends(num_bands, num_bins, "ends"))
    last = left == num_bands - 1
    return (left - last).astype(np.uint64), np.where(last, 1, blend).astype(np.float32)
