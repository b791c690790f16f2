"""Distance of the controls themselves: no sound is made."""

from collections.abc import Sequence

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
