"""Tones made from random draws: their partials, and how they sound."""

from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from drumblender.dsp.harmonics import harmonic_bank
from drumblender.types import Audio


@dataclass(frozen=True)
class ToneSettings:
    """What tones are drawn; the defaults are the published set's.

    Args:
        low_hz: Lowest fundamental.
        high_hz: Highest fundamental.
        low_amp: Least amplitude of a partial.
        high_amp: Greatest amplitude of a partial.
        num_partials: Most partials a tone has.
        min_partials: Least; None: all tones have all.
        random_mask: Any partials are left out, not the highest. The first always sounds.
        inclusive_mask: Draw each number of partials equally often. As published, the highest ones last, the
            full number never comes and one partial comes twice as often.
        harmonic: Partials are multiples of one fundamental; else each has a frequency of its own, and the
            amplitudes of a tone sum to 1.
        inharmonicity: Greatest stiffness B of a string, drawn evenly from 0: partial k is at
            ``k f0 sqrt(1 + B k^2)``.
        missing_fundamental: Share of tones without their first partial, of those that have others.
        noise_db: Loudest white noise, relative to the tone; its level is drawn evenly over the 30 dB below.
            None: no noise.
    """

    low_hz: float = 40.0
    high_hz: float = 1950.0
    low_amp: float = 0.4
    high_amp: float = 1.0
    num_partials: int = 8
    min_partials: int | None = 1
    random_mask: bool = False
    inclusive_mask: bool = False
    harmonic: bool = True
    inharmonicity: float = 0.0
    missing_fundamental: float = 0.0
    noise_db: float | None = None

    def __post_init__(self) -> None:
        if not 0 < self.low_hz <= self.high_hz or not 0 <= self.low_amp <= self.high_amp:
            raise ValueError(
                f"Need 0 < low_hz <= high_hz and 0 <= low_amp <= high_amp, got {self.low_hz} to "
                f"{self.high_hz} Hz and {self.low_amp} to {self.high_amp}."
            )
        if self.num_partials < 1 or not 1 <= (self.min_partials or 1) <= self.num_partials:
            raise ValueError(
                f"Need 1 <= min_partials <= num_partials, got {self.min_partials}, {self.num_partials}."
            )
        if self.inharmonicity < 0 or not 0 <= self.missing_fundamental <= 1:
            raise ValueError(
                f"Need inharmonicity >= 0 and missing_fundamental in [0, 1], got {self.inharmonicity}, "
                f"{self.missing_fundamental}."
            )


@dataclass(frozen=True)
class Tones:
    """Tones as numbers."""

    f0_hz: Float[Tensor, "tones pitches"]  # one, or one for every partial
    amp: Float[Tensor, "tones partials"]
    stiffness: Float[Tensor, "tones"]


def draw_tones(settings: ToneSettings, size: int, generator: torch.Generator) -> Tones:
    """Draw tones; with the published settings in the published order of draws."""
    count = settings.num_partials
    pitches = 1 if settings.harmonic else count
    f0_hz = settings.low_hz + (settings.high_hz - settings.low_hz) * torch.rand(
        size, pitches, generator=generator
    )
    amp = settings.low_amp + (settings.high_amp - settings.low_amp) * torch.rand(
        size, count, generator=generator
    )
    if settings.min_partials is not None:
        amp = amp * _mask(settings, size, generator)
    stiffness = torch.zeros(size)
    if settings.inharmonicity:
        stiffness = settings.inharmonicity * torch.rand(size, generator=generator)
    if settings.missing_fundamental:
        drop = torch.rand(size, generator=generator) < settings.missing_fundamental
        amp[drop & (amp[:, 1:] > 0).any(dim=1), 0] = 0.0
    return Tones(f0_hz, amp, stiffness)


def _mask(settings: ToneSettings, size: int, generator: torch.Generator) -> Float[Tensor, "tones partials"]:
    count = settings.num_partials
    more = torch.randint(settings.min_partials - 1, count, (size,), generator=generator)
    mask = torch.zeros(size, count)
    mask[:, 0] = 1.0
    if not settings.random_mask:
        order = torch.arange(count)
        last = more if settings.inclusive_mask else more - 1
        return torch.maximum(mask, (order <= last[:, None]).float())
    for row, number in zip(mask, more, strict=True):
        row[1 + torch.randperm(count - 1, generator=generator)[:number]] = 1.0
    return mask


@torch.no_grad()
def render_tones(settings: ToneSettings, tones: Tones, num_samples: int, sample_rate: int) -> Audio:
    """The tones as they sound, without noise and at the level they have; nothing sounds above Nyquist."""
    if settings.harmonic and not tones.stiffness.any():
        return harmonic_bank(
            tones.f0_hz, tones.amp[:, None], num_samples=num_samples, sample_rate=sample_rate, fade=True
        )
    amp = tones.amp
    if settings.harmonic:
        order = torch.arange(1, amp.shape[1] + 1)
        freq_hz = tones.f0_hz * order * (1 + tones.stiffness[:, None] * order**2).sqrt()
    else:
        freq_hz, amp = tones.f0_hz, amp / amp.sum(dim=1, keepdim=True)
    amp = amp * (freq_hz < sample_rate / 2)
    parts = [
        harmonic_bank(
            freq_hz[:, k : k + 1], amp[:, None, k : k + 1], num_samples=num_samples, sample_rate=sample_rate
        )
        for k in range(amp.shape[1])
    ]
    return torch.stack(parts).sum(dim=0)


def finish(settings: ToneSettings, audio: Audio, generator: torch.Generator) -> Audio:
    """Add the noise, and bring each peak to 0.9."""
    if settings.noise_db is not None:
        level_db = settings.noise_db - 30 * torch.rand(len(audio), 1, generator=generator)
        noise = torch.randn(audio.shape, generator=generator)
        audio = audio + noise * audio.square().mean(dim=1, keepdim=True).sqrt() * 10 ** (level_db / 20)
    return 0.9 * audio / (audio.abs().amax(dim=1, keepdim=True) + 1e-7)
