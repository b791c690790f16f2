"""Sinusoidal modes of a drum sound: peaks of a constant-Q spectrum, tracked over time."""

import math
from typing import Literal, get_args

import torch
from jaxtyping import Complex, Float
from torch import Tensor, nn
from torch.nn import functional as F

from drumblender.dsp.cqt import Backend, CQTSettings, cqt
from drumblender.dsp.peaks import ModeTracks, spectral_peaks, track_modes
from drumblender.types import Audio

Modes = Float[Tensor, "batch modes frames"]


class NoModesError(RuntimeError):
    """The sound holds no mode: it is silent, or all of its tracks are too short.

    Examples:
        >>> CQTModalAnalysis(16000)(torch.zeros(1, 16000))
        Traceback (most recent call last):
            ...
        drumblender.features.modes.NoModesError: No mode of at least 4 frames rises above -80 dB: ...
    """


class CQTModalAnalysis(nn.Module):
    """Analyses recordings into modes (Shier et al., Forum Acusticum 2023).

    Frame ``t`` belongs to sample ``t * hop_length``. Where a mode is silent, its amplitude is 0 and it holds
    frequency and phase; after its end it reads ``fmin`` and 0. The defaults of the options are what the
    published features were made with: each names an oddity of theirs that another value removes.

    Frames near either end hear the reflected sound: the phase of frame 0 is near 0 or pi for
    ``pad_mode="reflect"``, whatever the phase of the sound.

    Args:
        sample_rate: Samples per second.
        hop_length: Samples from a frame to the next.
        fmin: Frequency of the lowest bin, in Hz.
        n_bins: Bins, up from ``fmin``.
        bins_per_octave: Bins in an octave.
        min_length: Frames that a track must have.
        num_modes: Keep this many of the loudest modes (by summed amplitude), loudest first, or fewer if there
            are fewer. None keeps all, in order of discovery: from the end of the sound.
        threshold: Level that a peak must exceed, in dB; a sine of amplitude 1 is at 0 dB.
        diff_threshold: How far a mode may move between frames, in percent of ``diff_unit``.
        diff_unit: "bins" takes the percentage of the number of the bin, so that high modes may jump by many
            semitones; "hz" takes it of the frequency.
        first_frame: "join" makes one track of all peaks of the last frame that has any, "split" one of each.
        skip_empty_frames: Drop frames without peaks, so that a sound after silence comes too early.
        match_phases: Give every peak its own phase, rather than a neighbour's.
        phase_reference: "cosine", or "sine" for a synth that plays sines (a quarter turn more).
        hold_last_frequency: Hold the last frequency of a mode after its end, rather than ``fmin``.
        short: What to do with sounds shorter than ``min_samples``: "error", or "pad" for silence after them.
        pad_mode, norm, window, filter_scale: Of the transform, see :class:`~drumblender.dsp.cqt.CQTSettings`.
        backend: Who computes the transform, see :func:`~drumblender.dsp.cqt.cqt`.

    Raises:
        ValueError: A number or a name is out of range, or the top bin passes Nyquist.

    Examples:
        >>> tone = torch.sin(2 * torch.pi * 440 / 16000 * torch.arange(8000))[None]
        >>> freq_hz, amp, phase_rad = CQTModalAnalysis(16000, fmin=110, n_bins=48, num_modes=1)(tone)
        >>> freq_hz.shape, round(freq_hz[0, 0, 62].item(), -1), round(amp[0, 0, 62].item(), 1)
        (torch.Size([1, 1, 126]), 440.0, 1.0)
    """

    def __init__(
        self,
        sample_rate: float,
        hop_length: int = 64,
        fmin: float = 24.0,
        n_bins: int = 96,
        bins_per_octave: int = 12,
        min_length: int = 4,
        num_modes: int | None = None,
        threshold: float = -80.0,
        diff_threshold: float = 2.5,
        diff_unit: Literal["bins", "hz"] = "bins",
        first_frame: Literal["join", "split"] = "join",
        skip_empty_frames: bool = True,
        match_phases: bool = False,
        phase_reference: Literal["cosine", "sine"] = "cosine",
        hold_last_frequency: bool = False,
        short: Literal["error", "pad"] = "error",
        pad_mode: Literal["reflect", "constant"] = "reflect",
        norm: Literal[1, 2] | None = 1,
        window: str = "hann",
        filter_scale: float = 1.0,
        backend: Backend = "own",
    ) -> None:
        super().__init__()
        self.settings = CQTSettings(
            sample_rate=sample_rate,
            hop_length=hop_length,
            fmin_hz=fmin,
            n_bins=n_bins,
            bins_per_octave=bins_per_octave,
            filter_scale=filter_scale,
            window=window,
            norm=norm,
            pad_mode=pad_mode,
        )
        choices = {
            "diff_unit": (diff_unit, ("bins", "hz")),
            "first_frame": (first_frame, ("join", "split")),
            "phase_reference": (phase_reference, ("cosine", "sine")),
            "short": (short, ("error", "pad")),
        }
        for name, (value, allowed) in choices.items():
            if value not in allowed:
                raise ValueError(f"{name} must be one of {allowed}, got {value!r}.")
        if min_length < 1 or (num_modes is not None and num_modes < 1) or not diff_threshold > 0:
            raise ValueError(
                f"min_length and num_modes must be at least 1 and diff_threshold above 0, "
                f"got {min_length=}, {num_modes=}, {diff_threshold=}."
            )
        if backend not in get_args(Backend):
            raise ValueError(f"backend is one of {', '.join(get_args(Backend))}, got {backend!r}.")
        self.backend: Backend = backend
        self.min_length, self.num_modes = min_length, num_modes
        self.threshold, self.diff_threshold, self.diff_unit = threshold, diff_threshold, diff_unit
        self.first_frame, self.skip_empty_frames = first_frame, skip_empty_frames
        self.match_phases, self.phase_reference = match_phases, phase_reference
        self.hold_last_frequency, self.short = hold_last_frequency, short

    @property
    def min_samples(self) -> int:
        """Samples that the analysis needs without ``short="pad"``."""
        return self.settings.min_samples

    def num_frames(self, num_samples: int) -> int:
        """Frames of a sound."""
        return self.settings.num_frames(num_samples)

    def frequencies(self) -> Float[Tensor, "bins"]:
        """Centre of each bin, in Hz."""
        return torch.from_numpy(self.settings.freqs_hz)

    def spectrogram(self, audio: Audio) -> Complex[Tensor, "batch bins frames"]:
        """The transform, differentiable. A sine in a bin's centre reads its amplitude.

        Raises:
            ValueError: The audio is too short, and ``short`` is "error".
        """
        missing = self.min_samples - audio.shape[-1]
        if self.short == "error" or missing <= 0:
            return cqt(audio, self.settings, self.backend)
        return cqt(F.pad(audio, (0, missing)), self.settings, self.backend)[
            ..., : self.num_frames(audio.shape[-1])
        ]

    @torch.no_grad()
    def forward(self, audio: Audio) -> tuple[Modes, Modes, Modes]:
        """Find the modes.

        A sound gives the same modes in any batch: each is analysed alone. All must have equally many.

        Returns:
            Frequencies in Hz, linear amplitudes, phases in rad; float32.

        Raises:
            NoModesError: A sound holds no mode.
            RuntimeError: The sounds of the batch have different numbers of modes.
            ValueError: The audio is too short, or holds NaN or infinite samples.
        """
        if not audio.isfinite().all():
            raise ValueError("The audio holds NaN or infinite samples.")
        modes = [self._analyse(audio[item : item + 1]) for item in range(len(audio))]
        counts = [len(freq) for freq, _, _ in modes]
        if len(set(counts)) > 1:
            raise RuntimeError(
                f"The sounds of the batch have {counts} modes: analyse them one by one, or ask for "
                f"at most {min(counts)} with num_modes."
            )
        freqs, amps, phases = (torch.stack(part).to(audio.device) for part in zip(*modes, strict=True))
        return freqs, amps, phases

    def _analyse(self, audio: Audio) -> tuple[Tensor, Tensor, Tensor]:
        spectrum = self.spectrogram(audio)[0].cpu()
        peaks = spectral_peaks(spectrum, self.threshold)
        tracks = track_modes(
            peaks,
            diff_threshold=self.diff_threshold,
            position=self._to_hz(peaks.location) if self.diff_unit == "hz" else None,
            first_frame=self.first_frame,
            skip_empty_frames=self.skip_empty_frames,
            match_phases=self.match_phases,
        )
        return self._to_tensors(tracks, num_frames=spectrum.shape[-1])

    def _to_hz(self, location: Tensor) -> Tensor:
        return self.settings.fmin_hz * torch.exp2(location / self.settings.bins_per_octave)

    def _to_tensors(self, tracks: ModeTracks, num_frames: int) -> tuple[Tensor, Tensor, Tensor]:
        """The tracks that are kept, each ``(modes, frames)``: frequency in Hz, amplitude, phase."""
        kept = (tracks.length >= self.min_length).nonzero()[:, 0]
        if len(kept) == 0:
            raise NoModesError(
                f"No mode of at least {self.min_length} frames rises above {self.threshold:g} dB: "
                "the sound is silent or too short."
            )
        if self.num_modes is not None:
            loudness = tracks.amp[kept, :num_frames].sum(dim=-1)
            kept = kept[loudness.argsort(descending=True, stable=True)[: self.num_modes]]
        location, amp, phase = (
            F.pad(values[kept], (0, num_frames - values.shape[-1]))  # a negative amount cuts
            for values in (tracks.location, tracks.amp, tracks.phase)
        )
        used = torch.arange(num_frames) < tracks.length[kept, None]
        if self.hold_last_frequency:
            last = tracks.length[kept, None].clamp(max=num_frames) - 1
            location = torch.where(used, location, location.gather(-1, last))
        if self.phase_reference == "sine":
            turned = torch.remainder(phase + 1.5 * math.pi, 2 * math.pi) - math.pi
            phase = torch.where(used, turned, phase)
        return self._to_hz(location).float(), amp.float(), phase.float()
