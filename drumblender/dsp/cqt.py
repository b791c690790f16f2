"""Constant-Q transform: windows that hold the same number of periods at every frequency.

Values are those of a time-domain CQT (Brown 1991; the kernels of nnAudio's ``CQT1992v2``), computed two ways:

- *Short windows* (high bins): frames times kernels, one matrix product for bins of similar length.
- *Long windows* (low bins): the spectrum of a kernel of ``L`` taps is a band a few ``1/L`` wide. One FFT of
  the whole signal, times that band, folded to as many points as there are hops, and a short inverse FFT:
  this correlates and keeps every ``hop``-th sample without computing the others.
"""

import math
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import torch
from jaxtyping import Complex
from torch import Tensor
from torch.nn import functional as F

from drumblender.dsp.cqt_filters import CQTSettings, band_weights, rows_spanned, time_kernels
from drumblender.types import Audio

__all__ = ["CQTSettings", "cqt"]

# Taps cost as many operations a frame; a band costs a share of the spectrum, which shrinks with the taps. So
# they balance at this many times sqrt(samples / frames) taps (measured).
_SPLIT = 90


def cqt(audio: Audio, settings: CQTSettings) -> Complex[Tensor, "batch bins frames"]:
    """Constant-Q transform. Differentiable in the audio.

    ``X[k, t] = scale * sum_n x[n] conj(h_k[n - t * hop])`` with ``h_k`` a window times ``exp(2 pi i f_k n /
    sample_rate)``: a cosine in the centre of a bin has the phase of the cosine at the frame's centre. Kernels
    are made once for settings and a number of frames, and kept in memory; long signals go through in blocks.

    Args:
        audio: At least ``settings.min_samples`` long; computed in float64 if it is, else in float32.
        settings: What to measure.

    Raises:
        ValueError: The audio is too short for the reflection, or for one frame without padding.
    """
    num_samples = audio.shape[-1]
    if num_samples < settings.min_samples:
        raise ValueError(
            f"A constant-Q transform down to {settings.fmin_hz:g} Hz needs at least {settings.min_samples} "
            f"samples here, got {num_samples}: append silence, pad with zeros or raise the lowest frequency."
        )
    audio = audio.to(torch.float64 if audio.dtype == torch.float64 else torch.float32)
    reach, num_frames = settings.reach, settings.num_frames(num_samples)
    before = settings.first_center - reach  # samples before the first window; padding if negative
    after = settings.first_center + (num_frames - 1) * settings.hop_length + reach - num_samples
    padded = F.pad(audio[:, None], (max(-before, 0), max(after, 0)), mode=settings.pad_mode)[:, 0]
    padded = padded[:, max(before, 0) :]
    block = min(_block_frames(settings), num_frames)
    plan = _plan(settings, block, audio.dtype, str(audio.device))
    parts = []
    with torch.autocast(audio.device.type, enabled=False):
        for first in range(0, num_frames, block):
            part = padded[:, first * settings.hop_length :][:, : plan.num_samples]
            parts.append(plan(F.pad(part, (0, plan.num_samples - part.shape[-1]))))
    return torch.cat(parts, dim=-1)[..., :num_frames] if len(parts) > 1 else parts[0]


