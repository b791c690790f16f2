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
from typing import Literal

import numpy as np
import torch
from jaxtyping import Complex, Float
from torch import Tensor
from torch.nn import functional as F

from drumblender.dsp.cqt_filters import CQTSettings, band_weights, rows_spanned, time_kernels
from drumblender.dsp.tables import aside
from drumblender.types import Audio

__all__ = ["CQTSettings", "Backend", "cqt", "cqt_magnitudes"]

Backend = Literal["own", "nnaudio"]

# Taps cost as many operations a frame; a band costs a share of the spectrum, which shrinks with the taps. So
# they balance at this many times sqrt(samples / frames) taps (measured).
_SPLIT = 90


def cqt(
    audio: Audio, settings: CQTSettings, backend: Backend = "own"
) -> Complex[Tensor, "batch bins frames"]:
    """Constant-Q transform. Differentiable in the audio.

    ``X[k, t] = scale * sum_n x[n] conj(h_k[n - t * hop])`` with ``h_k`` a window times ``exp(2 pi i f_k n /
    sample_rate)``: a cosine in the centre of a bin has the phase of the cosine at the frame's centre. Kernels
    are made once for settings and a number of frames, and kept in memory; long signals go through in blocks.

    Args:
        audio: At least ``settings.min_samples`` long; computed in float64 if it is, else in float32.
        settings: What to measure.
        backend: Who computes it: this module, or nnAudio's time-domain transform, which the paper used (extra
            ``drumblender[modal]``): the same values, at many times the cost.

    Raises:
        ValueError: The audio is too short for the reflection, or for one frame without padding, or the
            backend is unknown or not installed.

    Examples:
        >>> tone = torch.cos(2 * torch.pi * 440 / 16000 * torch.arange(16000))[None]
        >>> spectrum = cqt(tone, CQTSettings(16000, hop_length=256, fmin_hz=110.0, n_bins=48))
        >>> spectrum.shape, round(spectrum[0, 24, 31].abs().item(), 2)  # two octaves above the lowest bin
        (torch.Size([1, 48, 63]), 1.0)
    """
    if backend not in ("own", "nnaudio"):
        raise ValueError(f"backend is 'own' or 'nnaudio', got {backend!r}.")
    audio = _checked(audio, settings)
    if backend == "nnaudio":
        return _by_nnaudio(audio, settings)
    padded, num_frames = _around(audio, settings)
    block = min(_block_frames(settings), num_frames)
    plan = _plan(settings, block, audio.dtype, str(audio.device))
    parts = []
    with torch.autocast(audio.device.type, enabled=False):
        for first in range(0, num_frames, block):
            part = padded[:, first * settings.hop_length :][:, : plan.num_samples]
            parts.append(plan(F.pad(part, (0, plan.num_samples - part.shape[-1]))))
    return torch.cat(parts, dim=-1)[..., :num_frames] if len(parts) > 1 else parts[0]


def cqt_magnitudes(audio: Audio, settings: CQTSettings) -> Float[Tensor, "batch bins frames"]:
    """Magnitudes of :func:`cqt`. In an ONNX graph, which has no complex numbers, all kernels act in time.

    Examples:
        >>> settings = CQTSettings(16000, hop_length=256, fmin_hz=110.0, n_bins=48)
        >>> cqt_magnitudes(torch.zeros(1, 16000), settings).shape
        torch.Size([1, 48, 63])
    """
    if not torch.onnx.is_in_onnx_export():
        return cqt(audio, settings).abs()
    audio = _checked(audio, settings)
    padded, num_frames = _around(audio, settings)
    shorts = _shorts(settings, 0, audio.dtype, str(audio.device))
    return torch.cat([short.magnitudes(padded, settings.hop_length, num_frames) for short in shorts], dim=1)


