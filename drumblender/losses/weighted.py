"""Several losses as one."""

import math

from torch import Tensor, nn

from drumblender.losses.calling import call_loss
from drumblender.types import Audio


class WeightedLoss(nn.Module):
    """The weighted sum of named losses.

    Args:
        losses: Modules ``(prediction, target) -> scalar``, by the names their parts are logged under.
        weights: A factor for some or all of the names; 1 where none is given.

    Attributes:
        parts: After a call, the value of each loss by name, without its weight and without a graph.

    Raises:
        ValueError: No loss, a weight that belongs to none, a weight that is not finite, or a part named
            ``loss``, which is the name of the sum.
    """

    def __init__(self, losses: dict[str, nn.Module], weights: dict[str, float] | None = None) -> None:
        super().__init__()
        weights = weights or {}
        if not losses:
            raise ValueError("A weighted loss needs at least one loss.")
        if "loss" in losses:
            raise ValueError("A part cannot be named 'loss': the sum is logged under that name.")
        if unknown := sorted(set(weights) - set(losses)):
            raise ValueError(f"Weights {unknown} belong to no loss; the losses are {sorted(losses)}.")
        if wrong := {name: weight for name, weight in weights.items() if not math.isfinite(weight)}:
            raise ValueError(f"Weights must be finite, got {wrong}.")
        self.losses = nn.ModuleDict(losses)
        self.weights = {name: float(weights.get(name, 1.0)) for name in losses}
        self.parts: dict[str, Tensor] = {}

    def forward(self, prediction: Audio, target: Audio) -> Tensor:
        values = {name: call_loss(loss, prediction, target) for name, loss in self.losses.items()}
        self.parts = {name: value.detach() for name, value in values.items()}
        return sum(self.weights[name] * value for name, value in values.items())
