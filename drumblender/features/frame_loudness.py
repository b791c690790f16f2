"""Loudness of overlapping frames, each centred on a hop: the curve that timbre transfer follows."""

from typing import Literal

import torch
from jaxtyping import Float
from torch import Tensor

from drumblender.dsp.a_weighting import a_curve_fir, a_curve_weight, bandpass_weight
from drumblender.dsp.precision import in_full_precision
from drumblender.dsp.spectra import hann_window
from drumblender.dsp.tables import placed
from drumblender.features.base import Feature

USUAL_EPSILON = 1e-8
Weighting = Literal["none", "a", "bandpass"]


class FrameLoudness(Feature):
    """RMS around every hop, ``samples // hop_length + 1`` frames, the first centred on the first sample.

    A Hann window of 16 ms keeps an attack within 2 ms of its place; a rectangle of 64 ms, as published by
    Neural Guitar, moves it by 14. That loudness is ``weighting="bandpass", window="rectangle",
    frame_size=1024, epsilon=1e-7``.

    Args:
        sample_rate: Samples per second.
        hop_length: Samples from frame to frame.
        frame_size: Samples of a frame; None: 16 ms.
        window: ``hann``, or ``rectangle``.
        weighting: ``a``: the A curve of IEC 61672. ``bandpass``: 20.6 to 7500 Hz, which the original calls
            A-weighting. ``none``: power is power.
        epsilon: Added to the mean square, so that silence is finite; 1e-8 is -80 dB.
        db: Give decibels; else linear.

    Examples:
        >>> sine = torch.sin(2 * torch.pi * 1000 * torch.arange(16000) / 16000)
        >>> loudness_db = FrameLoudness()(torch.stack([sine, sine / 10]))
        >>> loudness_db.shape, loudness_db[:, 50].round().tolist()
        (torch.Size([2, 101]), [-3.0, -23.0])
    """

    def __init__(
        self,
        sample_rate: int = 16000,
        hop_length: int = 160,
        frame_size: int | None = None,
        window: Literal["hann", "rectangle"] = "hann",
        weighting: Weighting = "none",
        epsilon: float = USUAL_EPSILON,
        db: bool = True,
    ) -> None:
        super().__init__()
        frame_size = int(0.016 * sample_rate) if frame_size is None else frame_size
        if min(hop_length, frame_size) < 1 or not epsilon > 0:
            raise ValueError(
                f"Sizes start at 1, epsilon above 0; got {hop_length=}, {frame_size=}, {epsilon=}."
            )
        if window not in ("hann", "rectangle") or weighting not in ("none", "a", "bandpass"):
            raise ValueError(f"Unknown: {window=} (hann, rectangle) or {weighting=} (none, a, bandpass).")
        if weighting == "a":
            a_curve_fir(sample_rate)  # says now what is wrong with the sample rate
        self.sample_rate, self.hop_length, self.frame_size = sample_rate, hop_length, frame_size
        self.window, self.weighting, self.epsilon, self.db = window, weighting, epsilon, db

    @in_full_precision
    def forward(self, audio: Float[Tensor, "... samples"]) -> Float[Tensor, "... frames"]:
        rows = audio.reshape(-1, audio.shape[-1])
        if self.weighting == "a":
            rows = a_curve_weight(rows, self.sample_rate)
        elif self.weighting == "bandpass":
            rows = bandpass_weight(rows, self.sample_rate)
        num_frames = audio.shape[-1] // self.hop_length + 1
        before = self.frame_size // 2
        after = max(0, (num_frames - 1) * self.hop_length + self.frame_size - before - audio.shape[-1])
        power = torch.nn.functional.pad(rows.square(), (before, after))
        frames = power.unfold(-1, self.frame_size, self.hop_length)[:, :num_frames]
        return self.level(frames).view(*audio.shape[:-1], num_frames)

    def level(self, power: Float[Tensor, "*frames size"]) -> Float[Tensor, "*frames"]:
        """Level of frames that are cut, squared and weighted by the curve of hearing already."""
        if self.window == "hann":
            window = placed(hann_window(self.frame_size, power.dtype), power)
            mean = power @ (window / window.sum())
        else:
            mean = power.mean(dim=-1)
        level = (mean + self.epsilon).sqrt()
        return 20 * torch.log10(level) if self.db else level
