"""What every encoder is."""

from abc import ABC, abstractmethod

from jaxtyping import Float
from torch import Tensor, nn

from drumblender.types import Audio


def module_key(control: str) -> str:
    """A control's name as torch accepts it for a part of a module: ``osc1.freq`` becomes ``osc1/freq``."""
    return control.replace(".", "/")


class Encoder(nn.Module, ABC):
    """Listens to a sound and describes it with ``num_features`` numbers a frame.

    A :class:`~drumblender.encoders.control_head.ControlHead` turns the features into the controls of a synth.
    """

    num_features: int

    @abstractmethod
    def forward(self, audio: Audio) -> Float[Tensor, "batch frames features"]:
        """Encode; an encoder that sums the sound up in one vector returns one frame."""
