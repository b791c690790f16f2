"""What the fading of a note says about the loop of its string."""

import math
from collections.abc import Sequence

import torch
from jaxtyping import Float
from torch import Tensor

from drumblender.dsp.all_pole import sparse_all_pole, sparse_all_pole_inverse
from drumblender.dsp.bands import band_powers
from drumblender.dsp.kernels import readable
from drumblender.dsp.resample import kaiser_resample
from drumblender.dsp.splines import spline_upsample
from drumblender.dsp.strings import constrain_loop_coefficients, fractional_delay_taps
from drumblender.dsp.windows import keep_windows
from drumblender.features.analysis import Analysed, Analysis
from drumblender.types import Audio, Controls, NoteBatch

_LEAST = 1e-12
_LOWEST_HZ = 20.0
_FLOOR_DB = -70.0  # under the loudest frame: where a recording is noise, no string is told to play it


class StringDecay(Analysis):
    """Measures how fast a note fades, over time and in high bands against low ones: gain and taps of a loop.

    A loop that multiplies by ``g`` once a period fades by ``-20 f0 log10 g`` dB a second, so the slope of the
    level at each frame gives ``loop_gain`` there. A symmetric filter of three taps s, 1 - 2 s, s takes off
    more at high frequencies; how much faster the upper partials fade than the lower ones gives s, one for
    each note. While a note is attacked its level rises, which no loop does: the first frame fades no slower
    than the second.

    Then the recording is resynthesised with these controls, and each frame is told to fade faster or slower
    by what the level of the string did otherwise: analysis by synthesis, in a few rounds. Taps,
    interpolation and what the windows leave in the loop are heard so, and need no formula.

    ``excitation_taps`` and ``excitation_gain`` are left in the middle, where they do nothing to a
    resynthesis.

    The features are levels in mel bands at the frames of the loop, in dB, for an encoder to hear.

    Reads ``audio`` and ``f0_hz``.

    Args:
        sample_rate: Samples per second of the audio.
        internal_rate: Samples per second of the string.
        loop_frames, excitation_frames, excitation_order: As the synth has them; its loop order is 2.
        low_gain, high_gain: Of its range ``loop_gain``.
        num_bands: Bands of the features, half of which are at high frequencies.
        rounds: How often the string is played and corrected; 0 reads the level alone.
        onset_s, excitation_s: Where the windows of the excitation start, and how long they are, as the synth
            has them.

    Raises:
        ValueError: A size out of range; of a call, a note shorter than 10 ms or not finite. A frame without a
            pitch takes that of the note.

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
        rounds: int = 2,
        onset_s: Sequence[float] = (0.0, 3.0),
        excitation_s: float = 0.025,
    ) -> None:
        super().__init__()
        if min(sample_rate, internal_rate, excitation_frames, excitation_order) < 1 or loop_frames < 2:
            raise ValueError(f"Need rates and sizes of at least 1, 2 {loop_frames=}, got {sample_rate=}.")
        if rounds < 0 or not onset_s or excitation_s <= 0:
            raise ValueError(
                f"Need rounds from 0 on and a window, got {rounds=}, {onset_s=}, {excitation_s=}."
            )
        if not 0 <= low_gain < high_gain <= 1:
            raise ValueError(f"Gains lie in [0, 1] and ascend, got {low_gain=}, {high_gain=}.")
        self.sample_rate, self.internal_rate = sample_rate, internal_rate
        self.loop_frames, self.excitation_frames = loop_frames, excitation_frames
        self.excitation_order = excitation_order
        self.low_gain, self.high_gain = low_gain, high_gain
        self.num_features = num_bands
        self.rounds, self.starts = rounds, [round(start * internal_rate) for start in onset_s]
        self.window = max(1, round(excitation_s * internal_rate))
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
        audio, pitch_hz = batch["audio"].float(), batch["f0_hz"].flatten(1)
        check_note(audio, self.sample_rate)
        pitch_hz = pitch_hz.nan_to_num(0.0, posinf=0.0).clamp(max=self.internal_rate / 2)
        f0_hz = median_pitch_hz(pitch_hz, self.internal_rate / 2)
        powers = band_powers(audio, **self.bands)
        level_db = _total_db(powers)
        floor_db = level_db.amax(dim=1, keepdim=True) + _FLOOR_DB
        wanted = self._slopes_db(torch.maximum(level_db, floor_db))
        steepest = 20 * math.log10(max(self.low_gain, 0.5)) * f0_hz
        side, slopes = self._side_tap(audio, f0_hz), self._slopes_db(level_db)
        loop = self._loop(slopes, side, f0_hz)
        if self.rounds:
            heard = kaiser_resample(audio, self.sample_rate, self.internal_rate)
            pitch_hz = torch.where(pitch_hz > 0, pitch_hz.clamp(min=_LOWEST_HZ), f0_hz)
        for _ in range(self.rounds):
            played_db = _total_db(band_powers(self._played(heard, pitch_hz, loop), **self.bands))
            faster = wanted - self._slopes_db(torch.maximum(played_db[:, : level_db.shape[1]], floor_db))
            slopes = (slopes + faster).clamp(max=0.0).maximum(steepest)
            loop = self._loop(slopes, side, f0_hz)
        middle = audio.new_full((len(audio), self.excitation_frames, self.excitation_order), 0.5)
        controls = loop | {"excitation_taps": middle, "excitation_gain": middle[..., :1]}
        return Analysed(controls, _at(10 * torch.log10(powers.clamp(min=_LEAST)), self.loop_frames))

    def _loop(
        self,
        slopes_db: Float[Tensor, "batch loop_frames"],
        side: Float[Tensor, "batch 1"],
        f0_hz: Float[Tensor, "batch 1"],
    ) -> Controls:
        """Gain and taps of a string that fades by so many decibels a second."""
        turn = 2 * math.pi * f0_hz / self.internal_rate
        loss_db = slopes_db / f0_hz - 20 * torch.log10(1 - 2 * side * (1 - torch.cos(turn)))
        gain = 10 ** ((loss_db - self._blurred_db(f0_hz, turn)) / 20)
        share = ((gain - self.low_gain) / (self.high_gain - self.low_gain)).clamp(1e-3, 1 - 1e-3)
        taps = torch.stack([side, 1 - 2 * side, side], dim=-1).expand(-1, self.loop_frames, -1)
        return {"loop_gain": share[..., None], "loop_taps": taps}

    def _played(
        self, heard: Float[Tensor, "batch internal"], pitch_hz: Float[Tensor, "batch frames"], loop: Controls
    ) -> Audio:
        """What the string makes of the recording, as ``excitation: resynthesis`` has it."""
        count = heard.shape[1]
        period = spline_upsample(self.internal_rate / pitch_hz[..., None], count)[..., 0].clamp(min=2.0)
        logits = [spline_upsample(torch.logit(loop[name]), count) for name in ("loop_taps", "loop_gain")]
        filters = constrain_loop_coefficients(*logits, self.low_gain, self.high_gain)
        lag, taps = fractional_delay_taps(period, filters, int(self.internal_rate / _LOWEST_HZ))
        pluck = keep_windows(sparse_all_pole_inverse(heard, lag, taps), self.starts, self.window)
        return kaiser_resample(sparse_all_pole(pluck, lag, taps), self.internal_rate, self.sample_rate)

    def _slopes_db(self, level_db: Float[Tensor, "batch frames"]) -> Float[Tensor, "batch loop_frames"]:
        """Decibels a second at the frames of the loop; the differences add up to the way of the level."""
        length_s = (level_db.shape[1] - 1) * self.hop_length / self.sample_rate
        ends = _at(level_db[..., None], 2 * self.loop_frames - 1)[..., 0]
        step_s = length_s / (2 * self.loop_frames - 2)
        inner = (ends[:, 3::2] - ends[:, 1:-2:2]) / (2 * step_s)
        first = torch.minimum(_rise(ends[:, 0:1], ends[:, 1:2], step_s), inner[:, :1])
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


def check_note(audio: Audio, sample_rate: int) -> None:
    """Make sure that a note is long enough to fade, 10 ms, and finite; raises ValueError.

    Examples:
        >>> check_note(torch.zeros(1, 16000), sample_rate=16000)
    """
    least = max(1, sample_rate // 100)
    if audio.shape[1] < least:
        raise ValueError(f"{audio.shape[1]} samples are too few to fade: a note has {least} or more.")
    if readable(audio) and not audio.isfinite().all():
        raise ValueError("A note holds NaN or infinite samples.")


def median_pitch_hz(f0_hz: Float[Tensor, "batch *frames"], highest_hz: float) -> Float[Tensor, "batch 1"]:
    """The pitch of each note: frames without one, 0 or NaN, do not count.

    Examples:
        >>> median_pitch_hz(torch.tensor([[220.0, 0.0, 221.0, 222.0]]), highest_hz=8000.0)
        tensor([[221.]])
    """
    pitch_hz = f0_hz.flatten(1).nan_to_num(0.0, posinf=0.0).clamp(max=highest_hz)
    middle = pitch_hz.where(pitch_hz > 0, torch.nan).nanmedian(dim=1, keepdim=True).values
    return middle.nan_to_num(_LOWEST_HZ).clamp(min=_LOWEST_HZ)


def _total_db(powers: Float[Tensor, "batch frames bands"]) -> Float[Tensor, "batch frames"]:
    return 10 * torch.log10(powers.sum(dim=2).clamp(min=_LEAST))


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
