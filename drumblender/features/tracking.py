"""What every pitch tracker is: f0, confidence and voicing, frame by frame, at any rate and length.

Each tracker hears mono sound at its own rate; what comes in is resampled. Long sounds go through in spans
that overlap, so memory does not grow with their length.
"""

from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator
from typing import NamedTuple

import numpy as np
import torch
from jaxtyping import Bool, Float
from torch import Tensor

from drumblender.dsp.resample import kaiser_resample

LOWEST_HZ, HIGHEST_HZ = 46.875, 2093.75  # what all of them can find


class Track(NamedTuple):
    """What a tracker hears; frame ``t`` is at ``t * hop_s`` seconds."""

    f0_hz: Float[Tensor, "frames"]  # a guess in unvoiced frames too; above 0
    confidence: Float[Tensor, "frames"]  # 0 to 1, in the tracker's own scale
    voiced: Bool[Tensor, "frames"]
    hop_s: float


class Tracker(ABC):
    """Finds the fundamental of a monophonic sound.

    Attributes:
        sample_rate: What :meth:`span` hears, in samples per second.
        reach_s: Seconds of sound that a frame depends on, to either side: where spans overlap.
        threshold: Confidence from which a frame is voiced.
        hears_end: Has a frame on the very end of a sound, where that lies on a hop.
        package: What must be installed, as pip knows it; None where nothing must.
    """

    sample_rate: int = 16000
    reach_s: float = 0.25
    threshold: float = 0.5
    hears_end: bool = False
    package: str | None = None

    def __init__(self, hop_s: float = 0.01, threshold: float | None = None) -> None:
        if not 0.001 <= hop_s <= 1:
            raise ValueError(f"A hop lasts 1 ms to 1 s, got {hop_s=}.")
        if threshold is not None and not 0 <= threshold <= 1:
            raise ValueError(f"A threshold is a confidence from 0 to 1, got {threshold=}.")
        self.hop_s = hop_s
        self.threshold = self.threshold if threshold is None else threshold

    @abstractmethod
    def span(self, audio: Float[Tensor, "samples"]) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Times in seconds, pitches in Hz and confidences of a stretch at :attr:`sample_rate`."""

    @torch.no_grad()
    def __call__(self, audio: Float[Tensor, "samples"], sample_rate: int, span_s: float = 20.0) -> Track:
        """Track a whole sound.

        Args:
            audio: Mono sound of at least one sample.
            sample_rate: Its samples per second.
            span_s: Seconds that are heard at once.

        Raises:
            ValueError: There is no sound, or it is not finite.
        """
        if audio.ndim != 1 or not len(audio) or sample_rate < 1 or span_s <= 0:
            raise ValueError(
                f"Need mono sound and a rate, got {tuple(audio.shape)}, {sample_rate=}, {span_s=}."
            )
        if not audio.isfinite().all():
            raise ValueError("The sound has samples that are not finite.")
        return self.stream(iter([audio]), sample_rate, span_s)

    @torch.no_grad()
    def stream(
        self, blocks: Iterable[Float[Tensor, "samples"]], sample_rate: int, span_s: float = 20.0
    ) -> Track:
        """Track a sound that comes in blocks of any length; no more than a span of it is held.

        Raises:
            ValueError: There is no sound.
        """
        found = list(self._parts(blocks, sample_rate, span_s))
        if not found:
            raise ValueError("There is no sound to track: it has 0 samples.")
        f0, confidence = (torch.from_numpy(np.concatenate(part)).float() for part in zip(*found, strict=True))
        return Track(f0, confidence, confidence >= self.threshold, self.hop_s)

    def _parts(
        self, blocks: Iterable[Tensor], rate: int, span_s: float
    ) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        """Pitches and confidences span by span, each as soon as all that it hears has come."""
        per_span, reach = max(1, round(span_s / self.hop_s)), round(self.reach_s * rate)
        held, start, first = torch.zeros(0), 0, 0  # the sound from sample `start` on; the next frame
        for block in blocks:
            held = torch.cat([held, block]) if len(held) else block
            while start + len(held) > (end := round((first + per_span - 1) * self.hop_s * rate) + reach):
                times = np.arange(first, first + per_span) * self.hop_s
                yield self._on_grid(held[: end + 1 - start], rate, times - start / rate)
                first += per_span
                gone = max(0, round(first * self.hop_s * rate) - reach - start)
                held, start = held[gone:].clone(), start + gone
        end = start + len(held) - (not self.hears_end)
        last = int(end / rate / self.hop_s + 1e-6)  # 2.05 s are 205 hops of 10 ms
        if start + len(held) and first <= last:
            yield self._on_grid(held, rate, np.arange(first, last + 1) * self.hop_s - start / rate)

    def _on_grid(self, audio: Tensor, rate: int, times: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Pitch (in octaves) and confidence at the wanted times, on lines between the tracker's own."""
        sound = kaiser_resample(audio.float().cpu(), rate, self.sample_rate)
        least = round(2 * self.reach_s * self.sample_rate)
        if len(sound) < least:
            sound = torch.nn.functional.pad(sound, (0, least - len(sound)))
        with torch.random.fork_rng(devices=[]):  # networks draw weights before they load theirs
            at, f0, confidence = self.span(sound)
        sure = np.isfinite(f0) & (f0 > 0)
        confidence = np.where(sure, np.nan_to_num(confidence), 0.0).clip(0, 1)
        if not sure.any():
            return np.full(len(times), LOWEST_HZ), np.zeros(len(times))
        octaves = np.interp(times, at[sure], np.log2(f0[sure]))
        return 2**octaves, np.interp(times, at, confidence)
