"""What every encoder is."""

from abc import ABC, abstractmethod

from jaxtyping import Float
from torch import Tensor, nn


class Encoder(nn.Module, ABC):
    """Describes what it hears with ``num_features`` numbers a frame.

    A :class:`~drumblender.controllers.HeardControls` calls it with fields of a batch and turns the features
    into the controls of a synth.

    Attributes:
        num_features: Numbers a frame.
        hears: The fields of a batch that it is called with, in this order; ``features`` of the analysis of an
            :class:`~drumblender.controllers.AnalysedControls`.

    Examples:
        >>> import torch
        >>> class Level(Encoder):
        ...     num_features = 1
        ...
        ...     def forward(self, audio):
        ...         return audio.unfold(-1, 256, 256).square().mean(dim=-1, keepdim=True)
        >>> Level()(torch.ones(2, 1024)).shape
        torch.Size([2, 4, 1])
    """

    num_features: int
    hears: tuple[str, ...] = ("audio",)

    @abstractmethod
    def forward(self, *fields: Tensor) -> Float[Tensor, "batch frames features"]:
        """Encode; an encoder that sums everything up in one vector returns one frame."""
