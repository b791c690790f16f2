"""How far a change of timbre is from the change that is wanted."""

import copy

from jaxtyping import Float
from torch import Tensor, nn


class FeatureDifferenceLoss(nn.Module):
    """Compares how features differ from a reference with how they should.

    Args:
        loss: Distance of two tensors with an attribute ``reduction``, such as ``torch.nn.MSELoss``;
            the absolute difference by default. Its own reduction is not used: weights come first.

    Examples:
        >>> import torch
        >>> features, reference = torch.tensor([[3.0, -20.0]]), torch.tensor([[1.0, -20.0]])
        >>> FeatureDifferenceLoss()(features, reference, difference=torch.tensor([[1.0, 0.0]]))
        tensor(0.5000)
    """

    def __init__(self, loss: nn.Module | None = None) -> None:
        super().__init__()
        if loss is not None and not hasattr(loss, "reduction"):
            raise ValueError(f"{type(loss).__name__} has no reduction to turn off; torch.nn.L1Loss has.")
        self.loss = nn.L1Loss() if loss is None else copy.deepcopy(loss)
        self.loss.reduction = "none"

    def forward(
        self,
        features: Float[Tensor, "batch features"],
        reference: Float[Tensor, "#batch features"],
        difference: Float[Tensor, "batch features"],
        weight: Float[Tensor, "*#weights features"] | float = 1.0,
    ) -> Float[Tensor, ""]:
        """The mean weighted distance.

        Args:
            features: Of what was rendered.
            reference: Of what it is compared with.
            difference: What ``features - reference`` should be.
            weight: Factor for each distance.
        """
        return (self.loss(features - reference, difference) * weight).mean()
