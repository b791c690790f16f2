"""What a note says about the loop of its string where nothing plucks it."""

from collections.abc import Sequence

import torch
from jaxtyping import Float
from torch import Tensor

from drumblender.dsp.all_pole import sparse_all_pole_inverse
from drumblender.dsp.bands import band_powers
from drumblender.dsp.loop_fit import fit_loop, loop_products
from drumblender.dsp.resample import kaiser_resample
from drumblender.dsp.splines import spline_upsample
from drumblender.dsp.strings import fractional_delay_taps
from drumblender.dsp.units import Range
from drumblender.features.analysis import Analysed, Analysis
from drumblender.features.string_decay import check_note, median_pitch_hz
from drumblender.types import Audio, NoteBatch

_LEAST = 1e-12
_SECTION_S = 1 / 16
_RINGING_S = 0.004  # of the resampling's filter, around a window
_INSIDE = 1e-4  # from the ends of a control's range


class StringLoop(Analysis):
    """Measures the loop filter of a string of known pitch by linear prediction.

    Outside of its windows a string repeats itself through its loop; the filter that predicts the sound best
    from what it was a period ago is found by :func:`~drumblender.dsp.loop_fit.fit_loop`. On strings that a
    :class:`~drumblender.synths.StringSynth` played, that finds the filter itself, also how it moves; a
    recording has noise, a body and partials out of tune, on which
    :class:`~drumblender.features.StringDecay` relies less.

    What the inverse of that loop leaves of the first window is the excitation. Its levels in bands are the
    features, at the frames of the excitation, in dB. The excitation filter itself is not measured:
    ``excitation_taps`` are even and ``excitation_gain`` is one number, for training to correct.

    Reads ``audio`` and ``f0_hz``, of which the median counts.

    Args:
        sample_rate: Samples per second of the audio.
        internal_rate: Samples per second of the string.
        loop_order, loop_frames, excitation_order, excitation_frames: As the synth has them.
        loop_gain: As the synth has it.
        excitation_gain: Of the excitation filter.
        num_bands: Bands of the features.
        onset_s, excitation_s: Where the windows start, and how long they are, as the synth has them.

    Raises:
        ValueError: A size out of range; of a call, a note shorter than 10 ms or not finite.

    Examples:
        >>> found = StringLoop()({"audio": torch.randn(1, 32000), "f0_hz": torch.full((1, 201), 220.0)})
        >>> found.controls["loop_taps"].shape, found.features.shape
        (torch.Size([1, 16, 3]), torch.Size([1, 25, 32]))
    """

    def __init__(
        self,
        sample_rate: int = 16000,
        internal_rate: int = 41000,
        loop_order: int = 2,
        loop_frames: int = 16,
        excitation_order: int = 5,
        excitation_frames: int = 25,
        loop_gain: Range = Range(0.0, 1.0),  # noqa: B008 (frozen)
        excitation_gain: float = 0.5,
        num_bands: int = 32,
        onset_s: Sequence[float] = (0.0, 3.0),
        excitation_s: float = 0.025,
    ) -> None:
        super().__init__()
        sizes = {"sample_rate": sample_rate, "internal_rate": internal_rate, "num_bands": num_bands}
        sizes |= {"loop_order": loop_order, "loop_frames": loop_frames}
        sizes |= {"excitation_order": excitation_order, "excitation_frames": excitation_frames}
        for name, size in sizes.items():
            if size < 1:
                raise ValueError(f"{name} is at least 1, got {size}.")
        if not onset_s or excitation_s <= 0 or not 0 < excitation_gain < 1:
            raise ValueError(
                f"Need a window, and a gain inside of 0 and 1, got {onset_s=}, {excitation_s=} and "
                f"{excitation_gain=}."
            )
        self.sample_rate, self.internal_rate = sample_rate, internal_rate
        self.loop_order, self.loop_frames, self.loop_gain = loop_order, loop_frames, loop_gain
        self.excitation = excitation_frames, excitation_order
        self.excitation_gain, self.num_features = excitation_gain, num_bands
        self.onset_s, self.excitation_s = tuple(onset_s), excitation_s
        self.hop_length = max(1, round(excitation_s * sample_rate / excitation_frames))

    @torch.no_grad()
    def forward(self, batch: NoteBatch) -> Analysed:
        audio = batch["audio"].float()
        check_note(audio, self.sample_rate)
        highest_hz = self.internal_rate / (self.loop_order + 1)
        period = self.internal_rate / median_pitch_hz(batch["f0_hz"], highest_hz)
        sound = kaiser_resample(audio, self.sample_rate, self.internal_rate)
        products = loop_products(
            sound,
            period[:, 0],
            self._free(sound),
            loop_order=self.loop_order,
            sections=max(1, round(sound.shape[1] / self.internal_rate / _SECTION_S)),
        )
        loop = fit_loop(
            products, frames=self.loop_frames, gain=self.loop_gain, loop_order=self.loop_order
        ).to(audio)
        total = loop.sum(dim=-1, keepdim=True)
        even = audio.new_full((len(audio), *self.excitation), 0.5)
        controls = {
            "loop_taps": (loop / total).clamp(_INSIDE, 1 - _INSIDE),
            "loop_gain": self.loop_gain.normalize(total).clamp(_INSIDE, 1 - _INSIDE),
            "excitation_taps": even,
            "excitation_gain": torch.full_like(even[..., :1], self.excitation_gain),
        }
        return Analysed(controls, self._levels_db(sound, period, loop))

    def _free(self, sound: Audio) -> Tensor:
        """Where nothing plucks, and the resampling's filter does not hear an end."""
        free = torch.ones(sound.shape[1], dtype=torch.bool, device=sound.device)
        for onset_s in self.onset_s:
            first, last = onset_s - _RINGING_S, onset_s + self.excitation_s + _RINGING_S
            free[max(0, round(first * self.internal_rate)) : max(0, round(last * self.internal_rate))] = False
        free[-round(2 * _RINGING_S * self.internal_rate) :] = False
        return free

    def _levels_db(
        self, sound: Audio, period: Float[Tensor, "batch 1"], loop: Float[Tensor, "batch frames taps"]
    ) -> Float[Tensor, "batch excitation_frames bands"]:
        """Of what the inverse loop leaves in the first window."""
        first = round(self.onset_s[0] * self.internal_rate)
        size = round(self.excitation_s * self.internal_rate)
        taps = spline_upsample(loop, sound.shape[1], 0, first + size)
        lag, taps = fractional_delay_taps(
            period.expand(-1, first + size).contiguous(), taps, int(period.max().ceil()) + 1
        )
        heard = torch.nn.functional.pad(sound, (0, max(0, first + size - sound.shape[1])))[:, : first + size]
        left = sparse_all_pole_inverse(heard, lag, taps)[:, first:]
        burst = kaiser_resample(left, self.internal_rate, self.sample_rate)
        bands = {"num_bands": self.num_features, "low_hz": 50.0, "high_hz": 0.49 * self.sample_rate}
        powers = band_powers(
            burst, n_fft=128, hop_length=self.hop_length, sample_rate=self.sample_rate, scale="mel", **bands
        )
        frames = torch.nn.functional.interpolate(powers.mT, size=self.excitation[0], mode="nearest").mT
        return 10 * torch.log10(frames.clamp(min=_LEAST))
