"""Harmonics and filtered noise block by block: what the whole gives, whatever the blocks."""

import math

import torch
from jaxtyping import Float
from torch import Tensor

from drumblender.dsp.envelopes import upsample_frames
from drumblender.synths.reverb import Room

_NOISE_BLOCK = 16384  # samples that one seed draws
_AHEAD = 100  # frames whose noise is laid out at once


class HarmonicStream:
    """Plays frames of ``f0_hz`` and ``amp`` as they come; a frame lies on every hop.

    Equals ``HarmonicSynth`` with both upsamplings at ``hop``. The first frame makes no
    sound, each later one a hop.

    Args:
        sample_rate: Samples per second.
        hop_length: Samples from frame to frame.
    """

    def __init__(self, sample_rate: int = 16000, hop_length: int = 160) -> None:
        self.sample_rate, self.hop_length = sample_rate, hop_length
        self._turns = 0.0
        self._last: tuple[Tensor, Tensor] | None = None

    @torch.no_grad()
    def push(
        self, f0_hz: Float[Tensor, "frames"], amp: Float[Tensor, "frames harmonics"]
    ) -> Float[Tensor, "samples"]:
        """The sound up to the latest frame."""
        f0_hz, amp = f0_hz.double(), amp.double()
        if self._last is not None:
            f0_hz, amp = torch.cat([self._last[0], f0_hz]), torch.cat([self._last[1], amp])
        self._last = f0_hz[-1:], amp[-1:]
        return torch.cat(
            [f0_hz.new_zeros(0)]
            + [
                self._render(f0_hz[start : start + _FRAMES + 1], amp[start : start + _FRAMES + 1])
                for start in range(0, len(f0_hz) - 1, _FRAMES)
            ]
        ).float()

    def _render(self, f0_hz: Tensor, amp: Tensor) -> Tensor:
        num_samples = (len(f0_hz) - 1) * self.hop_length
        pitch = upsample_frames(f0_hz[None], num_samples, "hop")[0]
        turns = self._turns + (pitch / self.sample_rate).cumsum(dim=0)
        self._turns = float(turns[-1] % 1)
        order = torch.arange(1, amp.shape[1] + 1, dtype=torch.float64)
        heard = order[: max(1, int((order * pitch.min() < self.sample_rate / 2).sum()))]
        gain = upsample_frames(amp[:, : len(heard)].mT[None], num_samples, "hop")[0]
        gain = gain * (heard[:, None] * pitch < self.sample_rate / 2)
        return (gain * torch.sin(2 * math.pi * heard[:, None] * (turns % 1))).sum(dim=0)


_FRAMES = 32  # rendered at once: harmonics times samples are held for no more


class NoiseStream:
    """Plays frames of ``magnitude`` as they come, with noise of its own.

    Equals ``FilteredNoiseSynth`` on the same noise. It lags by half an FFT, which overlapping frames need.

    Args:
        hop_length: Samples from frame to frame.
        n_fft: Points of the FFT.
        seed: Of the noise, which does not depend on the blocks.
        noise: Noise to use instead, ``(samples,)``.
    """

    def __init__(
        self, hop_length: int = 160, n_fft: int = 1024, seed: int = 0, noise: Tensor | None = None
    ) -> None:
        self.hop_length, self.n_fft, self.seed, self._given = hop_length, n_fft, seed, noise
        self._window = torch.hann_window(n_fft)
        self._kept: tuple[int, Tensor] = (-1, torch.zeros(0))
        self._sound, self._weight = torch.zeros(n_fft), torch.zeros(n_fft)
        self._frame, self._drawn, self._taken, self._held = 0, 0, 0, torch.zeros(0)
        self._ahead = self._held.new_zeros(0, n_fft)
        self._start = -(n_fft // 2)  # sample that ``_sound`` starts with

    @torch.no_grad()
    def push(self, magnitude: Float[Tensor, "frames bands"]) -> Float[Tensor, "samples"]:
        """What no later frame changes."""
        if not len(magnitude):
            return torch.zeros(0)
        frames = self.frames(len(magnitude))
        gain = upsample_frames(magnitude.float(), self.n_fft // 2 + 1, "ends")
        shaped = torch.fft.irfft(torch.fft.rfft(frames * self._window) * gain, self.n_fft) * self._window
        parts = []
        for frame in shaped:
            self._sound += frame
            self._weight += self._window.square()
            parts.append(self._emit(self.hop_length))
            self._frame += 1
        return torch.cat(parts)

    @torch.no_grad()
    def finish(self) -> Float[Tensor, "samples"]:
        """The rest, up to the last frame."""
        return self._emit(max(0, (self._frame - 1) * self.hop_length - self._start))

    def _emit(self, count: int) -> Tensor:
        before = min(count, max(0, -self._start))
        done = (self._sound[:count] / self._weight[:count].clamp(min=1e-11))[before:]
        self._sound = torch.cat([self._sound[count:], torch.zeros(count)])
        self._weight = torch.cat([self._weight[count:], torch.zeros(count)])
        self._start += count
        return done

    def frames(self, count: int) -> Float[Tensor, "{count} n_fft"]:
        """The noise under the next frames; before the start it is mirrored."""
        if self._taken + count > len(self._ahead):
            self._look_ahead(count)
        self._taken += count
        return self._ahead[self._taken - count : self._taken]

    def _look_ahead(self, count: int) -> None:
        """Draw for many frames at once, as each then is only a view; of noise that is given, for no more."""
        held = self._held[self._taken * self.hop_length :]
        if not self._drawn:
            first = self.draw(self.n_fft // 2 + 1)
            held = torch.cat([first[1:].flip(0), first])
        frames = max(count, _AHEAD) if self._given is None else count
        missing = (frames - 1) * self.hop_length + self.n_fft - len(held)
        self._held = torch.cat([held, self.draw(max(0, missing))])
        self._ahead, self._taken = self._held.unfold(0, self.n_fft, self.hop_length), 0

    def draw(self, count: int) -> Float[Tensor, "{count}"]:
        """The next samples of its noise."""
        start, self._drawn = self._drawn, self._drawn + count
        if self._given is not None:
            return self._given[start : self._drawn]
        first, last = start // _NOISE_BLOCK, (self._drawn - 1) // _NOISE_BLOCK
        blocks = [self._block(number) for number in range(first, last + 1)]
        joined = blocks[0] if first == last else torch.cat(blocks)
        return joined.narrow(0, start - first * _NOISE_BLOCK, count)

    def _block(self, number: int) -> Tensor:
        """One block of the noise; the latest is kept, as many hops lie in it."""
        if self._kept[0] != number:
            source = torch.Generator().manual_seed((self.seed << 20) + number)
            self._kept = number, torch.randn(_NOISE_BLOCK, generator=source)
        return self._kept[1]


class RoomStream:
    """A :class:`~drumblender.synths.Room` around blocks of sound; it stops with the last."""

    def __init__(self, room: Room) -> None:
        self.room = room
        self._past = torch.zeros(len(room.taps))

    @torch.no_grad()
    def push(self, sound: Float[Tensor, "samples"]) -> Float[Tensor, "samples"]:
        """The same samples in the room."""
        if not len(sound):
            return sound
        heard = torch.cat([self._past, sound])
        self._past = heard[len(sound) :]
        return self.room({}, len(heard), source=heard[None])[0, -len(sound) :]
