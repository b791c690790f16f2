"""Sounds whose pitch a loss should find, at 16 kHz: a sine, a missing fundamental, a square, a vowel."""

import math
from typing import NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor

from drumblender.dsp.harmonics import harmonic_bank
from drumblender.evaluation.audit import Knob

RATE = 16000
_VOWEL_HZ = ((730, 90), (1090, 110), (2440, 170), (3400, 250))  # formants of "ah" and their bandwidths


class Case(NamedTuple):
    """A kind of tone, and the fundamental it has as a target."""

    knob: Knob
    f0_hz: float

    def target(self) -> Float[Tensor, "1 samples"]:
        with torch.no_grad():
            return self.knob.render(torch.tensor([self.f0_hz], dtype=torch.float64))


def cases(num_samples: int = 4096, low_hz: float = 60.0, high_hz: float = 1000.0) -> dict[str, Case]:
    """The four cases; the knob is the fundamental, and the spectrum goes with it as the source's would."""
    return {
        "sine": Case(tone_knob([0.5], num_samples, low_hz, high_hz), 160.0),
        "missing fundamental": Case(
            tone_knob([0.0, 0.0, 0.25, 0.25, 0.25, 0.25], num_samples, low_hz, high_hz), 250.0
        ),
        "square": Case(
            tone_knob([0.5 / k if k % 2 else 0.0 for k in range(1, 32)], num_samples, low_hz, high_hz), 250.0
        ),
        "vowel": Case(vowel_knob(num_samples, low_hz, high_hz), 220.0),
    }


def tone_knob(amp: list[float], num_samples: int, low_hz: float, high_hz: float) -> Knob:
    """The fundamental of a tone with fixed amplitudes, in Hz."""
    levels = torch.tensor(amp)[None, None]

    def render(f0_hz: Tensor) -> Tensor:
        return harmonic_bank(f0_hz[:, None], levels, num_samples=num_samples, sample_rate=RATE)

    return Knob(render, low_hz, high_hz)


def vowel_knob(num_samples: int, low_hz: float, high_hz: float, harmonics: int = 60) -> Knob:
    """The fundamental of a voice whose formants stay where they are."""
    order = torch.arange(1, harmonics + 1)

    def render(f0_hz: Tensor) -> Tensor:
        partials_hz = f0_hz[:, None] * order
        gain = sum(
            (1 + ((partials_hz - centre) / width) ** 2) ** -0.5 / math.sqrt(number)
            for number, (centre, width) in enumerate(_VOWEL_HZ, 1)
        )
        amp = (0.3 * gain / order).float()[:, None]
        return harmonic_bank(f0_hz[:, None], amp, num_samples=num_samples, sample_rate=RATE)

    return Knob(render, low_hz, high_hz)
