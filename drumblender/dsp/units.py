"""Hz, MIDI, radians a sample, decibels and cents; ranges that meet (0, 1)."""

import math
from dataclasses import dataclass
from typing import TypeVar

import torch
from jaxtyping import Float
from torch import Tensor

Number = TypeVar("Number", Tensor, float)
"""A tensor of any shape, or one number."""

A4_HZ = 440.0
A4_MIDI = 69.0


def clip(value: Float[Tensor, "..."], low: float, high: float) -> Float[Tensor, "..."]:
    """Clamp with a gradient of 1 at both ends, where a preset may begin: torch 2.14's has none there.

    Examples:
        >>> value = torch.tensor([-1.0, 0.0, 0.5, 1.0], requires_grad=True)
        >>> clip(value, 0, 1).sum().backward()
        >>> value.grad.tolist()
        [0.0, 1.0, 1.0, 1.0]
    """
    inside = (value >= low) & (value <= high)
    return torch.where(inside, value, value.detach().clamp(low, high))


def hz_to_midi(freq_hz: Float[Tensor, "..."]) -> Float[Tensor, "..."]:
    """MIDI note number, not rounded. Frequencies at or below 0 give -inf or NaN.

    Examples:
        >>> hz_to_midi(torch.tensor([220.0, 440.0]))
        tensor([57., 69.])
    """
    return 12 * torch.log2(freq_hz / A4_HZ) + A4_MIDI


def midi_to_hz(note_midi: Float[Tensor, "..."]) -> Float[Tensor, "..."]:
    """Equal-tempered frequency in Hz, A4 = 440 Hz.

    Examples:
        >>> midi_to_hz(torch.tensor([57.0, 69.0]))
        tensor([220., 440.])
    """
    return A4_HZ * torch.exp2((note_midi - A4_MIDI) / 12)


def hz_to_rad(freq_hz: Float[Tensor, "..."], sample_rate: float) -> Float[Tensor, "..."]:
    """Radians a sample: Nyquist is pi.

    Examples:
        >>> hz_to_rad(torch.tensor([8000.0]), sample_rate=16000)
        tensor([3.1416])
    """
    return freq_hz * (2 * math.pi / sample_rate)


def rad_to_hz(freq_rad: Float[Tensor, "..."], sample_rate: float) -> Float[Tensor, "..."]:
    """Hz from radians a sample.

    Examples:
        >>> rad_to_hz(torch.tensor([torch.pi]), sample_rate=16000)
        tensor([8000.])
    """
    return freq_rad * (sample_rate / (2 * math.pi))


def db_to_gain(level_db: Float[Tensor, "..."]) -> Float[Tensor, "..."]:
    """Linear amplitude from decibels: 0 dB is 1, -20 dB is 0.1.

    Examples:
        >>> db_to_gain(torch.tensor([0.0, -20.0]))
        tensor([1.0000, 0.1000])
    """
    return torch.pow(10.0, level_db / 20)


def gain_to_db(gain: Float[Tensor, "..."], *, floor_db: float = -120.0) -> Float[Tensor, "..."]:
    """Decibels from linear amplitude, never below ``floor_db``.

    Examples:
        >>> gain_to_db(torch.tensor([1.0, 0.1, 0.0]))
        tensor([   0.,  -20., -120.])
    """
    return 20 * torch.log10(gain.abs().clamp(min=10 ** (floor_db / 20)))


def cents_between(freq_hz: Float[Tensor, "..."], reference_hz: Float[Tensor, "..."]) -> Float[Tensor, "..."]:
    """How far above the reference, in cents (1200 an octave).

    Examples:
        >>> cents_between(torch.tensor(880.0), torch.tensor(440.0))
        tensor(1200.)
    """
    return 1200 * torch.log2(freq_hz / reference_hz)


@dataclass(frozen=True)
class Range:
    """Maps a control in (0, 1) to a physical unit and back.

    Args:
        low: Value at 0.
        high: Value at 1, above ``low``.
        log: Spread ratios evenly instead of differences; needs ``low`` above 0.

    Examples:
        >>> cutoff_hz = Range(20, 20000, log=True)
        >>> round(cutoff_hz.denormalize(0.5)), cutoff_hz.normalize(20)
        (632, 0.0)
    """

    low: float
    high: float
    log: bool = False

    def __post_init__(self) -> None:
        if not (math.isfinite(self.low) and math.isfinite(self.high) and self.low < self.high):
            raise ValueError(f"A range needs finite low < high, got low={self.low}, high={self.high}.")
        if self.log and self.low <= 0:
            raise ValueError(f"A logarithmic range needs low above 0, got low={self.low}.")

    def denormalize(self, unit: Number) -> Number:
        """From (0, 1) to the unit of the range. Values outside are extrapolated, not clipped.

        Examples:
            >>> round(Range(20, 20000, log=True).denormalize(0.5), 3)
            632.456
        """
        if not self.log:
            return self.low + (self.high - self.low) * unit
        exp = torch.exp if isinstance(unit, Tensor) else math.exp
        return self.low * exp(unit * math.log(self.high / self.low))

    def normalize(self, value: Number) -> Number:
        """From the unit of the range to (0, 1). Values outside are extrapolated, not clipped.

        Examples:
            >>> Range(-60, 0).normalize(-30.0)
            0.5
        """
        if not self.log:
            return (value - self.low) / (self.high - self.low)
        log = torch.log if isinstance(value, Tensor) else math.log
        return log(value / self.low) / math.log(self.high / self.low)
