"""A plucked string with learned loop and excitation filters (Differentiable Karplus-Strong, WASPAA 2025)."""

from typing import Literal, get_args

import torch
from jaxtyping import Float, Int
from torch import Tensor

from drumblender.dsp.all_pole import Kernel, sparse_all_pole, windowed_all_pole
from drumblender.dsp.kernels import readable
from drumblender.dsp.noise import white_noise
from drumblender.dsp.resample import kaiser_resample
from drumblender.dsp.strings import fractional_delay_taps
from drumblender.dsp.units import Range
from drumblender.dsp.windows import place_windows
from drumblender.synths.base import Synth, check_controls
from drumblender.synths.string_curves import (
    LoopCurves,
    Span,
    WindowCurves,
    loop_from_controls,
    loop_from_units,
    of_one_batch,
    units_of,
    windows_from_controls,
    windows_from_units,
)
from drumblender.synths.string_excitation import StringSignals, bursts, what_is_left
from drumblender.synths.string_pitch import PlayablePitch, Unvoiced
from drumblender.types import Audio, Controls

SHORTEST_PERIOD = 2.0
"""In samples. The spline through a leap of the pitch may dip below, even below 0."""


class StringSynth(Synth):
    """A delay line that comes back through a short filter, plucked in short windows.

    Controls: ``f0_hz``; ``loop_taps`` and ``loop_gain``, the loop filter over the sound; ``excitation_taps``
    and ``excitation_gain``, an all-pole filter over each window. Taps are shares: they are divided by their
    sum. Frames are joined by a natural cubic spline; ``f0_hz`` through its period. A further control
    ``onset_s`` ``(batch, 1, windows)`` may say for each item where its windows start; NaN leaves one out.

    Where the sound comes from is a choice:

    - ``resynthesis``: ``source`` is a recording. What the inverse loop makes of it, in the windows, goes into
      the loop again. The excitation filter and its inverse cancel: audio cannot train it, its gradient is 0.
    - ``source``: ``source`` is the excitation; the windows filter it.
    - ``burst``: a fixed burst of noise in each window, shaped by a control ``burst`` (a level for each
      window) and by the excitation filter. Needs no source, and audio trains all of it.

    Args:
        sample_rate: Samples per second of source and output.
        internal_rate: Samples per second of the string; a higher rate tunes high notes better.
        min_f0_hz: Lowest pitch; it sets the longest delay. A lower one is raised to it, counted in
            ``clamped_frames`` and logged once.
        loop_order: Loop coefficients less one, at least 1.
        loop_frames: Frames of the loop controls that a network makes.
        excitation_order: Poles of the excitation filter, at least 1.
        excitation_frames: Frames of the excitation controls that a network makes, spread over one window.
        excitation_s: Length of a window in seconds.
        onset_s: Where the windows start, in seconds.
        excitation: Where the sound comes from.
        interpolate: ``logits`` joins frames before they are squashed and shared out, so that every sample is
            as stable as the frames; ``coefficients`` joins finished coefficients and clips them to [0, 1].
        loop_gain: Sum of the loop coefficients that its control maps to, in [0, 1].
        burst_db: Level of a burst that its control maps to, in dB below full scale.
        seed: Draws the burst.
        unvoiced: A frame with a pitch of 0 or NaN is an ``error``, or must ``hold`` the one before it.
        f0_hz: Pitches that a control ``f0`` in (0, 1) can have; None: the control is ``f0_hz``.
        kernel: Who computes the recursions.

    Examples:
        >>> string = StringSynth(sample_rate=16000, excitation="burst", onset_s=(0.0,))
        >>> units = {"f0_hz": 220.0, "loop_taps": 0.5, "loop_gain": 0.98, "burst_db": -20.0}
        >>> controls = string.from_units(units | {"excitation_taps": 0.5, "excitation_gain": 0.9})
        >>> sound = string(controls, num_samples=8000)
        >>> sound.shape, bool(sound[:, :2000].std() > 10 * sound[:, 6000:].std())
        (torch.Size([1, 8000]), True)
    """

    noise: Float[Tensor, "windows window"]

    def __init__(
        self,
        sample_rate: int = 16000,
        internal_rate: int = 41000,
        min_f0_hz: float = 82.41,
        loop_order: int = 2,
        loop_frames: int = 16,
        excitation_order: int = 5,
        excitation_frames: int = 25,
        excitation_s: float = 0.025,
        onset_s: tuple[float, ...] = (0.0, 3.0),
        excitation: Literal["resynthesis", "source", "burst"] = "resynthesis",
        interpolate: Literal["logits", "coefficients"] = "logits",
        loop_gain: Range = Range(0.0, 1.0),  # noqa: B008 (frozen)
        burst_db: Range = Range(-60.0, 20.0),  # noqa: B008
        seed: int = 0,
        unvoiced: Unvoiced = "error",
        f0_hz: Range | None = None,
        kernel: Kernel = "auto",
    ) -> None:
        super().__init__()
        sizes = {"loop_order": loop_order, "loop_frames": loop_frames, "excitation_order": excitation_order}
        sizes |= {"excitation_frames": excitation_frames, "sample_rate": sample_rate}
        for name, size in sizes.items():
            if size < 1:
                raise ValueError(f"{name} is at least 1, got {size}.")
        if not 0 < min_f0_hz < internal_rate / 2:
            raise ValueError(f"min_f0_hz lies between 0 and {internal_rate / 2} Hz, got {min_f0_hz}.")
        if loop_gain.low < 0 or loop_gain.high > 1:
            raise ValueError(f"A loop gain outside of 0 to 1 grows without end, got {loop_gain}.")
        self.window = int(excitation_s * internal_rate)
        if self.window < 1 or not onset_s:
            raise ValueError(f"The excitation is empty: {excitation_s=} at {internal_rate} Hz, {onset_s=}.")
        self.sample_rate, self.internal_rate, self.min_f0_hz = sample_rate, internal_rate, min_f0_hz
        self.max_delay = int(internal_rate // min_f0_hz)
        self.onset_s = tuple(onset_s)
        self.excitation, self.interpolate = excitation, interpolate
        self.loop_gain, self.burst_db = loop_gain, burst_db
        if kernel not in get_args(Kernel):
            raise ValueError(f"kernel is one of {', '.join(get_args(Kernel))}, got {kernel!r}.")
        self.kernel: Kernel = kernel
        self.pitch = PlayablePitch(min_f0_hz, internal_rate / 2, unvoiced)
        self.needs_source = excitation != "burst"
        self.control_sizes = {"f0_hz" if f0_hz is None else "f0": 1}
        self.control_sizes |= {"loop_taps": loop_order + 1, "loop_gain": 1}
        self.control_sizes |= {"excitation_taps": excitation_order, "excitation_gain": 1}
        self.control_frames = {"loop_taps": loop_frames, "loop_gain": loop_frames}
        self.control_frames |= dict.fromkeys(("excitation_taps", "excitation_gain"), excitation_frames)
        self.ranges = {"loop_gain": loop_gain} | ({} if f0_hz is None else {"f0": f0_hz})
        self.units = {"f0": "hz", "burst": "db"}
        if excitation == "burst":
            self.ranges["burst"] = burst_db
            self.control_sizes["burst"] = len(self.onset_s)
            self.control_frames["burst"] = excitation_frames
            noise = white_noise(
                (len(self.onset_s), self.window), generator=torch.Generator().manual_seed(seed)
            )
            self.register_buffer("noise", noise, persistent=False)

    @property
    def clamped_frames(self) -> int:
        """Frames whose pitch was too low so far."""
        return self.pitch.clamped_frames

    def forward(self, controls: Controls, num_samples: int, source: Audio | None = None) -> Audio:
        """Render; the result has the type of ``source``, or of ``f0_hz`` where there is none.

        Args:
            controls: A tensor ``(batch, frames, size)`` for every name; a batch of 1 serves every item.
            num_samples: Length of the sound; the frames are spread over it.
            source: What ``excitation`` says; cut, or continued with silence, to ``num_samples``.

        Raises:
            ValueError: A control is missing or has a wrong size; a pitch is 0, NaN or above the internal
                Nyquist frequency; the source is missing.
        """
        return self.play(controls, num_samples, source).audio

    def play(
        self,
        controls: Controls,
        num_samples: int,
        source: Audio | None = None,
        *,
        with_residual: bool = False,
    ) -> StringSignals:
        """What :meth:`forward` renders, with the signals inside.

        Args:
            controls, num_samples, source: As there.
            with_residual: Also take the excitation filter out of what the inverse loop leaves of a recording.
        """
        if self.interpolate == "coefficients":
            return self.play_coefficients(self.coefficients(controls), num_samples, source)
        dtype = _audio_dtype(controls, source)
        controls = self.in_hz(controls, source)
        if self.excitation == "resynthesis":
            # A gradient of 0, not of None: distributed training waits for every parameter.
            unheard = controls["excitation_taps"].sum() + controls["excitation_gain"].sum()
            controls["loop_gain"] = controls["loop_gain"] + 0 * unheard
        period, span = self.internal_rate / controls["f0_hz"], self._span(num_samples)
        loop = loop_from_controls(controls, period, span, self.loop_gain)
        windows = windows_from_controls(controls, self.window, self.burst_db)
        return self._play(loop, windows, self.starts(controls), num_samples, source, dtype, with_residual)

    def play_coefficients(
        self, units: Controls, num_samples: int, source: Audio | None = None
    ) -> StringSignals:
        """Play finished :meth:`coefficients`; in between they are clipped to [0, 1].

        Raises:
            ValueError: As :meth:`forward`, or a loop gain is 1 or more.
        """
        sizes = {"f0_hz": 1, "loop_coefficients": self.control_sizes["loop_taps"], "loop_gain": 1}
        sizes["excitation_coefficients"] = self.control_sizes["excitation_taps"]
        if "burst" in self.control_sizes:
            sizes["burst_db"] = self.control_sizes["burst"]
        dtype = _audio_dtype(units, source)
        units = self.checked(units, sizes, source)
        if self.excitation == "resynthesis":
            units["loop_gain"] = units["loop_gain"] + 0 * units["excitation_coefficients"].sum()
        highest = 0.0 if not readable(units["loop_gain"]) else units["loop_gain"].max().item()
        if not highest < 1:
            raise ValueError(f"A loop gain of {highest:.6g} never fades; keep it below 1.")
        loop = loop_from_units(units, self.internal_rate / units["f0_hz"], self._span(num_samples))
        windows = windows_from_units(units, self.window)
        return self._play(loop, windows, self.starts(units), num_samples, source, dtype)

    def coefficients(self, controls: Controls) -> Controls:
        """Of the filters, at the frames; ``loop_coefficients`` sum to 1 and are multiplied by ``loop_gain``.

        Between frames, the logits follow another curve than these do.
        """
        return units_of(self._pitched(controls), self.loop_gain, self.burst_db)

    def in_hz(self, controls: Controls, source: Audio | None = None) -> Controls:
        """The controls, checked, of one batch with the source, and with their pitch as ``f0_hz``.

        Raises:
            ValueError: As :meth:`forward`.
        """
        sizes = {name: size for name, size in self.control_sizes.items() if name != "f0"} | {"f0_hz": 1}
        return self.checked(self._pitched(controls), sizes, source)

    def _pitched(self, controls: Controls) -> Controls:
        """The controls with their pitch in Hz."""
        if "f0" not in self.control_sizes or "f0" not in controls:
            return controls
        return controls | {"f0_hz": self.ranges["f0"].denormalize(controls["f0"])}

    def _span(self, num_samples: int) -> Span:
        if num_samples < 1:
            raise ValueError(f"A sound has at least 1 sample, got {num_samples=}.")
        internal = -(-num_samples * self.internal_rate // self.sample_rate)
        return Span(internal, 0, internal)

    def _play(
        self,
        loop: LoopCurves,
        windows: WindowCurves,
        starts: list[int] | Tensor,
        num_samples: int,
        source: Audio | None,
        dtype: torch.dtype,
        with_residual: bool = False,
    ) -> StringSignals:
        lag, taps = fractional_delay_taps(*loop, self.max_delay, SHORTEST_PERIOD)
        residual = None
        if self.excitation == "burst":
            plucks = bursts(self.noise, windows, self.kernel)
            excitation = place_windows(plucks, starts, lag.shape[1])
        else:
            if source.shape[1] != num_samples:
                source = torch.nn.functional.pad(source, (0, num_samples - source.shape[1]))
            heard = kaiser_resample(source, self.sample_rate, self.internal_rate, dtype=taps.dtype)
            if self.excitation == "source":
                excitation = windowed_all_pole(heard, windows.poles, starts, kernel=self.kernel)
            else:
                excitation, residual = what_is_left(heard, lag, taps, windows, starts, with_residual)
        ringing = sparse_all_pole(excitation, lag, taps, kernel=self.kernel)
        outer = {"num_samples": num_samples, "dtype": dtype}
        audio = kaiser_resample(ringing, self.internal_rate, self.sample_rate, **outer)
        return StringSignals(audio, excitation, residual)

    def checked(self, controls: Controls, sizes: dict[str, int], source: Audio | None) -> Controls:
        """The controls in the working type, for every item, their pitch playable."""
        if self.needs_source and source is None:
            raise ValueError(
                f"A string with excitation={self.excitation!r} needs a source; 'burst' plays without one."
            )
        check_controls("StringSynth", controls, sizes)
        wanted = {name: controls[name] for name in (*sizes, "onset_s") if name in controls}
        full = of_one_batch(wanted, source if self.needs_source else None)
        return full | {"f0_hz": self.pitch(full["f0_hz"])}

    def starts(self, controls: Controls) -> list[int] | Int[Tensor, "batch windows"]:
        """First samples of the windows at the internal rate; one that is NaN lies past every end."""
        if "onset_s" not in controls:
            return [round(start * self.internal_rate) for start in self.onset_s]
        starts = (controls["onset_s"][:, 0] * self.internal_rate).round()
        return torch.where(starts.isfinite(), starts, 2**40).long()


def _audio_dtype(controls: Controls, source: Audio | None) -> torch.dtype:
    """That of the source, or of the controls, and no half precision."""
    given = source if source is not None else next(iter(controls.values()), torch.empty(0))
    return torch.promote_types(given.dtype, torch.float32)
