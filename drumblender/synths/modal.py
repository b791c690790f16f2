"""Sums of sinusoidal modes: followed frame by frame, or struck and left to ring."""

import torch
from jaxtyping import Float
from torch import Tensor

from drumblender.dsp.envelopes import Align, interpolate_frames
from drumblender.dsp.oscillators import damped_sines, modal_bank, quadrature_bank
from drumblender.dsp.precision import raise_half
from drumblender.dsp.units import Range, db_to_gain
from drumblender.synths.base import Synth, check_controls
from drumblender.types import Audio, Controls


class ModalSynth(Synth):
    """Plays mode tracks in straight lines from frame to frame (Shier et al., Forum Acusticum 2023).

    Controls: ``freq_rad`` in radians a sample, ``amp`` linear, and ``phase_rad`` before the first sample, of
    which only the first frame counts; without it every mode starts at 0. A control of one frame is held. No
    weights: it plays as many modes as the tracks hold. With ``quadrature``, a second linear amplitude, each
    mode also sounds a quarter turn ahead, so that its phase may move with the frames.

    Args:
        num_modes: Modes that an encoder makes.
        with_phase: ``phase_rad`` is one of its controls.
        align: Where the frames lie: ``center``, as published, or ``hop``, as centred analysis frames do.
        alias: Let modes above Nyquist fold down, as published, instead of silencing them sample by sample.
        freq_rad: Frequencies that a control ``freq`` in (0, 1) can have; None: the control is ``freq_rad``.
        phase_rad: Phases that a control ``phase`` in (0, 1) can have; None: the control is ``phase_rad``.
        quadrature: ``quadrature`` is one of its controls.

    Examples:
        >>> synth = ModalSynth(num_modes=1, with_phase=False)
        >>> quarter = {"freq_rad": torch.full((1, 1, 1), torch.pi / 2), "amp": torch.ones(1, 1, 1)}
        >>> [round(sample) for sample in synth(quarter, num_samples=8)[0].tolist()]  # a quarter of the rate
        [1, 0, -1, 0, 1, 0, -1, 0]
    """

    def __init__(
        self,
        num_modes: int,
        with_phase: bool = True,
        align: Align = "center",
        alias: bool = False,
        freq_rad: Range | None = None,
        phase_rad: Range | None = None,
        quadrature: bool = False,
    ) -> None:
        super().__init__()
        _check_modes(num_modes)
        self.linear = ("amp",)
        spans = {"freq": freq_rad} | ({"phase": phase_rad} if with_phase else {})
        self.ranges = {name: span for name, span in spans.items() if span is not None}
        self.units = dict.fromkeys(self.ranges, "rad")
        self.control_sizes = {"freq_rad" if freq_rad is None else "freq": num_modes, "amp": num_modes}
        if with_phase:
            self.control_sizes["phase_rad" if phase_rad is None else "phase"] = num_modes
        if quadrature:
            self.control_sizes["quadrature"] = num_modes
            self.linear = ("amp", "quadrature")
        self.align, self.alias = align, alias

    def forward(self, controls: Controls, num_samples: int, source: Audio | None = None) -> Audio:
        given = {name: None for name in self.control_sizes if name in controls or name != "phase_rad"}
        check_controls(type(self).__name__, controls, given)
        # Raised before a range stretches it: half precision would detune a mode.
        units = self.to_units({name: raise_half(controls[name]) for name in given})
        tracks = [units[name] for name in ("freq_rad", "amp", "quadrature") if name in units]
        num_frames = max(track.shape[1] for track in tracks)
        freq_rad, *amps = (_spread(track, num_frames, self.align) for track in tracks)
        phase_rad = units["phase_rad"].transpose(-1, -2) if "phase_rad" in units else None
        settings = {"num_samples": num_samples, "align": self.align, "alias": self.alias}
        if len(amps) == 1:
            return modal_bank(freq_rad, *amps, phase_rad, **settings)
        if phase_rad is None:
            phase_rad = torch.zeros_like(freq_rad[..., :1])
        return quadrature_bank(freq_rad, *amps, phase_rad, **settings)


def _spread(track: Tensor, num_frames: int, align: Align) -> Float[Tensor, "batch modes frames"]:
    """Tracks of fewer frames than the others, on lines between their own."""
    track = track.transpose(-1, -2)
    return track if track.shape[-1] in (1, num_frames) else interpolate_frames(track, num_frames, align=align)


class DampedModalSynth(Synth):
    """Strikes a bank of modes that ring and fade: three numbers a mode, few enough to search or to remap.

    Controls, one frame each: ``freq`` and ``t60`` in (0, 1) through their ranges, ``amp`` in (0, 1) as a
    share of ``max_amp``; or with a range ``level`` in (0, 1) instead of it, which spreads decibels.

    Args:
        num_modes: Modes in the bank.
        sample_rate: Samples per second.
        freq_hz: Frequencies that a mode can have. At or above Nyquist it is silent.
        t60_s: Times in which a mode can fall by 60 dB, above 0.
        max_amp: Linear amplitude of a mode at time 0 when its ``amp`` is 1.
        level_db: Amplitudes that ``level`` can have; None: the control is ``amp``.

    Examples:
        >>> bell = DampedModalSynth(1, 16000, freq_hz=Range(50, 5000, log=True), t60_s=Range(0.05, 4))
        >>> sound = bell(bell.from_units({"freq_hz": 440.0, "t60_s": 0.5, "amp": 0.3}), num_samples=16000)[0]
        >>> start, later = (sound[n : n + 400].abs().max() for n in (0, 8000))  # half a second apart
        >>> round(20 * torch.log10(later / start).item())
        -60
    """

    def __init__(
        self,
        num_modes: int,
        sample_rate: int,
        freq_hz: Range,
        t60_s: Range,
        max_amp: float = 1.0,
        level_db: Range | None = None,
    ) -> None:
        super().__init__()
        _check_modes(num_modes)
        if sample_rate <= 0 or t60_s.low <= 0 or max_amp <= 0:
            raise ValueError(f"Need more than 0, got {sample_rate=}, t60_s.low={t60_s.low} and {max_amp=}.")
        names = ("freq", "t60", "amp" if level_db is None else "level")
        self.control_sizes = dict.fromkeys(names, num_modes)
        self.control_frames = dict.fromkeys(self.control_sizes, 1)
        self.sample_rate = sample_rate
        self.ranges = {"freq": freq_hz, "t60": t60_s}
        self.ranges |= {"amp": Range(0, max_amp)} if level_db is None else {"level": level_db}
        self.units = {"freq": "hz", "t60": "s", "level": "db"}
        self.level_db = level_db

    def forward(self, controls: Controls, num_samples: int, source: Audio | None = None) -> Audio:
        self.check(controls)
        # Raised before a range stretches it: half precision would detune a mode.
        units = self.to_units({name: raise_half(controls[name]) for name in self.control_sizes})
        amp = units["amp"] if self.level_db is None else db_to_gain(units["level_db"])
        held = [value.squeeze(1) for value in (units["freq_hz"], units["t60_s"], amp)]
        return damped_sines(*held, num_samples=num_samples, sample_rate=self.sample_rate)


def _check_modes(num_modes: int) -> None:
    if num_modes < 1:
        raise ValueError(f"A bank needs at least 1 mode, got {num_modes=}.")
