"""Features of a hit from its onset on: a part of it, or groups of frames."""

from collections.abc import Sequence

import torch
from jaxtyping import Float
from torch import Tensor, nn

from drumblender.dsp.kernels.sharing import share
from drumblender.dsp.moments import frame_magnitudes
from drumblender.features.base import Feature, number_duplicates
from drumblender.features.spectral import SpectralFeature
from drumblender.types import Audio


class OnsetSegment(Feature):
    """The ``window`` samples that follow ``delay`` samples after the start."""

    def __init__(self, window: int = 2048, delay: int = 0) -> None:
        super().__init__()
        if window < 1 or delay < 0:
            raise ValueError(f"A segment needs window above 0 and delay 0 or more, got {window=}, {delay=}.")
        self.window, self.delay = window, delay
        self.receptive_field = delay + window

    def forward(self, audio: Float[Tensor, "... samples"]) -> Float[Tensor, "... segment"]:
        return audio[..., self.delay : self.receptive_field]


class CascadingFrameExtractor(Feature):
    """Features of frames, averaged over groups of them: the transient, the sustain, ...

    Every feature is computed once a frame, for the frames that some group holds, and spectral features share
    the spectra of their windows.

    Args:
        extractors: Features of a frame.
        num_frames: Frames in each group.
        frame_size: Samples in a frame.
        hop_length: Samples from a frame to the next.
        pad_start: Zeros put before the sound.
        include_mean: Give the mean over the frames of a group.
        include_diff: Give the mean change from frame to frame, for groups of more than one frame.
        always_from_onset: Start every group at the first frame, instead of where the group before it ended.

    Attributes:
        labels: ``<Class>_<first frame>_<frames>_mean`` or ``_diff``; columns go by feature, then group.
        receptive_field: Samples of a sound that the features read.
    """

    def __init__(
        self,
        extractors: Sequence[Feature],
        num_frames: Sequence[int],
        frame_size: int = 2048,
        hop_length: int = 1024,
        pad_start: int | None = None,
        include_mean: bool = True,
        include_diff: bool = False,
        always_from_onset: bool = False,
    ) -> None:
        super().__init__()
        if not extractors or not num_frames or min(num_frames) < 1:
            raise ValueError(f"Give features and groups of at least 1 frame, got {num_frames=}.")
        if min(frame_size, hop_length) < 1:
            raise ValueError(f"A frame and a hop take at least 1 sample, got {frame_size=}, {hop_length=}.")
        if not (include_mean or include_diff):
            raise ValueError("Nothing is left with include_mean and include_diff both off.")
        self.extractors = nn.ModuleList(extractors)
        self.frame_size, self.hop_length, self.pad_start = frame_size, hop_length, pad_start or 0
        self.include_mean, self.include_diff = include_mean, include_diff
        starts = [0 if always_from_onset else sum(num_frames[:i]) for i in range(len(num_frames))]
        self.groups = list(zip(starts, num_frames, strict=True))
        self.frames_needed = max(start + count for start, count in self.groups)
        self.receptive_field = max(self._samples_needed - self.pad_start, 1)
        self.names = number_duplicates([type(extractor).__name__ for extractor in extractors])
        self.flattened_features = [
            (name, f"{start}_{count}_{statistic}")
            for name, extractor in zip(self.names, self.extractors, strict=True)
            for start, count in self.groups
            for statistic in self._statistics(self._num_values(extractor, count))
        ]
        self.labels = [f"{name}_{part}" for name, part in self.flattened_features]
        self.num_features = len(self.labels)

    def forward(self, audio: Float[Tensor, "*batch samples"]) -> Float[Tensor, "*batch features"]:
        if audio.shape[-1] + self.pad_start < self._samples_needed:
            raise ValueError(
                f"{self.frames_needed} frames of {self.frame_size} samples, {self.hop_length} apart, need "
                f"{self.receptive_field} samples; the sound has {audio.shape[-1]}."
            )
        rows = audio.reshape(-1, audio.shape[-1])
        if self.pad_start:
            rows = nn.functional.pad(rows, (self.pad_start, 0))
        values = self._over_frames(rows)
        columns = [column for value in values for column in self._columns(*value)]
        return torch.stack(columns, dim=-1).view(*audio.shape[:-1], -1)

    def get_as_dict(self, audio: Audio) -> dict[str, dict[str, Float[Tensor, "batch"]]]:
        """The columns by class, then by label."""
        nested: dict[str, dict[str, Tensor]] = {name: {} for name in self.names}
        columns = self(audio).unbind(dim=-1)
        for (name, _), label, column in zip(self.flattened_features, self.labels, columns, strict=True):
            nested[name][label] = column
        return nested

    @property
    def _samples_needed(self) -> int:
        return (self.frames_needed - 1) * self.hop_length + self.frame_size

    def _over_frames(self, audio: Audio) -> list[tuple[Feature, Tensor]]:
        spectral = [extractor for extractor in self.extractors if isinstance(extractor, SpectralFeature)]
        windows = tuple(dict.fromkeys(extractor.window for extractor in spectral))
        others = len(self.extractors) - len(spectral)
        heard, *rest = share(audio, [self._samples_needed] * (1 + others))
        frames = {"frame_size": self.frame_size, "hop_length": self.hop_length}
        spectra = (
            dict(zip(windows, frame_magnitudes(heard, windows, **frames), strict=True)) if windows else {}
        )
        return [
            (
                extractor,
                extractor.from_magnitudes(spectra[extractor.window], self.frame_size)
                if isinstance(extractor, SpectralFeature)
                else extractor.over_frames(rest.pop(), **frames),
            )
            for extractor in self.extractors
        ]

    def _columns(self, extractor: Feature, values: Float[Tensor, "batch values"]) -> list[Tensor]:
        columns = []
        for start, count in self.groups:
            group = values[:, start : start + self._num_values(extractor, count)]
            for statistic in self._statistics(group.shape[-1]):
                columns.append(group.mean(dim=-1) if statistic == "mean" else group.diff(dim=-1).mean(dim=-1))
        return columns

    def _statistics(self, num_values: int) -> list[str]:
        return ["mean"] * self.include_mean + ["diff"] * (self.include_diff and num_values > 1)

    @staticmethod
    def _num_values(extractor: Feature, count: int) -> int:
        if count < extractor.frames_joined:
            raise ValueError(
                f"{type(extractor).__name__} joins {extractor.frames_joined} frames; a group has {count}."
            )
        return count - extractor.frames_joined + 1
