"""Partials of stiff strings block by block: what the whole gives, whatever the blocks."""

import math

import torch
from jaxtyping import Float
from torch import Tensor

from drumblender.dsp.envelopes import upsample_frames
from drumblender.dsp.partials import partials_hz

_FRAMES = 32  # rendered at once: partials times samples are held for no more


class StretchedStream:
    """Plays frames of ``f0_hz``, ``stiffness`` and ``amp`` as they come; a frame lies on every hop.

    Equals :class:`~drumblender.synths.StretchedSynth`. The first frame makes no sound, each later one a hop.

    Args:
        sample_rate: Samples per second.
        hop_length: Samples from frame to frame.
    """

    def __init__(self, sample_rate: int = 16000, hop_length: int = 160) -> None:
        self.sample_rate, self.hop_length = sample_rate, hop_length
        self._turns = torch.zeros((), dtype=torch.float64)
        self._last: tuple[Tensor, Tensor] | None = None

    @torch.no_grad()
    def push(
        self,
        f0_hz: Float[Tensor, "frames"],
        stiffness: Float[Tensor, "frames"],
        amp: Float[Tensor, "frames partials"],
    ) -> Float[Tensor, "samples"]:
        """The sound up to the latest frame."""
        freq_hz = partials_hz(f0_hz.double(), stiffness.double(), amp.shape[1])
        amp = amp.double().masked_fill(freq_hz >= self.sample_rate / 2, 0.0)
        if self._last is not None:
            freq_hz, amp = torch.cat([self._last[0], freq_hz]), torch.cat([self._last[1], amp])
        self._last = freq_hz[-1:], amp[-1:]
        parts = [
            self._render(freq_hz[start : start + _FRAMES + 1], amp[start : start + _FRAMES + 1])
            for start in range(0, len(freq_hz) - 1, _FRAMES)
        ]
        return torch.cat([freq_hz.new_zeros(0), *parts]).float()

    def _render(self, freq_hz: Tensor, amp: Tensor) -> Tensor:
        num_samples = (len(freq_hz) - 1) * self.hop_length
        tracks = upsample_frames(freq_hz.mT[None], num_samples, "hop")[0]
        turns = self._turns[..., None] + (tracks / self.sample_rate).cumsum(dim=1)
        self._turns = turns[:, -1] % 1
        heard = amp.any(dim=0)  # most of a hundred partials are above Nyquist
        gain = upsample_frames(amp[:, heard].mT[None], num_samples, "hop")[0]
        gain = gain * (tracks[heard] < self.sample_rate / 2)
        return (gain * torch.sin(2 * math.pi * (turns[heard] % 1))).sum(dim=0)
