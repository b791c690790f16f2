"""Losses of other packages, which want sound with channels."""

from jaxtyping import Float
from torch import Tensor, nn

from drumblender.losses.calling import call_loss
from drumblender.types import Audio


class Channelled(nn.Module):
    """Gives a loss of ``(batch, channels, samples)`` mono sound, as auraloss and others want it.

    Args:
        loss: The other package's loss ``(prediction, target) -> scalar``, named by its class path in YAML.
        target_first: It is called ``(target, prediction)``.

    Raises:
        ValueError: On a call: it cannot take sound with channels either, or gives more than one number.

    >>> import torch
    >>> loss = Channelled(nn.MSELoss())
    >>> loss(torch.zeros(2, 100), torch.ones(2, 100))
    tensor(1.)
    """

    def __init__(self, loss: nn.Module, target_first: bool = False) -> None:
        super().__init__()
        self.loss, self.target_first = loss, target_first

    def forward(self, prediction: Audio, target: Audio) -> Float[Tensor, ""]:
        pair = (target, prediction) if self.target_first else (prediction, target)
        return call_loss(self.loss, *(sound[:, None] for sound in pair))
