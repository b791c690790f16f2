"""Noise in the colours of a recording: what every model of a noisy sound has to beat."""

import math

import torch
from jaxtyping import Float
from torch import Tensor

from drumblender.dsp.band_filter import filter_bands
from drumblender.dsp.bands import band_powers
from drumblender.types import Audio

_LEAST = 1e-14  # -140 dB


@torch.no_grad()
def coloured_noise(
    audio: Audio,
    *,
    sample_rate: int,
    num_bands: int = 64,
    noise: Float[Tensor, "batch samples"] | None = None,
    generator: torch.Generator | None = None,
) -> Audio:
    """Gaussian noise with the short-time band envelope of each sound: level and colour, and no tones.

    Bands are spaced by the ERB-rate up to 96 % of Nyquist; frames last about 21 ms and lie a quarter apart.

    Args:
        audio: What to imitate.
        sample_rate: Samples per second, at least 100.
        num_bands: Bands, at least 2.
        noise: Noise of variance 1 to colour, as long as the audio; drawn where it is not given.
        generator: Draws the noise; None: the global generator.

    Raises:
        ValueError: A rate too low for the lowest band, or noise of another shape.

    >>> sound = 0.1 * torch.randn(1, 16000, generator=torch.Generator().manual_seed(0))
    >>> noise = coloured_noise(sound, sample_rate=16000, generator=torch.Generator().manual_seed(1))
    >>> round(noise.square().mean().sqrt().item(), 1)
    0.1
    """
    if sample_rate < 100:
        raise ValueError(f"Bands from 40 Hz on need a rate of at least 100, got {sample_rate=}.")
    if noise is None:
        noise = torch.randn(audio.shape, generator=generator, dtype=torch.float32).to(audio)
    elif noise.shape != audio.shape:
        raise ValueError(f"{tuple(audio.shape)} samples need as much noise, got {tuple(noise.shape)}.")
    n_fft = max(16, 2 ** round(math.log2(sample_rate * 0.0192)))  # 1024 at 48 kHz, 256 at 16 kHz
    bands = {
        "n_fft": n_fft,
        "hop_length": n_fft // 4,
        "sample_rate": sample_rate,
        "low_hz": min(40.0, 0.1 * sample_rate),
        "high_hz": 0.48 * sample_rate,
    }
    levels_db = 10 * torch.log10(band_powers(audio, num_bands=num_bands, **bands).clamp(min=_LEAST))
    return filter_bands(noise, levels_db, **bands)
