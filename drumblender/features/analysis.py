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

    Examples:
        >>> import torch
        >>> found = Analysed({"level_db": torch.zeros(1, 10, 8)}, features=torch.zeros(1, 10, 16))
        >>> found.controls["level_db"].shape
        torch.Size([1, 10, 8])
    """

    controls: Controls
    features: Float[Tensor, "batch frames features"]


class Analysis(nn.Module, ABC):
    """Measures the controls of a synth in a batch. Nothing in it learns.

    Attributes:
        num_features: Numbers in a frame of the features.
        hears_mix: It reads a field ``mix``, the sound of the voices before the one that it measures.

    Examples:
        >>> import torch
        >>> class MeasuredLevel(Analysis):
        ...     num_features = 1
        ...
        ...     def forward(self, batch):
        ...         rms = batch["audio"].unfold(-1, 256, 256).square().mean(dim=-1, keepdim=True).sqrt()
        ...         return Analysed({"level_db": 20 * torch.log10(rms)}, rms)
        >>> MeasuredLevel()({"audio": torch.full((1, 1024), 0.1)}).controls["level_db"].squeeze().round()
        tensor([-20., -20., -20., -20.])
    """

    num_features: int
    hears_mix: bool = False

    @abstractmethod
    def forward(self, batch: AudioBatch) -> Analysed:
        """Measure; fields of the batch that it reads beside the audio are named by the class."""
