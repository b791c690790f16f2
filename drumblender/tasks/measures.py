"""The figures by which a model is compared with what needs no training."""

import torch
from jaxtyping import Float
from torch import Tensor

from drumblender.losses.spectral import MultiResolutionSTFTLoss
from drumblender.metrics import (
    AttackTimeDifference,
    BandLevelDistance,
    ItemMetric,
    LevelDifference,
    LossMetric,
    LoudSpectralDistance,
)
from drumblender.types import Audio

_SHORTEST = 4096  # samples: what the longest window still sees whole


def measures(sample_rate: int) -> dict[str, ItemMetric]:
    """By name, all better when smaller; the first decides which of two is better."""
    return {
        "mrstft": LossMetric(MultiResolutionSTFTLoss(), over="item"),
        "lsd_db": LoudSpectralDistance(),
        "bld_db": BandLevelDistance(sample_rate),
        "level_db": LevelDifference(absolute=True),
        "attack_ms": AttackTimeDifference(sample_rate),
    }


@torch.no_grad()
def measured(prediction: Audio, target: Audio, sample_rate: int) -> dict[str, Float[Tensor, "batch"]]:
    """All measures of each item, over its own length: zeros that fill the target up are left out.

    >>> sound = torch.randn(1, 8000, generator=torch.Generator().manual_seed(0))
    >>> {name: round(value.item(), 2) for name, value in measured(2 * sound, sound, 16000).items()}
    {'mrstft': 1.69, 'lsd_db': 6.02, 'bld_db': 6.02, 'level_db': 6.02, 'attack_ms': 0.0}
    """
    kinds = {name: metric.to(target.device) for name, metric in measures(sample_rate).items()}
    ends = torch.tensor([own_length(item) for item in target])
    found = {name: torch.zeros(len(target), device=target.device) for name in kinds}
    for end in ends.unique().tolist():
        rows = (ends == end).nonzero()[:, 0].to(target.device)
        pair = prediction[rows, :end], target[rows, :end]
        for name, metric in kinds.items():
            found[name][rows] = metric.per_item(*pair).to(found[name].dtype)
    return found


def own_length(sound: Float[Tensor, "samples"]) -> int:
    """Samples up to the last that is not 0, though no fewer than a spectrum needs."""
    sounding = sound.nonzero()
    last = int(sounding[-1]) + 1 if len(sounding) else 0
    return min(len(sound), max(last, _SHORTEST))
