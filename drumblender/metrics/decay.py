"""Metrics on the modes of a struck thing: whether they ring at the right pitch and for as long."""

import math
from typing import NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor

from drumblender.dsp.checks import check_sounds
from drumblender.dsp.spectra import power, stft
from drumblender.metrics.base import ItemMetric
from drumblender.types import Audio

_FALL_DB = 30.0  # over which a decay is measured, of which a noise floor often leaves no more
_LONGEST_S = 30.0
_FLOOR = 1e-12


class Modes(NamedTuple):
    """Modes of one sound, the loudest first."""

    freq_hz: Float[Tensor, "modes"]
    bin: Float[Tensor, "modes"]


class _ModeMetric(ItemMetric):
    """Mean, over the modes of the target, of an error of the prediction.

    Args:
        sample_rate: Samples per second.
        num_modes: The loudest so many modes of the target are compared.
        n_fft: Points of the FFT and of its periodic Hann window; at 48 kHz, 4096 tells modes apart that are
            40 Hz from each other.
        hop_length: Samples between frames.
        floor_db: Modes this much below the loudest do not count.
        reach_cents: A mode of the prediction that is farther away is not that of the target.

    Raises:
        ValueError: A size below 1, or a floor or reach that is not above 0.
    """

    def __init__(
        self,
        sample_rate: int,
        num_modes: int = 8,
        n_fft: int = 4096,
        hop_length: int = 256,
        floor_db: float = 40.0,
        reach_cents: float = 100.0,
    ) -> None:
        super().__init__()
        if min(sample_rate, num_modes, n_fft, hop_length) < 1:
            raise ValueError(f"Sizes start at 1, got {sample_rate=}, {num_modes=}, {n_fft=}, {hop_length=}.")
        if not (floor_db > 0 and reach_cents > 0):
            raise ValueError(f"Needs a floor and a reach above 0, got {floor_db=}, {reach_cents=}.")
        self.sample_rate, self.num_modes, self.n_fft, self.hop_length = (
            sample_rate,
            num_modes,
            n_fft,
            hop_length,
        )
        self.floor_db, self.reach_cents = floor_db, reach_cents

    def per_item(self, prediction: Audio, target: Audio) -> Float[Tensor, "batch"]:
        check_sounds(prediction, target)
        spectra = [
            power(stft(audio, self.n_fft, self.hop_length, pad_mode="constant"))
            for audio in (prediction, target)
        ]
        errors = [self._error(*pair) for pair in zip(*spectra, strict=True)]
        return torch.stack(errors).to(prediction)

    def _error(self, prediction: Tensor, target: Tensor) -> Float[Tensor, ""]:
        raise NotImplementedError

    def _target_modes(self, spectrum: Float[Tensor, "frames bins"]) -> Modes:
        level_db = _mean_level_db(spectrum)
        peaks = _peaks(level_db, float(level_db.max()) - self.floor_db)
        loudest = peaks[level_db[peaks].argsort(descending=True)][: self.num_modes]
        place = _between_bins(level_db, loudest)
        return Modes(place * self.sample_rate / self.n_fft, place)

    def _nearest(self, spectrum: Float[Tensor, "frames bins"], modes: Modes) -> Float[Tensor, "modes"]:
        """Where the mode of the prediction nearest to each of the target is, in bins; NaN where none is."""
        level_db = _mean_level_db(spectrum)
        peaks = _between_bins(level_db, _peaks(level_db, float(level_db.max()) - self.floor_db - 20))
        if not len(peaks):
            return torch.full_like(modes.bin, math.nan)
        cents = _cents(peaks[None, :], modes.bin[:, None]).abs()
        nearest = cents.argmin(dim=1)
        found = peaks[nearest]
        return torch.where(cents.amin(dim=1) <= self.reach_cents, found, math.nan)


class ModeFrequencyError(_ModeMetric):
    """How many cents the modes of the prediction are from those of the target, in the mean.

    A mode of the target that the prediction has not counts as ``reach_cents``. 0 where the target has none.

    Examples:
        >>> t = torch.arange(48000) / 48000
        >>> tones = [(torch.exp(-5 * t) * torch.sin(2 * torch.pi * hz * t))[None] for hz in (445, 440)]
        >>> round(ModeFrequencyError(48000).per_item(*tones).item())  # 1200 log2(445 / 440) cents
        20
    """

    def _error(self, prediction: Tensor, target: Tensor) -> Float[Tensor, ""]:
        modes = self._target_modes(target)
        if not len(modes.bin):
            return target.new_zeros(())
        cents = _cents(self._nearest(prediction, modes), modes.bin).abs()
        return cents.nan_to_num(self.reach_cents).mean()


