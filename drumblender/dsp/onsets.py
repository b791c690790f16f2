"""Where drum hits begin: a detector for whole recordings and for a live stream, and frames cut at onsets.

The level above 600 Hz is followed by a fast and a slow follower; an onset is where the fast one leaps ahead.
"""

import math
from dataclasses import dataclass, replace

import numpy as np
import torch
from jaxtyping import Float

from drumblender.dsp.filters import highpass_coefficients

Samples = Float[np.ndarray, "samples"]


@dataclass(frozen=True)
class OnsetSettings:
    """When a leap of the level counts as an onset. Times in samples, whatever the sample rate; see ``at``.

    Args:
        on_db: Lead of the fast follower, in dB, that reports an onset.
        off_db: Lead below which the detector is armed again.
        wait_samples: Samples after an onset before another can be reported.
        floor_db: Levels below count as this.
        eps: Added to the size of a sample before the logarithm.
        cutoff_hz: Below this, sound is not heard.
        fast_samples: Attack and release of the fast follower.
        slow_samples: Attack and release of the slow follower.
        rearm_early: Arm again while still waiting, as the TorchDrum plug-in does; an onset still has to wait.

    Examples:
        >>> OnsetSettings().wait_samples, OnsetSettings().at(88200).wait_samples  # both are 30 ms
        (1323, 2646)
    """

    on_db: float = 16.0
    off_db: float = 4.6666
    wait_samples: int = 1323
    floor_db: float = -55.0
    eps: float = 1e-8
    cutoff_hz: float = 600.0
    fast_samples: tuple[float, float] = (3.0, 383.0)
    slow_samples: tuple[float, float] = (2205.0, 2205.0)
    rearm_early: bool = False

    def __post_init__(self) -> None:
        if self.off_db > self.on_db or self.wait_samples < 0 or self.eps < 0:
            raise ValueError(
                f"Needs off_db up to on_db, wait_samples and eps not negative, got {self.off_db=}, "
                f"{self.on_db=}, {self.wait_samples=}, {self.eps=}."
            )
        if min(*self.fast_samples, *self.slow_samples) < 1:
            raise ValueError(
                f"A follower takes 1 sample or more, got {self.fast_samples=}, {self.slow_samples=}."
            )

    def at(self, sample_rate: float, reference_rate: float = 44100) -> "OnsetSettings":
        """The settings whose times last as many seconds as these do at ``reference_rate``."""
        ratio = sample_rate / reference_rate
        return replace(
            self,
            wait_samples=round(self.wait_samples * ratio),
            fast_samples=tuple(max(time * ratio, 1.0) for time in self.fast_samples),
            slow_samples=tuple(max(time * ratio, 1.0) for time in self.slow_samples),
        )


PLUGIN_SETTINGS = OnsetSettings(off_db=4.66, wait_samples=1000, eps=0.0, rearm_early=True)
"""The TorchDrum plug-in's detector as it starts."""


class OnsetDetector:
    """Finds onsets in sound that comes in blocks of any size: the same, and at the same places, as in one.

    Args:
        sample_rate: Samples per second.
        settings: See :class:`OnsetSettings`.

    Examples:
        >>> clicks = np.zeros(24000)
        >>> clicks[[6000, 18000]] = 1.0
        >>> detector = OnsetDetector(48000)
        >>> [detector.process(block) for block in np.split(clicks, 4)]
        [[], [6000], [], [18000]]
    """

    def __init__(self, sample_rate: int, settings: OnsetSettings | None = None) -> None:
        self.sample_rate, self.settings = sample_rate, settings or OnsetSettings()
        if not 0 < self.settings.cutoff_hz < sample_rate / 2:
            raise ValueError(f"cutoff_hz={self.settings.cutoff_hz:g} must be below half of {sample_rate=}.")
        self._filter = _highpass(self.settings.cutoff_hz, 0.707, sample_rate)
        self.reset()

    def reset(self) -> None:
        """Forget the sound so far: the next sample is number 0."""
        from drumblender.dsp.kernels import onsets_cpu  # numba is slow to import

        self._memory = np.zeros(onsets_cpu.SIZE)
        self._memory[[onsets_cpu.FAST, onsets_cpu.SLOW]] = self.settings.floor_db
        self._memory[onsets_cpu.ARMED] = 1.0

    def process(self, block: Samples) -> list[int]:
        """The onsets in the next block, as sample numbers counted from the first block's start."""
        return self.process_with_signal(block)[0]

    def process_with_signal(self, block: Samples) -> tuple[list[int], Samples]:
        """As :meth:`process`, and the lead of the fast follower in dB, sample by sample."""
        from drumblender.dsp.kernels import onsets_cpu

        choice = self.settings
        signal, onsets = np.empty(len(block)), np.empty(len(block), dtype=np.int64)
        found = onsets_cpu.detect(
            np.ascontiguousarray(block),
            *self._filter,
            np.array(choice.fast_samples, dtype=float),
            np.array(choice.slow_samples, dtype=float),
            float(choice.on_db),
            float(choice.off_db),
            float(choice.floor_db),
            float(choice.eps),
            float(choice.wait_samples),
            choice.rearm_early,
            self._memory,
            signal,
            onsets,
        )
        return onsets[:found].tolist(), signal


