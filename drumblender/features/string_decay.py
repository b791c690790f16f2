"""What the fading of a note says about the loop of its string."""

import math

import torch
from jaxtyping import Float
from torch import Tensor

from drumblender.dsp.bands import band_powers
from drumblender.features.analysis import Analysed, Analysis
from drumblender.types import Audio, NoteBatch

_LEAST = 1e-12


class StringDecay(Analysis):
    """Measures how fast a note fades, over time and in high bands against low ones: gain and taps of a loop.

    A loop that multiplies by ``g`` once a period fades by ``-20 f0 log10 g`` dB a second, so the slope of the
    level at each frame gives ``loop_gain`` there. A symmetric filter of three taps s, 1 - 2 s, s takes off
    more at high frequencies; how much faster the upper partials fade than the lower ones gives s, one for
    each note. ``excitation_taps`` and ``excitation_gain`` are left in the middle, where they do nothing to
    a resynthesis.

    The features are levels in mel bands at the frames of the loop, in dB, for an encoder to hear.

    Reads ``audio`` and ``f0_hz``.

    Args:
        sample_rate: Samples per second of the audio.
        internal_rate: Samples per second of the string.
        loop_frames, excitation_frames, excitation_order: As the synth has them; its loop order is 2.
        low_gain, high_gain: Of its range ``loop_gain``.
        num_bands: Bands of the features, half of which are at high frequencies.

    Raises:
        ValueError: A size out of range.

    Examples:
        >>> time_s = torch.arange(32000) / 16000
        >>> note = 0.5 * torch.exp(-3 * time_s) * torch.sin(2 * torch.pi * 220 * time_s)
        >>> found = StringDecay()({"audio": note[None], "f0_hz": torch.full((1, 201), 220.0)})
        >>> gain = 0.9 + 0.1 * found.controls["loop_gain"][0, 5]  # exp(-3 / 220) a period
        >>> round(gain.item(), 2), found.features.shape
        (0.99, torch.Size([1, 16, 32]))
    """

    def __init__(
        self,
        sample_rate: int = 16000,
        internal_rate: int = 41000,
        loop_frames: int = 16,
        excitation_frames: int = 25,
        excitation_order: int = 5,
        low_gain: float = 0.9,
        high_gain: float = 1.0,
        num_bands: int = 32,
    ) -> None:
        super().__init__()
        if min(sample_rate, internal_rate, excitation_frames, excitation_order) < 1 or loop_frames < 2:
            raise ValueError(f"Need rates and sizes of at least 1, 2 {loop_frames=}, got {sample_rate=}.")
        if not 0 <= low_gain < high_gain <= 1:
            raise ValueError(f"Gains lie in [0, 1] and ascend, got {low_gain=}, {high_gain=}.")
        self.sample_rate, self.internal_rate = sample_rate, internal_rate
        self.loop_frames, self.excitation_frames = loop_frames, excitation_frames
        self.excitation_order = excitation_order
        self.low_gain, self.high_gain = low_gain, high_gain
        self.num_features = num_bands
        self.hop_length = max(1, sample_rate // 100)
        self.bands = {
            "n_fft": 2 ** math.ceil(math.log2(sample_rate * 0.06)),  # 64 ms: beats and periods average out
            "hop_length": self.hop_length,
            "sample_rate": sample_rate,
            "num_bands": num_bands,
            "low_hz": 60.0,
            "high_hz": 0.45 * sample_rate,
            "scale": "mel",
        }

    @torch.no_grad()
    def forward(self, batch: NoteBatch) -> Analysed:
        audio, f0_hz = batch["audio"], batch["f0_hz"]
        f0_hz = f0_hz.flatten(1).clamp(min=20.0).nanmedian(dim=1, keepdim=True).values
        powers = band_powers(audio.float(), **self.bands)
        side = self._side_tap(audio, f0_hz)
        slopes = self._slopes_db(10 * torch.log10(powers.sum(dim=2).clamp(min=_LEAST)))
        turn = 2 * math.pi * f0_hz / self.internal_rate
        loss_db = slopes / f0_hz - 20 * torch.log10(1 - 2 * side * (1 - torch.cos(turn)))
        loss_db = loss_db - self._blurred_db(f0_hz, turn)
        gain = 10 ** (loss_db / 20)
        share = ((gain - self.low_gain) / (self.high_gain - self.low_gain)).clamp(1e-3, 1 - 1e-3)
        taps = torch.stack([side, 1 - 2 * side, side], dim=-1).expand(-1, self.loop_frames, -1)
        middle = audio.new_full((len(audio), self.excitation_frames, self.excitation_order), 0.5)
        controls = {
            "loop_gain": share[..., None],
            "loop_taps": taps,
            "excitation_taps": middle,
            "excitation_gain": middle[..., :1],
        }
        return Analysed(controls, _at(10 * torch.log10(powers.clamp(min=_LEAST)), self.loop_frames))

    def _slopes_db(self, level_db: Float[Tensor, "batch frames"]) -> Float[Tensor, "batch loop_frames"]:
        """Decibels a second at the frames of the loop; the differences add up to the way of the level."""
        length_s = (level_db.shape[1] - 1) * self.hop_length / self.sample_rate
        ends = _at(level_db[..., None], 2 * self.loop_frames - 1)[..., 0]
        step_s = length_s / (2 * self.loop_frames - 2)
        inner = (ends[:, 3::2] - ends[:, 1:-2:2]) / (2 * step_s)
        first = _rise(ends[:, 0:1], ends[:, 1:2], step_s)
        last = _rise(ends[:, -2:-1], ends[:, -1:], step_s)
        return torch.cat([first, inner, last], dim=1)

    def _side_tap(self, audio: Audio, f0_hz: Float[Tensor, "batch 1"]) -> Float[Tensor, "batch 1"]:
        """The outer taps, from how much faster the partials from 4 f0 on fade than those below."""
        n_fft = self.bands["n_fft"]
        window = torch.hann_window(n_fft, device=audio.device)
        spectrum = torch.stft(
            audio.float(), n_fft, self.hop_length, window=window, return_complex=True, pad_mode="constant"
        )
        power = spectrum.abs().square()
        freq_hz = torch.linspace(0, self.sample_rate / 2, power.shape[1], device=audio.device)
        high = (freq_hz > 3.5 * f0_hz) & (freq_hz < torch.clamp(16 * f0_hz, max=0.45 * self.sample_rate))
        low = (freq_hz > 0.5 * f0_hz) & (freq_hz <= 3.5 * f0_hz)
        first, last = round(0.05 * 100), round(0.55 * 100)  # frames of 10 ms after the attack
        taps = []
        for mask in (high, low):
            part = (power * mask[..., None]).sum(dim=1)
            level_db = 10 * torch.log10(part.clamp(min=_LEAST))[:, first:last]
            taps.append(_trend(level_db, self.hop_length / self.sample_rate))
        faster_db = ((taps[0] - taps[1]) / f0_hz).clamp(max=0.0)
        weight = power[..., first:last].sum(dim=2) * high
        centre_hz = (weight * freq_hz).sum(dim=1, keepdim=True) / weight.sum(dim=1, keepdim=True).clamp(
            min=_LEAST
        )
        turn = 2 * math.pi * centre_hz / self.internal_rate
        faster_db = (faster_db - self._blurred_db(f0_hz, turn)).clamp(max=0.0)
        side = (1 - 10 ** (faster_db / 20)) / (2 * (1 - torch.cos(turn))).clamp(min=1e-6)
        return side.clamp(1e-4, 0.25)

    def _blurred_db(self, f0_hz: Tensor, turn: Tensor) -> Tensor:
        """What the linear interpolation of the delay takes off a period, where a sample turns so far.

        Half a sample of fraction costs a high note tens of decibels a second.
        """
        fraction = (self.internal_rate / f0_hz).frac()
        return 10 * torch.log10(1 - 2 * fraction * (1 - fraction) * (1 - torch.cos(turn)))


def _rise(before: Tensor, after: Tensor, seconds: float) -> Tensor:
    return (after - before) / seconds


def _trend(level_db: Float[Tensor, "batch frames"], frame_s: float) -> Float[Tensor, "batch 1"]:
    """The slope of a straight line through the levels, in dB a second; 0 of fewer than two."""
    count = level_db.shape[1]
    if count < 2:
        return level_db.new_zeros(len(level_db), 1)
    time_s = (torch.arange(count, device=level_db.device) - (count - 1) / 2) * frame_s
    return (level_db * time_s).sum(dim=1, keepdim=True) / time_s.square().sum()


def _at(values: Float[Tensor, "batch frames size"], count: int) -> Float[Tensor, "batch count size"]:
    """Values at ``count`` places from the first to the last frame, in straight lines between."""
    return torch.nn.functional.interpolate(values.mT, size=count, mode="linear", align_corners=True).mT
