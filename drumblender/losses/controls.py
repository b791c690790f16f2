"""Distance of the controls themselves: no sound is made."""

from collections.abc import Sequence
from typing import Literal

from jaxtyping import Float
from torch import Tensor, nn

from drumblender.types import Controls


class ControlLoss(nn.Module):
    """Sum over the named controls of the mean absolute distance; for training on controls that are known.

    Args:
        names: The controls that count; None counts those that the target has.

    Examples:
        >>> import torch
        >>> ControlLoss()({"amp": torch.full((1, 4, 2), 0.75)}, {"amp": torch.full((1, 4, 2), 0.5)})
        tensor(0.2500)
    """

    def __init__(self, names: Sequence[str] | None = None) -> None:
        super().__init__()
        self.names = None if names is None else list(names)

    def forward(self, prediction: Controls, target: Controls) -> Tensor:
        """Compare two sets of controls.

        Raises:
            ValueError: A control is missing on a side or has another shape there, or none is compared.
        """
        names = list(target) if self.names is None else self.names
        if not names:
            raise ValueError("There are no controls to compare.")
        for name in names:
            shapes = [tuple(side[name].shape) if name in side else None for side in (prediction, target)]
            if None in shapes or shapes[0] != shapes[1]:
                raise ValueError(f"Control {name!r} is {shapes[0]} predicted and {shapes[1]} in the target.")
        return sum((prediction[name] - target[name]).abs().mean() for name in names)


class MeanDifference(nn.Module):
    """Mean of absolute or squared differences, of values in order or of the same values in any order.

    Sorted, the pitches of several partials are compared whatever order a network gives them in: the mean
    square of a batch is then the published pitch error, ``LossMetric(MeanDifference("L2", sort=True))``.

    Args:
        loss_type: ``L1``: absolute, ``L2``: squared.
        sort: Sort both along the last axis first.

    Examples:
        >>> import torch
        >>> found, known = torch.tensor([[0.75, 0.5]]), torch.tensor([[0.25, 0.75]])
        >>> MeanDifference("L1")(found, known), MeanDifference("L1", sort=True)(found, known)
        (tensor(0.3750), tensor(0.1250))
    """

    def __init__(self, loss_type: Literal["L1", "L2"] = "L1", sort: bool = False) -> None:
        super().__init__()
        if loss_type not in ("L1", "L2"):
            raise ValueError(f"loss_type is 'L1' or 'L2', got {loss_type!r}.")
        self.loss_type, self.sort = loss_type, sort

    def forward(
        self,
        prediction: Float[Tensor, "..."],
        target: Float[Tensor, "..."],
        weights: Float[Tensor, "..."] | None = None,
        dims: int | Sequence[int] | None = None,
    ) -> Float[Tensor, "..."]:
        """The mean over some axes, by default all.

        Args:
            prediction: Values.
            target: As many.
            weights: Of each difference, after sorting.
            dims: The axes to average over.

        Raises:
            ValueError: The shapes differ.
        """
        if prediction.shape != target.shape:
            raise ValueError(f"The shapes differ: {tuple(prediction.shape)} and {tuple(target.shape)}.")
        if self.sort:
            prediction, target = prediction.sort(dim=-1).values, target.sort(dim=-1).values
        difference = prediction - target
        difference = difference.abs() if self.loss_type == "L1" else difference.square()
        difference = difference if weights is None else weights * difference
        return difference.mean() if dims is None else difference.mean(dim=dims)