def detect_onsets(audio: np.ndarray, sample_rate: int, settings: OnsetSettings | None = None) -> list[int]:
    """Sample numbers at which hits begin in a whole recording.

    Raises:
        ValueError: The audio is not mono ``(samples,)``, or holds NaN or infinity.

    Examples:
        >>> clicks = np.zeros(24000)
        >>> clicks[[6000, 18000]] = 1.0
        >>> detect_onsets(clicks, 48000)
        [6000, 18000]
    """
    _check_mono(audio)
    if not np.isfinite(audio).all():
        raise ValueError("The audio holds NaN or infinity.")
    return OnsetDetector(sample_rate, settings).process(audio)


def cut_hits(
    audio: np.ndarray,
    onsets: list[int],
    frame_size: int,
    *,
    pad_overlap: bool = True,
    overlap_buffer: int = 32,
    backtrack: int = 0,
) -> Float[np.ndarray, "hits frame_size"]:
    """Copy a frame from each onset; frames that run out of sound, or into the next hit, end in silence.

    Args:
        audio: The recording; it is not written to. As published, a hit that starts before the end of the one
            before it (``backtrack`` above ``overlap_buffer``) hears its fade.
        onsets: Sample numbers, in order.
        frame_size: Samples in a frame.
        pad_overlap: End a frame ``overlap_buffer`` samples before the next onset.
        overlap_buffer: Samples over which such a frame fades out.
        backtrack: Samples that a frame starts before its onset; below 0, after it.

    Examples:
        >>> cut_hits(np.arange(1.0, 9.0), [0, 4], frame_size=6, overlap_buffer=0)
        array([[1., 2., 3., 4., 0., 0.],
               [5., 6., 7., 8., 0., 0.]])
    """
    _check_mono(audio)
    if frame_size < 1 or overlap_buffer < 0:
        raise ValueError(f"Sizes are not negative, got {frame_size=}, {overlap_buffer=}.")
    fade = np.hanning(2 * overlap_buffer)[overlap_buffer:].astype(audio.dtype)
    audio = audio.copy()
    frames = np.zeros((len(onsets), frame_size), dtype=audio.dtype)
    following_onsets = [*onsets, math.inf][1:]
    for frame, onset, following in zip(frames, onsets, following_onsets, strict=True):
        start = max(onset - backtrack, 0)
        crowded = pad_overlap and following < start + frame_size
        stop = max(int(following) - overlap_buffer, start) if crowded else start + frame_size
        hit = audio[start:stop]
        if crowded:
            faded = min(overlap_buffer, len(hit))
            hit[len(hit) - faded :] *= fade[overlap_buffer - faded :]
        frame[: len(hit)] = hit
    return frames


def high_pass(audio: Samples, sample_rate: float, cutoff_hz: float, q: float = 0.707) -> Samples:
    """Second-order high-pass from rest, in float64.

    Examples:
        >>> offset = np.ones(4800)
        >>> bool(abs(high_pass(offset, 48000, cutoff_hz=600.0)[-1]) < 1e-6)
        True
    """
    from scipy.signal import lfilter

    return lfilter(*_highpass(cutoff_hz, q, sample_rate), audio.astype(np.float64))


def follow_envelope(
    signal: Samples, attack_samples: float, release_samples: float, initial: float = 0.0
) -> Samples:
    """Go towards the signal by a fraction of the distance a sample: 1/attack upwards, 1/release downwards.

    Examples:
        >>> follow_envelope(np.array([1.0, 1.0, 0.0, 0.0]), attack_samples=1, release_samples=2).tolist()
        [1.0, 1.0, 0.5, 0.25]
    """
    from drumblender.dsp.kernels import onsets_cpu

    out = np.empty(len(signal))
    onsets_cpu.follow(
        signal.astype(np.float64), float(attack_samples), float(release_samples), float(initial), out
    )
    return out


def _highpass(
    cutoff_hz: float, q: float, sample_rate: float
) -> tuple[Float[np.ndarray, "3"], Float[np.ndarray, "3"]]:
    freq, width = torch.tensor([[cutoff_hz], [q]], dtype=torch.float64)
    b, a = highpass_coefficients(freq, width, sample_rate)
    return b[0].numpy(), a[0].numpy()


def _check_mono(audio: np.ndarray) -> None:
    if audio.ndim != 1:
        raise ValueError(f"Onsets are found in mono sound (samples,), got shape {audio.shape}.")
