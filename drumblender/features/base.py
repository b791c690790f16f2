"""What every feature is, and how features are chained and put side by side."""

from abc import ABC, abstractmethod
from collections.abc import Sequence

import torch
from jaxtyping import Float
from torch import Tensor, nn

from drumblender.dsp.kernels.sharing import share
from drumblender.types import Audio


class Feature(nn.Module, ABC):
    """Describes a sound, or each frame of it, by reducing the last axis (samples).

    Attributes:
        frames_joined: Consecutive frames that one value is made of: 2 for a feature of change.
        receptive_field: Samples from the start of a sound that the feature reads; None when it reads all.
        labels: A name for every column; empty where there are none.
    """

    frames_joined: int = 1
    receptive_field: int | None = None
    labels: Sequence[str] = ()

    @abstractmethod
    def forward(self, audio: Float[Tensor, "... samples"]) -> Tensor:
        """Describe ``audio``, with any axes before the samples."""

    def over_frames(self, audio: Audio, frame_size: int, hop_length: int) -> Float[Tensor, "batch frames"]:
        """Describe every whole frame; a feature that can share work between frames overrides this."""
        return self(audio.unfold(-1, frame_size, hop_length))


class FeatureExtractor(Feature):
    """Runs features one after another: the first hears the sound, the next what the first made of it."""

    def __init__(self, features: Sequence[nn.Module]) -> None:
        super().__init__()
        if not features:
            raise ValueError("FeatureExtractor needs at least one feature.")
        self.features = nn.Sequential(*features)
        self.receptive_field = features[0].receptive_field if isinstance(features[0], Feature) else None

    def forward(self, audio: Float[Tensor, "... samples"]) -> Tensor:
        return self.features(audio)


class FeatureCollection(Feature):
    """Runs features side by side on the same sound and joins what they give on the last axis.

    Attributes:
        labels: A name for every column, where all features name theirs; else empty.
    """

    def __init__(self, features: Sequence[nn.Module]) -> None:
        super().__init__()
        if not features:
            raise ValueError("FeatureCollection needs at least one feature.")
        self.features = nn.ModuleList(features)
        named = [feature.labels if isinstance(feature, Feature) else () for feature in features]
        self.labels = number_duplicates([label for labels in named for label in labels]) if all(named) else []
        reaches = [feature.receptive_field if isinstance(feature, Feature) else None for feature in features]
        self.receptive_field = None if None in reaches else max(reaches)

    def forward(self, audio: Float[Tensor, "... samples"]) -> Float[Tensor, "... features"]:
        size = audio.shape[-1]
        reaches = [
            feature.receptive_field if isinstance(feature, Feature) else None for feature in self.features
        ]
        parts = share(audio.reshape(-1, size), [size if reach is None else reach for reach in reaches])
        columns = [
            feature(part.view(*audio.shape[:-1], part.shape[-1]))
            for feature, part in zip(self.features, parts, strict=True)
        ]
        return torch.cat(columns, dim=-1)


def number_duplicates(names: Sequence[str]) -> list[str]:
    """The names, with ``:2``, ``:3`` ... after those seen before."""
    seen: dict[str, int] = {}
    numbered = []
    for name in names:
        seen[name] = seen.get(name, 0) + 1
        numbered.append(name if seen[name] == 1 else f"{name}:{seen[name]}")
    return numbered
