"""What every audio metric is, and losses as metrics."""

from abc import ABC, abstractmethod
from typing import Literal

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torchmetrics import Metric

from drumblender.types import Audio


class ItemMetric(Metric, ABC):
    """Mean over all items of a number that each pair of prediction and target has.

    ``update`` takes a batch of both; ``compute`` gives the mean over all items seen, over all processes.
    Never differentiated.

    Attributes:
        items: The number of each item of the last batch, where ``update`` took those.

    Examples:
        >>> class PeakError(ItemMetric):
        ...     def per_item(self, prediction, target):
        ...         return (prediction.abs().amax(dim=1) - target.abs().amax(dim=1)).abs()
        >>> metric = PeakError()
        >>> metric.update(torch.tensor([[0.5, -1.0], [0.5, 0.0]]), torch.zeros(2, 2))
        >>> metric.compute()
        tensor(0.7500)
    """

    is_differentiable = False
    higher_is_better = False
    full_state_update = False
    total: Tensor
    count: Tensor
    items: Tensor | None

    def __init__(self) -> None:
        super().__init__()
        self.items = None
        self.add_state("total", torch.tensor(0.0), dist_reduce_fx="sum")
        self.add_state("count", torch.tensor(0), dist_reduce_fx="sum")

    @abstractmethod
    def per_item(self, prediction: Audio, target: Audio) -> Float[Tensor, "batch"]:
        """The number of each item."""

    def update(self, prediction: Audio, target: Audio) -> None:
        self.items = self.per_item(prediction, target)
        self._add(self.items)

    def compute(self) -> Float[Tensor, ""]:
        return self.total / self.count

    def _add(self, values: Tensor) -> None:
        self.total = self.total + values.sum().to(self.total)
        self.count = self.count + len(values)


class LossMetric(ItemMetric):
    """A loss as a metric.

    Args:
        loss: Module ``(prediction, target) -> scalar``.
        over: ``"batch"``: one call for each batch, counted once for each of its items, as the paper's tables
            were made. A loss that divides sums over the whole batch then depends on how a set is cut into
            batches. ``"item"``: one call for each item.

    Examples:
        >>> metric = LossMetric(nn.L1Loss(), over="item")
        >>> metric.update(torch.full((2, 4), 0.5), torch.zeros(2, 4))
        >>> metric.compute()
        tensor(0.5000)
    """

    def __init__(self, loss: nn.Module, over: Literal["batch", "item"] = "batch") -> None:
        super().__init__()
        if over not in ("batch", "item"):
            raise ValueError(f"over is 'batch' or 'item', got {over!r}.")
        self.loss, self.over = loss, over

    def per_item(self, prediction: Audio, target: Audio) -> Float[Tensor, "batch"]:
        """The loss of each item alone, whatever ``over`` is."""
        pairs = zip(prediction.split(1), target.split(1), strict=True)
        return torch.stack([self.loss(*pair).detach() for pair in pairs])

    def update(self, prediction: Audio, target: Audio) -> None:
        if self.over == "item":
            super().update(prediction, target)
        else:
            self._add(self.loss(prediction, target).detach().expand(len(target)))
