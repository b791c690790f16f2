"""A constant offset of a sound (direct current)."""

import math
from collections.abc import Iterable

import torch
from jaxtyping import Float
from torch import Tensor

_STEADY_S = 0.1  # two periods of the lowest tone that is heard


def remove_offset(audio: Float[Tensor, "samples"], sample_rate: int) -> Float[Tensor, "samples"]:
    """The sound without a constant offset, if it has one: :func:`offset_of` tells which.

    Examples:
        >>> remove_offset(torch.full((4800,), 0.01), 48000).abs().max()
        tensor(0.)
    """
    offset = offset_of([audio], sample_rate)
    return audio - torch.tensor(offset).to(audio) if offset else audio


def offset_of(blocks: Iterable[Tensor], sample_rate: int) -> float:
    """The constant offset of a sound that comes in blocks ``(samples,)`` of any length; 0 if it has none.

    It is the mean of the steadiest tenth of a second, if it stands out there: if it is more than a quarter of
    what is left without it. The mean of all of a hit would move the silence around the hit. A shorter sound
    has none.

    Examples:
        >>> round(offset_of(torch.full((4800,), 0.01).split(1000), 48000), 3)
        0.01
    """
    size = round(_STEADY_S * sample_rate)
    held, least, offset = torch.zeros(0), math.inf, 0.0
    for block in blocks:
        held = torch.cat([held.to(block), block]) if len(held) else block
        windows = held[: len(held) // size * size].reshape(-1, size).double()
        held = held[windows.numel() :].clone()
        if not len(windows):
            continue
        spread, mean = torch.std_mean(windows, dim=1, correction=0)
        steadiest = spread.argmin()
        if spread[steadiest] < least:
            least, offset = spread[steadiest].item(), mean[steadiest].item()
    return offset if abs(offset) > least / 4 else 0.0
