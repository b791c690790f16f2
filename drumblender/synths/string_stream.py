"""A string played live, block by block."""

import torch
from jaxtyping import Float
from torch import Tensor

from drumblender.dsp.all_pole import final_state, sparse_all_pole, sparse_all_pole_inverse
from drumblender.dsp.resample import KAISER, dense_sinc, windowed_sinc
from drumblender.dsp.strings import fractional_delay_taps, state_size
from drumblender.dsp.windows import place_windows
from drumblender.synths.string import SHORTEST_PERIOD, StringSynth
from drumblender.synths.string_curves import Span, loop_from_controls, windows_from_controls
from drumblender.synths.string_excitation import bursts
from drumblender.types import Audio, Controls


class StringStream:
    """Renders a string in blocks of any size, which together equal the sound of one call.

    The string goes on ringing under a new :meth:`pluck`, and past the last frame of its controls. Where the
    internal rate is not the outer one, a pluck is heard from the next block that is not yet rendered ahead
    (a few milliseconds), and the last ``width`` samples of one call differ, since it ends and this goes on.

    Args:
        synth: What is played; with ``interpolate="logits"``. One that hears a source needs equal rates.
        controls: As in a call of the synth.
        num_samples: Length that the frames are spread over.

    Examples:
        >>> string = StringSynth(16000, internal_rate=16000, excitation="burst", onset_s=(0.0,))
        >>> units = {"f0_hz": 220.0, "loop_taps": 0.5, "loop_gain": 0.98, "burst_db": -20.0}
        >>> controls = string.from_units(units | {"excitation_taps": 0.5, "excitation_gain": 0.9})
        >>> stream = StringStream(string, controls, num_samples=4000)
        >>> blocks = torch.cat([stream.render(1000) for _ in range(4)], dim=1)
        >>> torch.allclose(blocks, string(controls, num_samples=4000), atol=1e-5)
        True
    """

    def __init__(self, synth: StringSynth, controls: Controls, num_samples: int) -> None:
        if synth.interpolate != "logits":
            raise ValueError(f"A stream joins logits, this string joins {synth.interpolate}.")
        if synth.needs_source and synth.internal_rate != synth.sample_rate:
            raise ValueError(
                f"A stream that hears a source runs at one rate; set internal_rate={synth.sample_rate}, "
                f"not {synth.internal_rate}."
            )
        self.synth = synth
        self.resampler = _Resampler(synth.internal_rate, synth.sample_rate)
        self.pluck(controls, num_samples)
        batch, order = len(self.period), synth.control_sizes["loop_taps"] - 1
        zeros = self.period.new_zeros
        self.ringing = zeros(batch, state_size(synth.max_delay, order))
        self.heard = torch.zeros_like(self.ringing)
        self.shaped = zeros(batch, synth.control_sizes["excitation_taps"])
        self.ready = zeros(batch, 0)

    def pluck(self, controls: Controls, num_samples: int) -> None:
        """Play new controls from here on; what rings goes on ringing."""
        synth = self.synth
        silence = next(iter(controls.values())).new_zeros(1, 1) if synth.needs_source else None
        with torch.no_grad():
            controls = synth.in_hz(controls, silence)
            f0_hz, starts = controls["f0_hz"], synth.starts(controls)
            if not torch.is_tensor(starts):
                starts = torch.tensor([starts], device=f0_hz.device).expand(len(f0_hz), -1)
            if synth.excitation == "source" and bool((starts.sort().values.diff() < synth.window).any()):
                raise ValueError("The windows of a stream that filters a source must lie apart.")
            self.controls, self.starts, self.period = controls, starts, synth.internal_rate / f0_hz
            self.windows = windows_from_controls(controls, synth.window, synth.burst_db)
            self.bursts = None if synth.needs_source else bursts(synth.noise, self.windows, synth.kernel)
        self.total = -(-num_samples * synth.internal_rate // synth.sample_rate)
        self.played = 0  # internal samples since the pluck

    @torch.no_grad()
    def render(self, num_samples: int, source: Audio | None = None) -> Audio:
        """The next samples.

        Args:
            num_samples: How many.
            source: What the string hears meanwhile, as long as the block.
        """
        if self.synth.needs_source and (source is None or source.shape[1] != num_samples):
            raise ValueError(f"This string hears: give {num_samples} samples of source with the block.")
        while (missing := num_samples - self.ready.shape[1]) > 0:
            count = -(-missing * self.synth.internal_rate // self.synth.sample_rate)
            block = self.resampler.push(self._ring(count, source))
            self.ready = torch.cat([self.ready, block], dim=1)
        block, self.ready = self.ready[:, :num_samples], self.ready[:, num_samples:]
        return block.float()

    def _ring(self, count: int, source: Audio | None) -> Float[Tensor, "batch {count}"]:
        span = Span(self.total, self.played, count)
        loop = loop_from_controls(self.controls, self.period, span, self.synth.loop_gain)
        lag, taps = fractional_delay_taps(*loop, self.synth.max_delay, SHORTEST_PERIOD)
        starts = self.starts - self.played
        if self.synth.excitation == "burst":
            excitation = place_windows(self.bursts, starts, count)
        else:
            excitation = self._hear(source.to(taps).expand(len(lag), -1), lag, taps, starts)
        signal = sparse_all_pole(excitation, lag, taps, self.ringing)
        self.ringing = final_state(self.ringing, signal)
        self.played += count
        return signal

    def _hear(self, source: Tensor, lag: Tensor, taps: Tensor, starts: Tensor) -> Tensor:
        count = source.shape[1]
        ones = source.new_ones(*starts.shape, self.synth.window)
        inside = place_windows(ones, starts, count).clamp(max=1)
        if self.synth.excitation == "resynthesis":
            whitened = sparse_all_pole_inverse(source, lag, taps, self.heard)
            self.heard = final_state(self.heard, source)
            return whitened * inside
        poles = [
            place_windows(pole[:, None].expand(-1, starts.shape[1], -1), starts, count)
            for pole in self.windows.poles.unbind(dim=2)
        ]
        shaped = sparse_all_pole(
            source * inside, torch.ones_like(lag), torch.stack(poles, dim=2), self.shaped
        )
        self.shaped = final_state(self.shaped, shaped)
        return shaped


class _Resampler:
    """``kaiser_resample`` of a signal that comes in blocks: gives what can be known so far."""

    def __init__(self, sr_in: int, sr_out: int) -> None:
        self.kernel = None
        if sr_in != sr_out:
            sinc = windowed_sinc(sr_in, sr_out, **KAISER)
            self.kernel, self.reach, self.step = dense_sinc(sinc), sinc.reach, sinc.step
        self.waiting: Tensor | None = None

    def push(self, block: Float[Tensor, "batch samples"]) -> Float[Tensor, "batch resampled"]:
        if self.kernel is None:
            return block
        if self.waiting is None:
            self.waiting = block.new_zeros(len(block), self.reach)
        waiting = torch.cat([self.waiting, block], dim=1)
        steps = max((waiting.shape[1] - len(self.kernel)) // self.step + 1, 0)
        self.waiting = waiting[:, steps * self.step :]
        if not steps:
            return block.new_zeros(len(block), 0)
        frames = waiting.unfold(1, len(self.kernel), self.step)
        return (frames @ self.kernel.to(block)).flatten(1)
