"""Levels in bands that are spaced as the ear hears, and gains that go from band to band."""

import math
from typing import Literal

import torch
from jaxtyping import Float, Int64
from torch import Tensor
from torch.nn import functional as F

from drumblender.dsp.precision import in_full_precision
from drumblender.dsp.spectra import power, stft
from drumblender.dsp.tables import placed, table
from drumblender.types import Audio

Scale = Literal["erb", "mel"]
"""``erb``: the ERB-rate of Glasberg and Moore (1990), eq. 4. ``mel``: HTK's."""


def band_centers_hz(
    num_bands: int, low_hz: float, high_hz: float, scale: Scale = "erb"
) -> Float[Tensor, "bands"]:
    """Centres at even steps of a scale of hearing, the first on ``low_hz`` and the last on ``high_hz``.

    Examples:
        >>> [round(hz) for hz in band_centers_hz(4, 100, 8000).tolist()]
        [100, 733, 2584, 8000]

    Raises:
        ValueError: Under 2 bands, frequencies that do not ascend from above 0, or an unknown scale.
    """
    if num_bands < 2 or not 0 < low_hz < high_hz:
        raise ValueError(f"Need 2 bands and 0 < low < high, got {num_bands=}, {low_hz=}, {high_hz=}.")
    if scale not in ("erb", "mel"):
        raise ValueError(f"scale is 'erb' or 'mel', got {scale!r}.")
    knee_hz = 1000 / 4.37 if scale == "erb" else 700.0  # both scales are logarithms of 1 + f / knee
    ends = [math.log1p(hz / knee_hz) for hz in (low_hz, high_hz)]
    return knee_hz * torch.expm1(torch.linspace(*ends, num_bands, dtype=torch.float64))


@table
def band_weights(
    n_fft: int, sample_rate: int, num_bands: int, low_hz: float, high_hz: float, scale: Scale = "erb"
) -> Float[Tensor, "bins bands"]:
    """Triangles from centre to centre, each no narrower than two bins; the weights of a band sum to 1.

    So a band's level is that of its mean power, and white noise has the same in all. The tensor is shared: do
    not write to it.

    Raises:
        ValueError: ``high_hz`` above Nyquist, or what :func:`band_centers_hz` refuses.

    Examples:
        >>> weights = band_weights(1024, 16000, num_bands=8, low_hz=50, high_hz=7000)
        >>> weights.shape, torch.allclose(weights.sum(dim=0), torch.ones(8))
        (torch.Size([513, 8]), True)
    """
    if high_hz > sample_rate / 2:
        raise ValueError(
            f"No band lies above Nyquist, {sample_rate / 2:g} Hz: give a lower {high_hz=} or a higher rate."
        )
    centers_hz = band_centers_hz(num_bands, low_hz, high_hz, scale)
    bin_hz = sample_rate / n_fft
    freq_hz = torch.arange(n_fft // 2 + 1, dtype=torch.float64)[:, None] * bin_hz
    step_hz = centers_hz.diff()
    below_hz = torch.cat([step_hz[:1], step_hz]).clamp(min=bin_hz)
    above_hz = torch.cat([step_hz, step_hz[-1:]]).clamp(min=bin_hz)
    away_hz = freq_hz - centers_hz
    weights = (1 - torch.where(away_hz < 0, -away_hz / below_hz, away_hz / above_hz)).clamp(min=0)
    return (weights / weights.sum(dim=0)).float()


@table
def bin_blends(
    n_fft: int, sample_rate: int, num_bands: int, low_hz: float, high_hz: float, scale: Scale = "erb"
) -> tuple[Int64[Tensor, "bins"], Float[Tensor, "bins"]]:
    """For every bin the band below it, and the share of the band above that, 0 to 1; held past the ends.

    Examples:
        >>> left, blend = bin_blends(8, 8000, num_bands=2, low_hz=1000, high_hz=3000)
        >>> [round(share, 2) for share in blend.tolist()]  # at 0, 1, 2, 3 and 4 kHz
        [0.0, 0.0, 0.5, 1.0, 1.0]
    """
    centers_hz = band_centers_hz(num_bands, low_hz, high_hz, scale)
    freq_hz = torch.arange(n_fft // 2 + 1, dtype=torch.float64) * (sample_rate / n_fft)
    left = (torch.searchsorted(centers_hz, freq_hz, right=True) - 1).clamp(0, num_bands - 2)
    blend = ((freq_hz - centers_hz[left]) / centers_hz.diff()[left]).clamp(0, 1)
    return left, blend.float()


@in_full_precision
def band_powers(
    audio: Audio,
    *,
    n_fft: int,
    hop_length: int,
    sample_rate: int,
    num_bands: int,
    low_hz: float,
    high_hz: float,
    scale: Scale = "erb",
) -> Float[Tensor, "batch frames bands"]:
    """Mean power a band and frame, such that white noise of variance 1 has 1 in every band.

    Frames are centred on ``t * hop_length``, under a periodic Hann window, between silence. Differentiable.

    Raises:
        ValueError: Sizes that :func:`~drumblender.dsp.spectra.stft` or :func:`band_weights` refuse.

    Examples:
        >>> noise = torch.randn(1, 48000, generator=torch.Generator().manual_seed(0))
        >>> bands = {"n_fft": 512, "hop_length": 256, "num_bands": 8, "low_hz": 100, "high_hz": 7000}
        >>> round(band_powers(noise, sample_rate=16000, **bands).mean().item(), 1)
        1.0
    """
    spectrum = power(stft(audio, n_fft, hop_length, pad_mode="constant"))
    weights = band_weights(n_fft, sample_rate, num_bands, low_hz, high_hz, scale)
    return spectrum @ placed(weights, spectrum) / (3 / 8 * n_fft)  # the sum of a squared Hann window


def smoothed(
    values: Float[Tensor, "batch frames bands"], num_frames: int
) -> Float[Tensor, "batch frames bands"]:
    """Mean of an odd number of frames around each; at the ends, of those that there are.

    Examples:
        >>> smoothed(torch.tensor([[[0.0], [3.0], [0.0]]]), num_frames=3).flatten().tolist()
        [1.5, 1.0, 1.5]
    """
    if num_frames < 1 or num_frames % 2 == 0:
        raise ValueError(f"A mean around a frame takes an odd number of them, got {num_frames=}.")
    if num_frames == 1:
        return values
    pooled = F.avg_pool1d(values.mT, num_frames, 1, num_frames // 2, count_include_pad=False)
    return pooled.mT
