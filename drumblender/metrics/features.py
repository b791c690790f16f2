"""The error of one feature."""

import torch
from jaxtyping import Float
from torch import Tensor
from torchmetrics import Metric


class FeatureError(Metric):
    """Mean absolute difference of a feature, over all examples seen.

    Examples:
        >>> metric = FeatureError()
        >>> metric.update(torch.tensor([1.0, 2.0]), torch.tensor([1.5, 2.0]))
        >>> metric.compute()
        tensor(0.2500)
    """

    is_differentiable = False
    higher_is_better = False
    full_state_update = False
    total: Tensor
    count: Tensor

    def __init__(self) -> None:
        super().__init__()
        self.add_state("total", torch.tensor(0.0), dist_reduce_fx="sum")
        self.add_state("count", torch.tensor(0), dist_reduce_fx="sum")

    def update(self, prediction: Float[Tensor, "batch"], target: Float[Tensor, "batch"]) -> None:
        self.total += (prediction - target).abs().sum()
        self.count += len(target)

    def compute(self) -> Float[Tensor, ""]:
        return self.total / self.count