def _block_frames(settings: CQTSettings) -> int:
    """Frames to transform at once: many windows long, or few enough to hold all their samples."""
    longest = int(settings.lengths[0])
    if settings.window != "hann":
        return max(1, 2**24 // longest)
    return max(4 * longest, 2**18) // settings.hop_length + 1


@dataclass(frozen=True)
class _Short:
    """Bins of similar, short windows: frames times kernels."""

    start: int  # of frame 0
    kernels: Tensor  # (taps, bins * 2): real and imaginary parts side by side

    def __call__(self, audio: Tensor, hop: int, num_frames: int) -> Tensor:
        taps = self.kernels.shape[0]
        frames = audio[:, self.start : self.start + (num_frames - 1) * hop + taps].unfold(-1, taps, hop)
        values = (frames @ self.kernels).unflatten(-1, (-1, 2))
        return torch.view_as_complex(values).transpose(1, 2)


@dataclass(frozen=True)
class _Band:
    """Bins whose bands touch equally many rows of the spectrum laid out as ``(hop, points)``."""

    rows: Tensor  # (bins * rows,)
    weights: Tensor  # (bins, rows, points), complex

    def __call__(self, spectrum: Tensor) -> Tensor:
        band = spectrum[:, self.rows].unflatten(1, self.weights.shape[:2])
        return (band * self.weights).sum(dim=2)  # rows alias onto one another at the rate of the hops


@dataclass(frozen=True)
class _Plan:
    """Everything about the transform of so many frames that does not depend on the samples."""

    hop: int
    num_frames: int
    num_samples: int  # from the first window's first sample to the last one's last
    delay: Tensor  # (hop, points): turns the spectrum so that the centre of frame 0 comes first
    bands: tuple[_Band, ...]
    shorts: tuple[_Short, ...]

    def __call__(self, audio: Tensor) -> Tensor:
        parts = [short(audio, self.hop, self.num_frames) for short in self.shorts]
        if self.bands:
            spectrum = torch.fft.fft(audio, n=self.delay.numel()).view(-1, *self.delay.shape) * self.delay
            folded = torch.cat([band(spectrum) for band in self.bands], dim=1)
            parts.insert(0, torch.fft.ifft(folded)[..., : self.num_frames])
        return torch.cat(parts, dim=1)


@lru_cache(maxsize=8)
@torch.inference_mode(False)  # what is kept must serve training too
def _plan(settings: CQTSettings, num_frames: int, dtype: torch.dtype, device: str) -> _Plan:
    lengths, hop, center = settings.lengths, settings.hop_length, settings.reach
    num_samples = (num_frames - 1) * hop + 2 * settings.reach
    num_points = _fast_size(math.ceil(num_samples / hop))

    def tensor(values: np.ndarray) -> Tensor:
        narrow = {"f": dtype, "c": dtype.to_complex(), "i": torch.int64}[values.dtype.kind]
        return torch.from_numpy(values).to(dtype=narrow).to(device)

    longest_short = _SPLIT * math.sqrt(num_samples / num_frames)
    num_long = int((lengths > longest_short).sum()) if settings.window == "hann" else 0
    first_row, num_rows = rows_spanned(settings)
    bands = []
    for start, stop in _alike(num_rows[:num_long]):
        rows = first_row[start:stop, None] + np.arange(num_rows[start:stop].max())
        weights = np.empty((*rows.shape, num_points), dtype=np.complex128)
        for number in range(start, stop):
            weights[number - start] = band_weights(settings, number, rows[number - start], num_points)
        bands.append(_Band(tensor(rows.ravel() % hop), tensor(weights)))
    shorts = []
    for start, stop in _alike(lengths[num_long:]):
        kernels, before = time_kernels(settings, np.arange(start, stop) + num_long)
        shorts.append(_Short(center - before, tensor(kernels)))
    turns = np.arange(hop * num_points) * center % (hop * num_points) / (hop * num_points)
    delay = tensor(np.exp(2j * np.pi * turns).reshape(hop, num_points))
    return _Plan(hop, num_frames, num_samples, delay, tuple(bands), tuple(shorts))


def _fast_size(size: int) -> int:
    """The next size whose factors are 2, 3, 5 and 7 only."""
    while True:
        rest = size
        for factor in (2, 3, 5, 7):
            while rest % factor == 0:
                rest //= factor
        if rest == 1:
            return size
        size += 1


def _alike(sizes: np.ndarray) -> Iterator[tuple[int, int]]:
    """Cut into runs of neighbours whose sizes differ by a quarter at most."""
    start = 0
    for stop in range(1, len(sizes) + 1):
        if stop == len(sizes) or sizes[start : stop + 1].max() > 1.25 * sizes[start : stop + 1].min():
            yield start, stop
            start = stop
