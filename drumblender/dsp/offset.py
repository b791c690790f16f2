"""A constant offset of a sound (direct current)."""

import torch
from jaxtyping import Float
from torch import Tensor

_STEADY_S = 0.1  # two periods of the lowest tone that is heard


def remove_offset(audio: Float[Tensor, "samples"], sample_rate: int) -> Float[Tensor, "samples"]:
    """The sound without a constant offset, if it has one.

    The offset is the mean of the steadiest tenth of a second, if it stands out there: if it is more than a
    quarter of what is left without it. The mean of all of a hit would move the silence around the hit. A
    shorter sound is returned as it is.

    Examples:
        >>> remove_offset(torch.full((4800,), 0.01), 48000).abs().max()
        tensor(0.)
    """
    size = round(_STEADY_S * sample_rate)
    if len(audio) < size:
        return audio
    windows = audio[: len(audio) // size * size].reshape(-1, size).double()
    spread, mean = torch.std_mean(windows, dim=1, correction=0)
    steadiest = spread.argmin()
    offset = mean[steadiest]
    return audio - offset.to(audio) if offset.abs() > spread[steadiest] / 4 else audio
