"""What an analysis is: controls that a recording says by itself, without anything learned."""

from abc import ABC, abstractmethod
from typing import NamedTuple

from jaxtyping import Float
from torch import Tensor, nn

from drumblender.types import AudioBatch, Controls


class Analysed(NamedTuple):
    """What an analysis found.

    Attributes:
        controls: Of a synth, by name: ``(batch, frames, size)``, in the unit of the name.
        features: What a network may hear to correct them.
    """

    controls: Controls
    features: Float[Tensor, "batch frames features"]


class Analysis(nn.Module, ABC):
    """Measures the controls of a synth in a batch. Nothing in it learns.

    Attributes:
        num_features: Numbers in a frame of the features.
    """

    num_features: int

    @abstractmethod
    def forward(self, batch: AudioBatch) -> Analysed:
        """Measure; fields of the batch that it reads beside the audio are named by the class."""
