"""What losses share that compare sounds by one or several maps of time and frequency."""

import math
from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import Literal

import torch
from jaxtyping import Float
from torch import Tensor, nn

from drumblender.dsp.checks import check_sounds
from drumblender.dsp.precision import in_full_precision
from drumblender.features.maps import STFT
from drumblender.types import Audio

Axis = Literal["frequency", "time"]


class MapLoss(nn.Module, ABC):
    """The mean of distances between maps of two sounds.

    Args:
        maps: A map or several, any modules ``audio -> (batch, frames, bins)`` with ``freqs_hz``. None: an
            STFT of 2048 points, hop 256, flat-top, on full frames, as published.

    Raises:
        ValueError: No map is given.

    Examples:
        >>> class MapDifference(MapLoss):
        ...     def distances(self, view, y, x):
        ...         return [(y - x).abs().mean()]
        >>> sound = torch.randn(1, 4096)
        >>> MapDifference()(sound, sound)
        tensor(0.)
    """

    def __init__(self, maps: nn.Module | Sequence[nn.Module] | None = None) -> None:
        super().__init__()
        if maps is None:
            maps = STFT(2048, window="flattop")
        self.maps = nn.ModuleList([maps] if isinstance(maps, nn.Module) else maps)
        if not self.maps:
            raise ValueError("Need at least one map to compare sounds by.")

    @in_full_precision
    def forward(self, prediction: Audio, target: Audio) -> Float[Tensor, ""]:
        check_sounds(prediction, target)
        distances = [
            distance
            for view in self.maps
            for distance in self.distances(view, view(prediction), view(target))
        ]
        return sum(distances) / len(distances)

    @abstractmethod
    def distances(
        self,
        view: nn.Module,
        y: Float[Tensor, "batch frames bins"],
        x: Float[Tensor, "batch frames bins"],
    ) -> list[Tensor]:
        """Those of one map of the prediction ``y`` and of the target ``x``, each of them a number."""


def frequency_positions(
    freqs_hz: Float[Tensor, "bins"], scale: str, log_range_hz: tuple[float, float]
) -> Float[Tensor, "bins"]:
    """Where bins lie: in units of the highest, or in octaves in units of the range."""
    if scale == "linear":
        return freqs_hz / freqs_hz.max()
    heard = freqs_hz > 0
    octaves = torch.where(heard, torch.where(heard, freqs_hz, 1.0).log2(), math.log2(440) - 69 / 12)
    low, high = (math.log2(edge) for edge in log_range_hz)
    return (octaves - low) / (high - low)


def check_choice(name: str, value: object, choices: tuple) -> None:
    if value not in choices:
        raise ValueError(f"{name} is one of {choices}, got {value!r}.")


def check_power(p: float) -> None:
    if not (math.isfinite(p) and p >= 1):
        raise ValueError(f"Need a finite p of at least 1, got {p=}.")
