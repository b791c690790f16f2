"""Lapped cosines: as many numbers as samples, and no edges between frames (Princen & Bradley, 1986)."""

import math

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn import functional as F

from drumblender.dsp.tables import table
from drumblender.types import Audio


def mdct(audio: Audio, size: int) -> Float[Tensor, "batch frames {size}"]:
    """The modified discrete cosine transform under sine windows, which keeps the energy of a sound.

    Args:
        audio: Sound.
        size: Numbers in a frame, and samples from a frame to the next. Frame ``t`` hears two such lengths of
            sound, centred on sample ``t * size``; there are as many as it takes to cover the sound.

    Raises:
        ValueError: A size below 1, or no samples.

    Examples:
        >>> sound = torch.randn(2, 1000)
        >>> coefficients = mdct(sound, size=64)
        >>> coefficients.shape
        torch.Size([2, 17, 64])
        >>> torch.allclose(inverse_mdct(coefficients, 1000), sound, atol=1e-5)
        True
    """
    num_samples = audio.shape[-1]
    if min(size, num_samples) < 1:
        raise ValueError(f"The transform needs a size and samples above 0, got {size=}, {num_samples=}.")
    blocks = F.pad(audio, (size, size + -num_samples % size)).unflatten(-1, (-1, size))
    return torch.cat([blocks[:, :-1], blocks[:, 1:]], dim=-1) @ _basis(size).to(audio)


def inverse_mdct(coefficients: Float[Tensor, "batch frames size"], num_samples: int) -> Audio:
    """The sound of which :func:`mdct` gives these coefficients, cut to a length or with zeros after it.

    Raises:
        ValueError: No samples are asked for.

    Examples:
        >>> inverse_mdct(torch.zeros(1, 5, 64), num_samples=300).shape
        torch.Size([1, 300])
    """
    if num_samples < 1:
        raise ValueError(f"Need at least 1 sample, got {num_samples=}.")
    size = coefficients.shape[-1]
    first, second = (coefficients @ _basis(size).to(coefficients).mT).split(size, dim=-1)
    sound = (F.pad(first[:, 1:], (0, 0, 0, 1)) + second).flatten(start_dim=1)
    return F.pad(sound, (0, num_samples - sound.shape[-1]))


@table
def _basis(size: int) -> Float[Tensor, "{2*size} {size}"]:
    """Cosines under the window, of norm 1."""
    place = torch.arange(2 * size, dtype=torch.float64)[:, None] + 0.5
    wave = torch.arange(size, dtype=torch.float64) + 0.5
    window = torch.sin(place * (math.pi / (2 * size)))
    return window * torch.cos((place + size / 2) * wave * (math.pi / size)) * math.sqrt(2 / size)
