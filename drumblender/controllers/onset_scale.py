"""Brings the features of an onset to where a mapper learned to expect them."""

import torch
from jaxtyping import Float
from torch import Tensor, nn


class OnsetScale(nn.Module):
    """Scales onset features to 0 ... 1 over the drum that a mapper was trained on, and centres them.

    Kept in checkpoints, so that a mapper can be played without its training data.

    Args:
        size: Onset features.

    Examples:
        >>> scale = OnsetScale(size=1)
        >>> scale.learn(low=torch.tensor([-60.0]), span=torch.tensor([40.0]), center=torch.tensor([0.5]))
        >>> scale(torch.tensor([[-60.0], [-30.0], [0.0]])).tolist()  # in dB; 0 dB is beyond the drum's range
        [[-0.5], [0.25], [0.5]]
    """

    low: Tensor
    span: Tensor
    center: Tensor
    known: Tensor

    def __init__(self, size: int) -> None:
        super().__init__()
        self.register_buffer("low", torch.zeros(size))
        self.register_buffer("span", torch.ones(size))
        self.register_buffer("center", torch.zeros(size))
        self.register_buffer("known", torch.tensor(False))

    def learn(self, low: Tensor, span: Tensor, center: Tensor) -> None:
        """Take over what a drum's hits say."""
        for own, given in ((self.low, low), (self.span, span), (self.center, center)):
            own.copy_(given)
        self.known.fill_(True)

    def forward(self, raw: Float[Tensor, "batch features"]) -> Float[Tensor, "batch features"]:
        """From features as they are measured; what is beyond the drum's range is limited to it."""
        return ((raw - self.low) / self.span).clamp(0, 1) - self.center
