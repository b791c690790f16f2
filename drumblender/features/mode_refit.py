"""Modes whose sound lies on the waveform of the recording, not only near its spectrum."""

from collections.abc import Sequence
from typing import Literal

import torch
from jaxtyping import Float
from torch import Tensor, nn

from drumblender.dsp.cqt import CQTSettings
from drumblender.dsp.mode_fit import fit_quadrature, match_amplitudes
from drumblender.dsp.oscillators import quadrature_bank
from drumblender.dsp.units import hz_to_rad
from drumblender.features.modes import CQTModalAnalysis, NoModesError
from drumblender.types import Audio

Modes = Float[Tensor, "batch modes frames"]


class RefittedModes(nn.Module):
    """Refits the amplitudes of an analysis to the recording, so that the difference of the two is a residual.

    The published tracks are out of phase with what they were found in, so that recording less modes is louder
    than the recording. Here the strongest modes get two amplitudes each, of a sine and of a cosine, by ridge
    regression on the first part of the waveform: a fit, not a prediction. Where the sound is rather noise
    than tone (a cymbal) the fit would only chase the noise; there the amplitudes are scaled to the band
    levels of the recording instead, which keeps steady partials.

    The tracks lie on the hop: play them with ``align="hop"``.

    Args:
        analysis: Finds the modes. Best with ``first_frame="split"``, ``skip_empty_frames=False``,
            ``match_phases=True``, ``phase_reference="sine"`` and ``hold_last_frequency=True``.
        method: ``refit``, ``match`` the amplitudes to the band levels, or the ``better`` of the two: the
            refit where it explains the waveform.
        refit_modes: How many modes are refitted, strongest first.
        refit_s: How much of the recording is fitted, in seconds; later the last gains are held.
        knots: Frames after the onset between which the gains go in straight lines.
        ridge: Weight of the gains' squares, in shares of a mean column's energy.
        min_snr_db: What the refit must explain of its part of the waveform to be the better one.
        num_bands, n_fft, low_hz, high_hz: Bands in which amplitudes are matched; ``high_hz`` is 96 % of
            Nyquist by default.

    Raises:
        ValueError: An unknown method or a number out of range.
    """

    def __init__(
        self,
        analysis: CQTModalAnalysis,
        method: Literal["better", "refit", "match"] = "better",
        refit_modes: int = 32,
        refit_s: float = 0.5,
        knots: Sequence[int] = (0, 1, 2, 3, 4, 6, 8, 12, 16, 24, 38, 60, 90),
        ridge: float = 1e-3,
        min_snr_db: float = 3.0,
        num_bands: int = 64,
        n_fft: int = 1024,
        low_hz: float = 40.0,
        high_hz: float | None = None,
    ) -> None:
        super().__init__()
        if method not in ("better", "refit", "match"):
            raise ValueError(f"method is 'better', 'refit' or 'match', got {method!r}.")
        if refit_modes < 1 or refit_s <= 0 or ridge <= 0:
            raise ValueError(f"Need more than 0, got {refit_modes=}, {refit_s=}, {ridge=}.")
        self.analysis, self.method = analysis, method
        self.refit_modes, self.refit_s, self.ridge = refit_modes, refit_s, ridge
        self.knots, self.min_snr_db = list(knots), min_snr_db
        rate = self.settings.sample_rate
        self.bands = {
            "n_fft": n_fft,
            "hop_length": self.settings.hop_length,
            "num_bands": num_bands,
            "low_hz": low_hz,
            "high_hz": 0.48 * rate if high_hz is None else high_hz,
        }

    @property
    def settings(self) -> CQTSettings:
        """Of the transform beneath."""
        return self.analysis.settings

    @property
    def num_modes(self) -> int | None:
        """Modes kept of a sound; None: all."""
        return self.analysis.num_modes

    @torch.no_grad()
    def forward(self, audio: Audio) -> tuple[Modes, Modes, Modes, Modes]:
        """Find the modes and refit them, sound by sound.

        Returns:
            Frequencies in Hz, linear amplitudes of the sines, phases in rad, amplitudes of the cosines: what
            a :class:`~drumblender.synths.ModalSynth` with ``quadrature`` plays.

        Raises:
            NoModesError: A sound is silent. One that is all noise has a mode that is silent.
            RuntimeError: The sounds of the batch have different numbers of modes.
            ValueError: As the analysis.
        """
        freq_hz, amp, phase_rad = self._found(audio)
        sounds = [
            self._refit(*(part[item : item + 1] for part in (audio, freq_hz, amp, phase_rad)))
            for item in range(len(audio))
        ]
        in_phase, quadrature = (torch.cat(part) for part in zip(*sounds, strict=True))
        return freq_hz, in_phase, phase_rad, quadrature

    def _found(self, audio: Audio) -> tuple[Modes, Modes, Modes]:
        try:
            return self.analysis(audio)
        except NoModesError:
            if len(audio) > 1 or not audio.any():
                raise
            silent = torch.zeros(1, 1, self.settings.num_frames(audio.shape[-1]), device=audio.device)
            return silent, silent.clone(), silent.clone()

    def _refit(self, audio: Audio, freq_hz: Modes, amp: Modes, phase_rad: Modes) -> tuple[Modes, Modes]:
        if not amp.any():
            return amp, torch.zeros_like(amp)
        rate = self.settings.sample_rate
        freq_rad = hz_to_rad(freq_hz, rate)
        if self.method != "match":
            fitted = fit_quadrature(
                audio,
                freq_rad,
                amp,
                phase_rad,
                onset=self._onset(audio),
                num_samples=round(self.refit_s * rate),
                num_modes=self.refit_modes,
                knots=tuple(self.knots),
                ridge=self.ridge,
            )
            if (
                self.method == "refit"
                or self._explained_db(audio, freq_rad, phase_rad, *fitted) > self.min_snr_db
            ):
                return fitted
        matched = match_amplitudes(audio, freq_rad, amp, phase_rad, bands=self.bands, sample_rate=round(rate))
        return matched, torch.zeros_like(matched)

    def _onset(self, audio: Audio) -> int:
        """The frame before the sound rises to 40 dB under its peak."""
        loud = audio[0].abs() > 0.01 * audio.abs().max()
        return int(loud.nonzero()[0]) // self.settings.hop_length if loud.any() else 0

    def _explained_db(
        self, audio: Audio, freq_rad: Modes, phase_rad: Modes, in_phase: Modes, quadrature: Modes
    ) -> float:
        stem = quadrature_bank(
            freq_rad, in_phase, quadrature, phase_rad[..., :1], num_samples=audio.shape[-1], align="hop"
        )
        part = slice(0, round(self.refit_s * self.settings.sample_rate))
        left = (audio - stem)[:, part].square().sum().clamp(min=1e-20)
        return float(10 * torch.log10(audio[:, part].square().sum() / left))
