"""A tone of a stiff string: partials of one fundamental, a little above its whole multiples."""

import math

from drumblender.dsp.oscillators import modal_bank
from drumblender.dsp.partials import partials_hz
from drumblender.dsp.precision import raise_half
from drumblender.synths.base import Synth
from drumblender.types import Audio, Controls


class StretchedSynth(Synth):
    """Plays sines where the partials of a stiff string lie, silent above Nyquist.

    Controls: ``f0_hz`` in Hz, ``stiffness`` (see :func:`~drumblender.dsp.partials.partials_hz`) and ``amp``,
    linear and of any sign; a frame on every hop, the last at the end of the sound. At stiffness 0 it plays
    what :class:`~drumblender.synths.HarmonicSynth` does with both upsamplings at ``hop``. No weights.

    Args:
        num_harmonics: Partials, the fundamental included.
        sample_rate: Samples per second.

    Examples:
        >>> import torch
        >>> synth = StretchedSynth(num_harmonics=20, sample_rate=16000)
        >>> one = torch.ones(1, 101, 1)
        >>> last = torch.eye(20)[19].expand(1, 101, -1)
        >>> sound = synth({"f0_hz": 200 * one, "stiffness": 1e-4 * one, "amp": last}, num_samples=16000)
        >>> int(torch.fft.rfft(sound[0]).abs().argmax())  # the twentieth, 79 Hz above 20 times 200
        4079
    """

    def __init__(self, num_harmonics: int = 100, sample_rate: int = 16000) -> None:
        super().__init__()
        if num_harmonics < 1 or sample_rate < 1:
            raise ValueError(f"Need at least 1, got {num_harmonics=} and {sample_rate=}.")
        self.control_sizes = {"f0_hz": 1, "stiffness": 1, "amp": num_harmonics}
        self.sample_rate = sample_rate
        self.linear = ("amp",)

    def forward(self, controls: Controls, num_samples: int, source: Audio | None = None) -> Audio:
        self.check(controls)
        f0_hz, stiffness, amp = (raise_half(controls[name]) for name in self.control_sizes)
        freq_hz = partials_hz(f0_hz.squeeze(2), stiffness.squeeze(2), amp.shape[-1])
        freq_rad = freq_hz * (2 * math.pi / self.sample_rate)
        tracks = freq_rad.transpose(1, 2).contiguous(), amp.transpose(1, 2)
        return modal_bank(*tracks, num_samples=num_samples, align="hop")
