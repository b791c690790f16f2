"""A tone: harmonics of one fundamental, each with a level of its own."""

import math

import torch

from drumblender.dsp.envelopes import Upsampling
from drumblender.dsp.harmonics import harmonic_bank
from drumblender.dsp.precision import raise_half
from drumblender.dsp.units import Range, db_to_gain
from drumblender.dsp.zero_phase import slope_response, zero_phase_filter
from drumblender.synths.base import Synth
from drumblender.types import Audio, Controls


class HarmonicSynth(Synth):
    """Plays sines at whole multiples of a fundamental, silent above Nyquist (Engel et al., ICLR 2020).

    Controls: the fundamental as ``f0_hz`` in Hz, or with a range as ``f0`` in (0, 1); the harmonics as
    ``amp``, linear and of any sign, or with a range as ``level`` in (0, 1), which spreads decibels. Each has
    a number of frames of its own. No weights.

    Args:
        num_harmonics: Harmonics, the fundamental included.
        sample_rate: Samples per second.
        f0_hz: Fundamentals that ``f0`` can have; None: the control is ``f0_hz``.
        level_db: Levels that ``level`` can have; None: the control is ``amp``.
        f0_upsampling: How frames of the fundamental become samples.
        amp_upsampling: How frames of the amplitudes do.
        roll_off_db: Low-pass of so many decibels an octave above 500 Hz, as one published configuration has
            it (6 dB); 0: none.
        roll_off_delay: Samples by which that filter delays; 2 as published.
        fade: A harmonic on its way to Nyquist fades from the last frame below it, as in Torres et al. (ICASSP
            2024), instead of stopping at the sample that reaches it.

    Examples:
        >>> import torch
        >>> synth = HarmonicSynth(num_harmonics=3, sample_rate=16000)
        >>> f0_hz, amp = torch.full((1, 1, 1), 3000.0), torch.ones(1, 1, 3)
        >>> two = synth({"f0_hz": f0_hz, "amp": amp * torch.tensor([1.0, 1.0, 0.0])}, num_samples=1000)
        >>> three = synth({"f0_hz": f0_hz, "amp": amp}, num_samples=1000)
        >>> torch.allclose(three, two)  # the third, at 9 kHz, is above Nyquist
        True
    """

    def __init__(
        self,
        num_harmonics: int = 100,
        sample_rate: int = 16000,
        f0_hz: Range | None = None,
        level_db: Range | None = None,
        f0_upsampling: Upsampling = "ends",
        amp_upsampling: Upsampling = "ends",
        fade: bool = False,
        roll_off_db: float = 0.0,
        roll_off_delay: int = 2,
    ) -> None:
        super().__init__()
        if not 0 <= roll_off_db < math.inf or roll_off_delay < 0:
            raise ValueError(f"Need 0 or more, got {roll_off_db=} and {roll_off_delay=}.")
        if num_harmonics < 1 or sample_rate < 1:
            raise ValueError(f"Need at least 1, got {num_harmonics=} and {sample_rate=}.")
        self.control_sizes = {
            "f0_hz" if f0_hz is None else "f0": 1,
            "amp" if level_db is None else "level": num_harmonics,
        }
        self.sample_rate = sample_rate
        self.f0_hz, self.level_db = f0_hz, level_db
        named = {"f0": (f0_hz, "hz"), "level": (level_db, "db")}
        self.ranges = {name: span for name, (span, _) in named.items() if span is not None}
        self.units = {name: named[name][1] for name in self.ranges}
        self.linear = () if level_db is not None else ("amp",)
        self.f0_upsampling: Upsampling = f0_upsampling
        self.amp_upsampling: Upsampling = amp_upsampling
        self.fade = fade
        self.roll_off_db, self.roll_off_delay = roll_off_db, roll_off_delay

    def forward(self, controls: Controls, num_samples: int, source: Audio | None = None) -> Audio:
        self.check(controls)
        # Raised before a range stretches it: half precision would detune a tone.
        units = self.to_units({name: raise_half(controls[name]) for name in self.control_sizes})
        audio = harmonic_bank(
            units["f0_hz"].squeeze(2),
            units["amp"] if self.level_db is None else db_to_gain(units["level_db"]),
            num_samples=num_samples,
            sample_rate=self.sample_rate,
            f0_upsampling=self.f0_upsampling,
            amp_upsampling=self.amp_upsampling,
            fade=self.fade,
        )
        if not self.roll_off_db:
            return audio
        decay_db = torch.full((), self.roll_off_db, device=audio.device)  # not copied there
        response = slope_response(decay_db, sample_rate=self.sample_rate).to(audio)
        magnitudes = response.expand(len(audio), 1, -1)
        return zero_phase_filter(audio, magnitudes, delay_samples=self.roll_off_delay)
