"""How the energy of a hit unfolds: its envelope and the moment it is centred on."""

from typing import Literal

import torch
from jaxtyping import Float
from torch import Tensor

from drumblender.dsp.energy import amplitude_envelope, temporal_centroid_ms
from drumblender.features.base import Feature


class AmplitudeEnvelope(Feature):
    """Energy around every sample, through a periodic Hann window; keeps the axis of samples.

    Args:
        window: Length of the window in samples.
    """

    def __init__(self, window: int = 2048) -> None:
        super().__init__()
        self.window = window

    def forward(self, audio: Float[Tensor, "... samples"]) -> Float[Tensor, "... samples"]:
        return amplitude_envelope(audio, self.window)


class TemporalCentroid(Feature):
    """The time that the amplitude envelope is centred on, in milliseconds.

    Args:
        sample_rate: Samples per second.
        win_length: Length of the envelope's window in samples.
        scaling: ``schlauch`` for the perceived duration of Schlauch et al. (2001), ``none`` for milliseconds.
    """

    def __init__(
        self, sample_rate: int, win_length: int = 2048, scaling: Literal["schlauch", "none"] = "none"
    ) -> None:
        super().__init__()
        if scaling not in ("schlauch", "none"):
            raise ValueError(f"scaling is 'schlauch' or 'none', got {scaling!r}.")
        self.sample_rate, self.win_length, self.scaling = sample_rate, win_length, scaling

    def forward(self, audio: Float[Tensor, "... samples"]) -> Float[Tensor, "..."]:
        centroid_ms = temporal_centroid_ms(audio, sample_rate=self.sample_rate, window=self.win_length)
        return 0.03 * centroid_ms**1.864 if self.scaling == "schlauch" else centroid_ms


class NormSum(Feature):
    """The mean over time after division by the largest size: 0 for silence.

    Args:
        per_example: Divide each row by its own largest size. Without it, as published, all rows are divided
            by the largest of the batch, so that results depend on what else is in it.
    """

    def __init__(self, per_example: bool = False) -> None:
        super().__init__()
        self.per_example = per_example

    def forward(self, audio: Float[Tensor, "... samples"]) -> Float[Tensor, "..."]:
        size = audio.abs()
        largest = size.amax(dim=-1, keepdim=True) if self.per_example else size.amax()
        return torch.nan_to_num(audio / largest, nan=0.0).sum(dim=-1) / audio.shape[-1]


class AmpEnvSum(Feature):
    """The mean of each sound's amplitude envelope after division by its peak: long sounds give more.

    Args:
        window: Length of the envelope's window in samples.
    """

    def __init__(self, window: int = 2048) -> None:
        super().__init__()
        self.envelope, self.norm_sum = AmplitudeEnvelope(window), NormSum(per_example=True)

    def forward(self, audio: Float[Tensor, "... samples"]) -> Float[Tensor, "..."]:
        return self.norm_sum(self.envelope(audio))
