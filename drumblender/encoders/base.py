"""What every encoder is."""

from abc import ABC, abstractmethod

from jaxtyping import Float
from torch import Tensor, nn

from drumblender.types import Audio


class Encoder(nn.Module, ABC):
    """Listens to a sound and describes it with ``num_features`` numbers a frame.

    A :class:`~drumblender.controllers.LinearHead` turns the features into the controls of a synth.
    """

    num_features: int

    @abstractmethod
    def forward(self, audio: Audio) -> Float[Tensor, "batch frames features"]:
        """Encode; an encoder that sums the sound up in one vector returns one frame."""