class ModeDecayError(_ModeMetric):
    """How many octaves the decay times of modes are apart, in the mean: 1 is twice as long or half as long.

    The time to fall by 60 dB is that of a straight line through the level of a mode in decibels, from its
    loudest frame to 30 dB below. It is that of the prediction at its own mode, or at the target's frequency
    where it has none within ``reach_cents``. 0 where the target has no modes; at most ``longest``.

    Args:
        longest: Octaves that a mode counts at most, and what it counts where the prediction has nothing.

    Examples:
        >>> t = torch.arange(48000) / 48000
        >>> tones = [(1000 ** (-t / t60_s) * torch.sin(2 * torch.pi * 440 * t))[None] for t60_s in (1.0, 0.5)]
        >>> round(ModeDecayError(48000).per_item(*tones).item(), 1)
        1.0
    """

    def __init__(
        self,
        sample_rate: int,
        num_modes: int = 8,
        n_fft: int = 4096,
        hop_length: int = 256,
        floor_db: float = 40.0,
        reach_cents: float = 100.0,
        longest: float = 5.0,
    ) -> None:
        super().__init__(sample_rate, num_modes, n_fft, hop_length, floor_db, reach_cents)
        if not longest > 0:
            raise ValueError(f"longest is octaves above 0, got {longest}.")
        self.longest = longest

    def _error(self, prediction: Tensor, target: Tensor) -> Float[Tensor, ""]:
        modes = self._target_modes(target)
        if not len(modes.bin):
            return target.new_zeros(())
        found = self._nearest(prediction, modes)
        found = torch.where(found.isnan(), modes.bin, found)
        pairs = zip(found.tolist(), modes.bin.tolist(), strict=True)
        octaves = [self._octaves(self._t60_s(prediction, a), self._t60_s(target, b)) for a, b in pairs]
        return target.new_tensor(octaves).mean()

    def _octaves(self, prediction_s: float, target_s: float) -> float:
        if min(prediction_s, target_s) <= 0:
            return 0.0 if prediction_s == target_s else self.longest
        return min(abs(math.log2(prediction_s / target_s)), self.longest)

    def _t60_s(self, spectrum: Float[Tensor, "frames bins"], place: float) -> float:
        """Seconds; 0 of silence."""
        center = round(place)
        levels = spectrum[:, max(center - 1, 0) : center + 2].sum(dim=1).double()
        if levels.max() < _FLOOR:
            return 0.0
        level_db = 10 * torch.log10(levels + _FLOOR)
        first = int(level_db.argmax())
        low = (level_db[first:] < level_db[first] - _FALL_DB).nonzero()
        last = first + (int(low[0]) if len(low) else len(level_db) - first)
        fall = level_db[first : max(last, first + 2)]
        if len(fall) < 2:
            return 0.0
        frame = torch.arange(len(fall), dtype=torch.float64, device=fall.device)
        frame = frame - frame.mean()
        slope = float((frame * fall).sum() / frame.square().sum())  # dB a frame
        if slope >= 0:
            return _LONGEST_S
        return min(-60 / slope * self.hop_length / self.sample_rate, _LONGEST_S)


def _mean_level_db(spectrum: Float[Tensor, "frames bins"]) -> Float[Tensor, "bins"]:
    return 10 * torch.log10(spectrum.double().mean(dim=0) + _FLOOR)


def _peaks(level_db: Float[Tensor, "bins"], above_db: float) -> Tensor:
    inner = level_db[1:-1]
    marked = (inner > level_db[:-2]) & (inner > level_db[2:]) & (inner > above_db)
    return marked.nonzero()[:, 0] + 1


def _between_bins(level_db: Float[Tensor, "bins"], peaks: Tensor) -> Float[Tensor, "modes"]:
    """The tops of the parabolas through three levels."""
    left, center, right = (level_db[peaks + step] for step in (-1, 0, 1))
    return peaks + (left - right) / (2 * (left - 2 * center + right))


def _cents(a: Tensor, b: Tensor) -> Tensor:
    return 1200 * torch.log2(a / b)
