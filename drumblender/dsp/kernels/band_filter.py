"""A filter of bands that move, on the CPU: frame by frame, in as many spectra as stay in cache."""

import math
from functools import lru_cache

import numpy as np
import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from drumblender.dsp.kernels import transforms
from drumblender.dsp.kernels.spectra import padded_rows, spectra_of_frames
from drumblender.dsp.kernels.threads import parallel_for
from drumblender.dsp.spectra import hann_window

_NEPERS_A_DB = np.float32(math.log(10) / 20)


def fused_filter_bands(
    audio: Tensor, gain_db: Tensor, blends: tuple[Tensor, Tensor], n_fft: int, hop_length: int
) -> Tensor:
    """What ``filter_bands_plain`` does, for float32 on the CPU."""
    left, blend = blends[0].numpy().astype(np.uint64), np.ascontiguousarray(blends[1].numpy())
    return _BandFilter.apply(audio, gain_db, left, blend, n_fft, hop_length)


class _BandFilter(torch.autograd.Function):
    @staticmethod
    def forward(ctx, audio, gain_db, left, blend, n_fft, hop):
        ctx.save_for_backward(audio, gain_db)
        ctx.settings = left, blend, n_fft, hop
        ctx.kept = [[] for _ in audio] if ctx.needs_input_grad[1] else None
        levels = gain_db.detach().contiguous().numpy()
        out = _filter_bands(padded_rows(audio, n_fft, mirror=False), levels, *ctx.settings, ctx.kept)
        inside = slice(n_fft // 2, n_fft // 2 + audio.shape[1])
        return torch.from_numpy(out[:, inside] * inverse_overlap(n_fft, hop, audio.shape[1]))

    @staticmethod
    @once_differentiable
    def backward(ctx, grad):
        audio, gain_db = ctx.saved_tensors
        left, blend, n_fft, hop = ctx.settings
        grad = grad * torch.from_numpy(inverse_overlap(n_fft, hop, audio.shape[1]))
        padded = padded_rows(grad, n_fft, mirror=False)
        levels = gain_db.detach().contiguous().numpy()
        by_audio = by_gain = None
        if ctx.needs_input_grad[0]:  # the filter is its own adjoint
            out = _filter_bands(padded, levels, *ctx.settings)
            by_audio = torch.from_numpy(out[:, n_fft // 2 : n_fft // 2 + audio.shape[1]].copy())
        if ctx.needs_input_grad[1]:
            by_gain = torch.from_numpy(_slopes(ctx.kept, padded, levels, *ctx.settings))
        return by_audio, by_gain, None, None, None, None


def _filter_bands(padded, levels, left, blend, n_fft, hop, kept=None):
    """Sounds that are filtered; spectra and gains of their frames go to the items of ``kept``."""
    from drumblender.dsp.kernels import frames_cpu

    out, window = np.zeros_like(padded), hann_window(n_fft).numpy()
    per_item = levels.shape[1]

    def filter_items(start: int, stop: int) -> None:
        for item in range(start, stop):
            source = padded[item : item + 1]
            for first, rows in spectra_of_frames(source, n_fft, hop, window, 0, per_item):
                gains = _gains(levels[item, first : first + len(rows)], left, blend)
                shaped = rows if kept is None else np.empty_like(rows)
                frames_cpu.apply_real(rows.view(np.float32), gains, shaped.view(np.float32))
                if kept is not None:
                    kept[item].append((rows, gains))
                frames = transforms.irfft(shaped, n_fft)
                frames_cpu.lay_frames(frames, window, first, hop, out[item])

    parallel_for(filter_items, len(padded))
    return out


def _slopes(kept, grad, levels, left, blend, n_fft, hop):
    """Gradient by the decibels of every band."""
    from drumblender.dsp.kernels import frames_cpu

    by_level, window = np.empty_like(levels), hann_window(n_fft).numpy()
    per_item, scale = levels.shape[1], np.float32(_NEPERS_A_DB / n_fft)

    def slope_items(start: int, stop: int) -> None:
        for item in range(start, stop):
            grads = spectra_of_frames(grad[item : item + 1], n_fft, hop, window, 0, per_item)
            for (x, gains), (first, g) in zip(kept[item], grads, strict=True):
                slopes = np.empty_like(gains)
                frames_cpu.apply_real_adjoint(x.view(np.float32), g.view(np.float32), scale, slopes)
                slopes *= gains
                frames_cpu.blend_rows_adjoint(slopes, left, blend, by_level[item, first : first + len(g)])

    parallel_for(slope_items, len(levels))
    return by_level


def _gains(levels_db, left, blend):
    from drumblender.dsp.kernels import frames_cpu

    gains = np.empty((len(levels_db), len(left)), np.float32)
    frames_cpu.blend_rows(levels_db, left, blend, gains)
    gains *= _NEPERS_A_DB
    return np.exp(gains, out=gains)


@lru_cache(maxsize=32)
def inverse_overlap(n_fft: int, hop: int, num_samples: int) -> np.ndarray:
    """One over the sum of the squared windows at every sample."""
    window = np.hanning(n_fft + 1)[:-1] ** 2
    total = np.zeros(num_samples + n_fft)
    for frame in range(1 + num_samples // hop):
        total[frame * hop : frame * hop + n_fft] += window
    return (1 / total[n_fft // 2 : n_fft // 2 + num_samples]).astype(np.float32)
