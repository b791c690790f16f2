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
_Any = Float[Tensor, "batch found frames"]
Found = tuple[_Any, _Any, _Any]
Fitted = tuple[Modes, Modes, Modes, Modes]


class RefittedModes(nn.Module):
    """Refits the amplitudes of an analysis to the recording, so that the difference of the two is a residual.

    The published tracks are out of phase with what they were found in, so that recording less modes is louder
    than the recording. Here the strongest modes get two amplitudes each, of a sine and of a cosine, by ridge
    regression on the first part of the waveform: a fit, not a prediction. Where the sound is rather noise
    than tone (a cymbal) the fit would only chase the noise; there the amplitudes are scaled to the band
    levels of the recording instead, which keeps steady partials.

    With several ``passes`` the modes are not all taken from the recording: each further pass looks in what
    those before leave of its waveform, where modes come to light that louder neighbours hid.

    The tracks lie on the hop: play them with ``align="hop"``.

    Args:
        analysis: Finds the modes. Best with ``first_frame="split"``, ``skip_empty_frames=False``,
            ``match_phases=True``, ``phase_reference="sine"`` and ``hold_last_frequency=True``.
        method: ``refit``, ``match`` the amplitudes to the band levels, or the ``better`` of the two: the
            refit where it explains the waveform.
        refit_modes: How many modes are refitted, strongest first.
        passes: In how many passes the modes are looked for; each finds an equal share.
        refit_s: How much of the recording is fitted, in seconds; later the last gains are held.
        knots: Frames after the onset between which the gains go in straight lines.
        ridge: Weight of the gains' squares, in shares of a mean column's energy.
        min_snr_db: What the refit must explain of its part of the waveform to be the better one.
        num_bands, n_fft, low_hz, high_hz: Bands in which amplitudes are matched; ``high_hz`` is 96 % of
            Nyquist by default.

    Raises:
        ValueError: An unknown method or a number out of range.

    Examples:
        >>> import torch
        >>> settings = {"match_phases": True, "phase_reference": "sine", "hold_last_frequency": True}
        >>> analysis = CQTModalAnalysis(16000, fmin=110, n_bins=48, num_modes=1, **settings)
        >>> tone = torch.sin(2 * torch.pi * 440 / 16000 * torch.arange(8000))[None]
        >>> freq_hz, sines, phase_rad, cosines = RefittedModes(analysis)(tone)
        >>> cosines.shape == sines.shape == freq_hz.shape
        True
    """

    def __init__(
        self,
        analysis: CQTModalAnalysis,
        method: Literal["better", "refit", "match"] = "better",
        refit_modes: int = 32,
        passes: int = 1,
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
        if min(refit_modes, passes) < 1 or refit_s <= 0 or ridge <= 0:
            raise ValueError(f"Need more than 0, got {refit_modes=}, {passes=}, {refit_s=}, {ridge=}.")
        if passes > 1 and (analysis.num_modes or 0) < passes:
            raise ValueError(
                f"{passes} passes share the modes of the analysis, got num_modes={analysis.num_modes}."
            )
        self.analysis, self.method = analysis, method
        self.refit_modes, self.passes, self.refit_s, self.ridge = refit_modes, passes, refit_s, ridge
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
    def forward(self, audio: Audio) -> Fitted:
        """Find the modes and refit them, sound by sound.

        Returns:
            Frequencies in Hz, linear amplitudes of the sines, phases in rad, amplitudes of the cosines: what
            a :class:`~drumblender.synths.ModalSynth` with ``quadrature`` plays.

        Raises:
            NoModesError: A sound is silent. One that is all noise has a mode that is silent.
            RuntimeError: The sounds of the batch have different numbers of modes.
            ValueError: As the analysis.
        """
        sounds = [self._analyse(audio[item : item + 1]) for item in range(len(audio))]
        counts = [modes[0].shape[1] for modes in sounds]
        if len(set(counts)) > 1:
            raise RuntimeError(f"The sounds of the batch have {counts} modes: analyse them one by one.")
        return tuple(torch.cat(part) for part in zip(*sounds, strict=True))

    def _analyse(self, audio: Audio) -> Fitted:
        found = self._found(audio)
        if not found[1].any():
            return *found, torch.zeros_like(found[1])
        if self.method != "match":
            fitted = self._fit(audio, found)
            if self.method == "refit" or self._explained_db(audio, fitted) > self.min_snr_db:
                return fitted
        freq_hz, amp, phase_rad = found
        rate = self.settings.sample_rate
        matched = match_amplitudes(
            audio,
            hz_to_rad(freq_hz, rate),
            amp,
            phase_rad,
            bands=self.bands,
            sample_rate=round(rate),
        )
        return freq_hz, matched, phase_rad, torch.zeros_like(matched)

    def _found(self, audio: Audio) -> Found:
        try:
            return self.analysis(audio)
        except NoModesError:
            if not audio.any():
                raise
            silent = torch.zeros(1, 1, self.settings.num_frames(audio.shape[-1]), device=audio.device)
            return silent, silent.clone(), silent.clone()

    def _fit(self, audio: Audio, found: Found) -> Fitted:
        """Refit the modes, pass by pass; the analysis gives the loudest first."""
        if self.passes == 1:
            return self._fitted(audio, found)
        share = self.num_modes // self.passes
        modes: Found = tuple(part[:, :share] for part in found)
        for number in range(2, self.passes + 1):
            rest = self._rest(audio, self._fitted(audio, modes))
            try:
                more = self.analysis(rest)
            except NoModesError:
                break
            count = share if number < self.passes else self.num_modes - modes[0].shape[1]
            modes = tuple(
                torch.cat([old, new[:, :count]], dim=1) for old, new in zip(modes, more, strict=True)
            )
        return self._fitted(audio, modes)

    def _rest(self, audio: Audio, fitted: Fitted) -> Audio:
        """What is left of the part that was fitted, faded out: behind it the phases have drifted apart."""
        size = round(self.refit_s * self.settings.sample_rate)
        fade = (5 - 5 * torch.arange(audio.shape[-1], device=audio.device) / size).clamp(0, 1)
        return (audio - self._play(fitted, audio.shape[-1])) * fade

    def _fitted(self, audio: Audio, found: Found) -> Fitted:
        freq_hz, amp, phase_rad = found
        rate = self.settings.sample_rate
        in_phase, quadrature = fit_quadrature(
            audio,
            hz_to_rad(freq_hz, rate),
            amp,
            phase_rad,
            onset=self._onset(audio),
            num_samples=round(self.refit_s * rate),
            num_modes=self.refit_modes,
            knots=tuple(self.knots),
            ridge=self.ridge,
        )
        return freq_hz, in_phase, phase_rad, quadrature

    def _onset(self, audio: Audio) -> int:
        """The frame before the sound rises to 40 dB under its peak."""
        loud = audio[0].abs() > 0.01 * audio.abs().max()
        return int(loud.nonzero()[0]) // self.settings.hop_length if loud.any() else 0

    def _play(self, fitted: Fitted, num_samples: int) -> Audio:
        freq_hz, in_phase, phase_rad, quadrature = fitted
        freq_rad = hz_to_rad(freq_hz, self.settings.sample_rate)
        start_rad = phase_rad[..., :1]
        return quadrature_bank(
            freq_rad, in_phase, quadrature, start_rad, num_samples=num_samples, align="hop"
        )

    def _explained_db(self, audio: Audio, fitted: Fitted) -> float:
        part = slice(0, round(self.refit_s * self.settings.sample_rate))
        left = audio - self._play(fitted, audio.shape[-1])
        left = left[:, part].square().sum().clamp(min=1e-20)
        return float(10 * torch.log10(audio[:, part].square().sum() / left))