def _checked(audio: Audio, settings: CQTSettings) -> Audio:
    """The signal in single or double precision, if it is long enough."""
    num_samples = audio.shape[-1]
    if num_samples < settings.min_samples:
        raise ValueError(
            f"A constant-Q transform down to {settings.fmin_hz:g} Hz needs at least {settings.min_samples} "
            f"samples here, got {num_samples}: append silence, pad with zeros or raise the lowest frequency."
        )
    return audio.to(torch.float64 if audio.dtype == torch.float64 else torch.float32)


def _around(audio: Audio, settings: CQTSettings) -> tuple[Float[Tensor, "batch padded"], int]:
    """The signal from the first window on, padded to the end of the last, and the number of frames."""
    num_samples, reach = int(audio.shape[-1]), settings.reach  # to a tracer, a size is a tensor
    num_frames = settings.num_frames(num_samples)
    before = settings.first_center - reach  # samples before the first window; padding if negative
    after = settings.first_center + (num_frames - 1) * settings.hop_length + reach - num_samples
    padded = F.pad(audio[:, None], (max(-before, 0), max(after, 0)), mode=settings.pad_mode)[:, 0]
    return padded[:, max(before, 0) :], num_frames


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

    def magnitudes(self, audio: Tensor, hop: int, num_frames: int) -> Tensor:
        """Of the same values, by a convolution."""
        heard = audio[:, None, self.start : self.start + (num_frames - 1) * hop + self.kernels.shape[0]]
        values = F.conv1d(heard, self.kernels.T[:, None].contiguous(), stride=hop)
        return values.unflatten(1, (-1, 2)).square().sum(dim=2).sqrt()


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


@lru_cache(maxsize=8)  # fewer than a table: they are large
def _plan(settings: CQTSettings, num_frames: int, dtype: torch.dtype, device: str) -> _Plan:
    return aside(_make_plan, settings, num_frames, dtype, device)


def _make_plan(settings: CQTSettings, num_frames: int, dtype: torch.dtype, device: str) -> _Plan:
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
    turns = np.arange(hop * num_points) * center % (hop * num_points) / (hop * num_points)
    delay = tensor(np.exp(2j * np.pi * turns).reshape(hop, num_points))
    return _Plan(
        hop, num_frames, num_samples, delay, tuple(bands), _shorts(settings, num_long, dtype, device)
    )


def _shorts(settings: CQTSettings, first: int, dtype: torch.dtype, device: str) -> tuple[_Short, ...]:
    """The bins from ``first`` up by kernels in time."""
    shorts = []
    for start, stop in _alike(settings.lengths[first:]):
        kernels, before = time_kernels(settings, np.arange(start, stop) + first)
        shorts.append(_Short(settings.reach - before, torch.from_numpy(kernels).to(dtype).to(device)))
    return tuple(shorts)


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


def _by_nnaudio(audio: Audio, settings: CQTSettings) -> Complex[Tensor, "batch bins frames"]:
    transform = _nnaudio(settings, audio.dtype, str(audio.device))
    scale = {"amplitude": "wrap", "sqrt_length": "librosa", "kernel": "convolutional"}[settings.scale]
    return torch.view_as_complex(transform(audio, normalization_type=scale).contiguous())


@lru_cache(maxsize=4)
def _nnaudio(settings: CQTSettings, dtype: torch.dtype, device: str) -> torch.nn.Module:
    return aside(lambda: _make_nnaudio(settings).to(device=device, dtype=dtype))


def _make_nnaudio(settings: CQTSettings) -> torch.nn.Module:
    try:
        from nnAudio.features.cqt import CQT
    except ModuleNotFoundError as error:
        raise ValueError('backend="nnaudio" needs nnAudio: pip install "drumblender[modal]".') from error
    return CQT(
        sr=settings.sample_rate,
        hop_length=settings.hop_length,
        fmin=settings.fmin_hz,
        n_bins=settings.n_bins,
        bins_per_octave=settings.bins_per_octave,
        filter_scale=settings.filter_scale,
        norm=settings.norm,
        window=settings.window,
        center=settings.center,
        pad_mode=settings.pad_mode,
        output_format="Complex",
        verbose=False,
    )
