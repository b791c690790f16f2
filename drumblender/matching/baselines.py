"""What a match must beat: sounds that need no search."""

import math

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn import functional as F

from drumblender.dsp.band_filter import filter_bands
from drumblender.dsp.bands import band_powers
from drumblender.types import Audio

_BANDS = 64
_LEAST = 1e-12  # power; 120 dB under full scale


def baselines(target: Float[Tensor, "samples"], sample_rate: int, seed: int = 0) -> dict[str, Audio]:
    """Sounds ``(1, samples)`` by name: silence, and two noises, of few numbers and of very many.

    ``coloured noise`` has the spectrum and the envelope of the target, the same colour all the time: what a
    search must beat. ``band noise`` has its level in 64 bands of hearing every 5 ms: thousands of numbers
    read off the target, a bar for noisy sounds.

    >>> list(baselines(torch.randn(4000), 8000))
    ['silence', 'coloured noise', 'band noise']
    """
    return {
        "silence": torch.zeros_like(target)[None],
        "coloured noise": coloured_noise(target[None], sample_rate, seed=seed),
        "band noise": band_noise(target[None], sample_rate, seed=seed),
    }


def coloured_noise(audio: Audio, sample_rate: int, *, seed: int = 0) -> Audio:
    """Gaussian noise with the mean band levels of ``audio`` under its RMS envelope of 5 ms, at its level."""
    settings = _settings(audio, sample_rate)
    powers = band_powers(audio, num_bands=_BANDS, **settings).mean(dim=1, keepdim=True)
    flat = filter_bands(_noise(audio, seed), _decibels(powers), **settings)
    size = max(2, round(0.005 * sample_rate))
    window = torch.hann_window(size).to(audio)
    padded = F.pad(audio.square()[:, None], (size // 2, size - 1 - size // 2))
    shaped = flat * F.conv1d(padded, (window / window.sum())[None, None])[:, 0].clamp(min=0).sqrt()
    return shaped * (audio.norm(dim=1) / shaped.norm(dim=1).clamp(min=1e-12))[:, None]


def band_noise(audio: Audio, sample_rate: int, *, seed: int = 0) -> Audio:
    """Gaussian noise with the level of ``audio`` in every band and every frame of 5 ms."""
    settings = _settings(audio, sample_rate)
    powers = band_powers(audio, num_bands=_BANDS, **settings)
    return filter_bands(_noise(audio, seed), _decibels(powers), **settings)


def _settings(audio: Audio, sample_rate: int) -> dict[str, int | float]:
    most = 2 ** int(math.log2(max(audio.shape[-1], 16)))
    n_fft = min(2 ** round(math.log2(sample_rate * 0.0213)), most)
    ends = {"low_hz": min(40.0, 0.01 * sample_rate), "high_hz": 0.48 * sample_rate}
    return {"n_fft": n_fft, "hop_length": n_fft // 4, "sample_rate": sample_rate, **ends}


def _noise(audio: Audio, seed: int) -> Audio:
    return torch.randn(audio.shape, generator=torch.Generator().manual_seed(seed)).to(audio)


def _decibels(powers: Tensor) -> Tensor:
    return 10 * torch.log10(powers.clamp(min=_LEAST))
