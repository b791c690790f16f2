"""What a note says about the burst that plucks its string."""

import math
from collections.abc import Sequence

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn import functional

from drumblender.dsp.all_pole import sparse_all_pole, sparse_all_pole_inverse
from drumblender.dsp.noise import white_noise
from drumblender.dsp.resample import kaiser_resample
from drumblender.dsp.strings import fractional_delay_taps
from drumblender.dsp.units import Range
from drumblender.features.analysis import Analysed, Analysis
from drumblender.features.string_decay import StringDecay
from drumblender.types import Audio, NoteBatch

_RINGING_S = 0.3
_LEAST = 1e-12
_QUIET = 1e-2


class StringBurst(Analysis):
    """Measures a string that noise plucks: the loop as a ``StringDecay``, and the level of each burst.

    The inverse of the measured loop takes its ringing off the recording; what is left in a window gives the
    course of the level there. How loud that is all in all, the ringing decides: both are played, the rest and
    a burst of noise, and the burst is moved to the level of the rest. The excitation filter is left open, for
    training to close.

    Reads ``audio`` and ``f0_hz``.

    Args:
        decay: Measures the loop.
        onset_s: Where windows start, in seconds, as the synth has them.
        excitation_s: Their length.
        burst_db: Range of the levels, as the synth has it.

    Raises:
        ValueError: No window.

    Examples:
        >>> note = {"audio": torch.randn(1, 64000), "f0_hz": torch.full((1, 250), 220.0)}
        >>> controls = StringBurst(StringDecay())(note).controls
        >>> controls["burst"].shape  # a level for each window, frame by frame
        torch.Size([1, 25, 2])
    """

    def __init__(
        self,
        decay: StringDecay,
        onset_s: Sequence[float] = (0.0, 3.0),
        excitation_s: float = 0.025,
        burst_db: Range = Range(-60.0, 20.0),  # noqa: B008 (frozen)
    ) -> None:
        super().__init__()
        if not onset_s or excitation_s <= 0:
            raise ValueError(f"The excitation is empty: {excitation_s=}, {onset_s=}.")
        self.decay, self.burst_db = decay, burst_db
        self.num_features = decay.num_features
        self.onset_s, self.excitation_s = tuple(onset_s), excitation_s

    @torch.no_grad()
    def forward(self, batch: NoteBatch) -> Analysed:
        controls, features = self.decay(batch)
        heard = kaiser_resample(batch["audio"].float(), self.decay.sample_rate, self.decay.internal_rate)
        f0_hz = batch["f0_hz"].flatten(1).clamp(min=20.0).nanmedian(dim=1, keepdim=True).values
        levels = [self._level_db(heard, f0_hz, controls, onset_s) for onset_s in self.onset_s]
        burst = self.burst_db.normalize(torch.cat(levels, dim=-1)).clamp(1e-3, 1 - 1e-3)
        opened = torch.full_like(controls["excitation_gain"], _QUIET)
        return Analysed(controls | {"burst": burst, "excitation_gain": opened}, features)

    def _level_db(
        self, heard: Audio, f0_hz: Float[Tensor, "batch 1"], controls: dict[str, Tensor], onset_s: float
    ) -> Float[Tensor, "batch frames 1"]:
        """Of one window, as noise of full scale counts."""
        rate, frames = self.decay.internal_rate, self.decay.excitation_frames
        first, size, ringing = round(onset_s * rate), int(self.excitation_s * rate), round(_RINGING_S * rate)
        period = rate / f0_hz
        before = math.ceil(period.max().item()) + 4
        part = functional.pad(heard, (before, max(0, first + ringing - heard.shape[-1])))
        part = part[:, first : first + before + ringing]
        place = min(1.0, (onset_s + _RINGING_S / 2) / (heard.shape[-1] / rate))
        loop = self._loop(controls, round(place * (self.decay.loop_frames - 1)))
        lag, taps = fractional_delay_taps(
            period.expand(-1, part.shape[-1]).contiguous(),
            loop[:, None].expand(-1, part.shape[-1], -1).contiguous(),
            before,
        )
        left = sparse_all_pole_inverse(part, lag, taps)[:, before : before + size]
        power = functional.adaptive_avg_pool1d(left.float().square()[:, None], frames).clamp(min=_LEAST)
        noise = white_noise((1, size), generator=torch.Generator().manual_seed(0), device=heard.device)
        burst = noise * functional.interpolate(power.sqrt(), size=size, mode="linear")[:, 0]
        played = [
            sparse_all_pole(functional.pad(sound.float(), (before, ringing - size)), lag, taps)
            for sound in (left, burst)
        ]
        louder = [_power(sound[:, before + size :], rate, self.decay.sample_rate) for sound in played]
        return 10 * torch.log10(power.mT * (louder[0] / louder[1])[..., None])

    def _loop(self, controls: dict[str, Tensor], frame: int) -> Float[Tensor, "batch taps"]:
        low, high = self.decay.low_gain, self.decay.high_gain
        return (low + (high - low) * controls["loop_gain"][:, frame]) * controls["loop_taps"][:, frame]


def _power(sound: Audio, rate: int, heard_rate: int) -> Float[Tensor, "batch 1"]:
    """Of the band that a recording can have."""
    heard = kaiser_resample(sound.float(), rate, heard_rate)
    return heard.square().mean(dim=-1, keepdim=True).clamp(min=_LEAST)
