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

    Examples:
        >>> hit = torch.exp(-torch.arange(8000) / 1000) * torch.randn(8000)
        >>> AmplitudeEnvelope(window=512)(hit[None]).shape
        torch.Size([1, 8000])
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

    Examples:
        >>> early, late = torch.nn.functional.one_hot(torch.tensor([480, 960]), 4800).float()
        >>> centroid = TemporalCentroid(48000, win_length=64)
        >>> round((centroid(late) - centroid(early)).item(), 1)
        10.0
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
    """The mean over time after division by the largest size: 0 for silence, whose slope is finite.

    Args:
        per_example: Divide each row by its own largest size. Without it, as published, all rows are divided
            by the largest of the batch, so that results depend on what else is in it.

    Examples:
        >>> NormSum(per_example=True)(torch.tensor([[2.0, 0.0, 0.0, 0.0], [2.0, 1.0, 1.0, 0.0]]))
        tensor([0.2500, 0.5000])
    """

    def __init__(self, per_example: bool = False) -> None:
        super().__init__()
        self.per_example = per_example

    def forward(self, audio: Float[Tensor, "... samples"]) -> Float[Tensor, "..."]:
        size = audio.abs()
        largest = size.amax(dim=-1, keepdim=True) if self.per_example else size.amax()
        audible = largest >= torch.finfo(audio.dtype).tiny  # silence by its 0 would have no slope but NaN
        return (audio / torch.where(audible, largest, 1.0)).sum(dim=-1) / audio.shape[-1]


class AmpEnvSum(Feature):
    """The mean of each sound's amplitude envelope after division by its peak: long sounds give more.

    Args:
        window: Length of the envelope's window in samples.

    Examples:
        >>> short, long = torch.exp(-torch.arange(8000) / torch.tensor([[200], [2000]]))
        >>> feature = AmpEnvSum(window=256)
        >>> bool(feature(short) < feature(long)), torch.allclose(feature(long), feature(long / 10))
        (True, True)
    """

    def __init__(self, window: int = 2048) -> None:
        super().__init__()
        self.envelope, self.norm_sum = AmplitudeEnvelope(window), NormSum(per_example=True)

    def forward(self, audio: Float[Tensor, "... samples"]) -> Float[Tensor, "..."]:
        return self.norm_sum(self.envelope(audio))
