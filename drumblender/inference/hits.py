"""Hits in sound as it comes in: found, waited for, and described."""

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from drumblender.dsp.onsets import OnsetDetector, OnsetSettings
from drumblender.features.base import Feature


class Hit(NamedTuple):
    """A hit whose onset is known well enough."""

    onset: int  # the sample that the detector reported
    ready: int  # the last sample that its features needed
    features: Float[Tensor, "features"]  # as measured


class HitStream:
    """Finds and describes hits in blocks of any size, as soon as their features can be computed.

    Args:
        onset_features: Describe the frame of an onset; their ``receptive_field`` is its length.
        sample_rate: Samples per second of the blocks.
        settings: When a leap of the level counts as an onset.
        backtrack_samples: How much earlier than the onset the frame starts; below 0, later.
    """

    def __init__(
        self,
        onset_features: Feature,
        sample_rate: int,
        settings: OnsetSettings | None = None,
        backtrack_samples: int = 16,
    ) -> None:
        if onset_features.receptive_field is None:
            raise ValueError("The onset features read all of a sound; a stream has no end to wait for.")
        self.onset_features, self.backtrack = onset_features, backtrack_samples
        self.size = onset_features.receptive_field
        self._detector = OnsetDetector(sample_rate, settings)
        self.reset()

    def reset(self) -> None:
        """Start again at sample 0."""
        self._detector.reset()
        self._waiting: list[int] = []
        self._memory = np.zeros(0, dtype=np.float32)  # the newest samples; ends at ``_count``
        self._count = 0

    @torch.no_grad()
    def process(self, block: Float[np.ndarray, "samples"]) -> list[Hit]:
        """The hits that this block completes; samples that are no numbers count as 0.

        Raises:
            ValueError: The block is not mono.
        """
        block = np.nan_to_num(np.asarray(block, dtype=np.float32), posinf=0.0, neginf=0.0)
        if block.ndim != 1:
            raise ValueError(f"A block is mono, (samples,); got shape {block.shape}.")
        self._waiting += self._detector.process(block)
        self._memory = np.concatenate([self._memory, block])
        self._count += len(block)
        hits = []
        while self._waiting and self._start(self._waiting[0]) + self.size <= self._count:
            hits.append(self._describe(self._waiting.pop(0)))
        oldest = self._start(self._waiting[0]) if self._waiting else self._count - max(self.backtrack, 0) - 1
        begin = self._count - len(self._memory)
        self._memory = self._memory[max(oldest - begin, 0) :]
        return hits

    def _start(self, onset: int) -> int:
        return max(onset - self.backtrack, 0)

    def _describe(self, onset: int) -> Hit:
        at = self._start(onset) - (self._count - len(self._memory))
        frame = torch.from_numpy(self._memory[at : at + self.size].copy())
        return Hit(onset, self._start(onset) + self.size - 1, self.onset_features(frame[None])[0])


@dataclass
class RunningScale:
    """Scales features by the least and the most seen so far, as the TorchDrum plug-in does.

    The newest counts first; a feature that has not changed yet is 0.5.
    """

    low: Tensor | None = None
    high: Tensor | None = None

    def __call__(self, raw: Float[Tensor, "features"]) -> Float[Tensor, "features"]:
        self.low = raw if self.low is None else torch.minimum(self.low, raw)
        self.high = raw if self.high is None else torch.maximum(self.high, raw)
        span = self.high - self.low
        return torch.where(span > 0, (raw - self.low) / torch.where(span > 0, span, 1.0), 0.5)
