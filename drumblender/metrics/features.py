"""How right one feature is: its error, and whether it moves as it should."""

import torch
from jaxtyping import Float
from torch import Tensor
from torchmetrics import Metric
from torchmetrics.utilities import dim_zero_cat


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


class _OverAll(Metric):
    """Keeps all examples: what is computed is of the whole set."""

    is_differentiable = False
    higher_is_better = None
    full_state_update = False
    predictions: list[Tensor]
    targets: list[Tensor]

    def __init__(self) -> None:
        super().__init__()
        self.add_state("predictions", [], dist_reduce_fx="cat")
        self.add_state("targets", [], dist_reduce_fx="cat")

    def update(self, prediction: Float[Tensor, "batch"], target: Float[Tensor, "batch"]) -> None:
        self.predictions.append(prediction.detach())
        self.targets.append(target.detach())

    def _pair(self) -> tuple[Float[Tensor, "items"], Float[Tensor, "items"]]:
        return dim_zero_cat(self.predictions).double(), dim_zero_cat(self.targets).double()


class RankCorrelation(_OverAll):
    """Spearman's rho over all examples: 1 where one rises whenever the other does; NaN where one is constant.

    >>> metric = RankCorrelation()
    >>> metric.update(torch.tensor([1.0, 2.0, 9.0]), torch.tensor([0.1, 0.5, 0.6]))
    >>> round(metric.compute().item(), 6)
    1.0
    """

    higher_is_better = True

    def compute(self) -> Float[Tensor, ""]:
        ranks = [_ranks(values) for values in self._pair()]
        centred = [each - each.mean() for each in ranks]
        size = centred[0].norm() * centred[1].norm()
        return (centred[0] @ centred[1] / size).float()


class Slope(_OverAll):
    """The slope of the straight line from target to prediction: 1 moves as far as it should, 0 not at all.

    Examples:
        >>> slope = Slope()
        >>> slope.update(torch.tensor([1.0, 2.0, 3.0]), torch.tensor([0.0, 2.0, 4.0]))
        >>> slope.compute()
        tensor(0.5000)
    """

    def compute(self) -> Float[Tensor, ""]:
        prediction, target = self._pair()
        away = target - target.mean()
        return (away @ prediction / (away @ away)).float()


def _ranks(values: Float[Tensor, "items"]) -> Float[Tensor, "items"]:
    """From 0 up; equal values share the mean of their ranks."""
    below = (values[:, None] > values).sum(dim=1)
    equal = (values[:, None] == values).sum(dim=1)
    return below.double() + (equal.double() - 1) / 2
