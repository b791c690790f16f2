"""Which losses bring `match` to a frequency: ``python -m experiments.pitch.detuned``.

A struck bar, a harmonic tone and a plucked string are searched from starts that are wrong in nothing but
their frequency, by up to 14 semitones either way, with all controls free; the string is plucked by another
burst of noise. How far the frequency then is from the target's goes to ``results/detuned.csv``.
"""

from typing import NamedTuple

import torch
from torch import Tensor, nn

from drumblender.dsp.units import Range
from drumblender.losses import (
    CumulativeEnergyLoss,
    MultiScaleSpectralLoss,
    SpectralTransportLoss,
    WeightedLoss,
)
from drumblender.losses.spectral import MultiResolutionSTFTLoss
from drumblender.matching.match import match
from drumblender.synths import DampedModalSynth, HarmonicSynth, StringSynth, Synth
from drumblender.types import Controls
from experiments.pitch.descent import IN_OCTAVES, RESULTS, write

RATE, NUM_SAMPLES = 16000, 8000
OFF_CENTS = (-1400, -700, -200, 200, 700, 1400)
RENDERS, LEARNING_RATE = 150, 0.05
PITCH_HZ, LEVEL_DB = Range(60, 2000, log=True), Range(-60, 0)


class Target(NamedTuple):
    """A sound that is known, and the synth that is to find it."""

    audio: Tensor
    synth: Synth
    units: Controls  # of the sound
    frequency: str  # which of them is put out of tune

    def cents(self, loss: nn.Module, off: float) -> float:
        """Mean distance of the frequencies where a search ends that begins so many cents off."""
        wrong = self.units | {self.frequency: self.units[self.frequency] * 2 ** (off / 1200)}
        start = self.synth.from_units(wrong)
        found = match(self.audio, self.synth, loss, renders=RENDERS, lr=LEARNING_RATE, init=start)
        return 1200 * (found.units[self.frequency] / self.units[self.frequency]).log2().abs().mean().item()


def targets() -> dict[str, Target]:
    """A free bar of four modes, a tone of eight harmonics, and a string."""
    freq_hz, t60_s = Range(60, 8000, log=True), Range(0.05, 1.5, log=True)
    modes = DampedModalSynth(4, RATE, freq_hz=freq_hz, t60_s=t60_s, level_db=LEVEL_DB)
    harmonics = HarmonicSynth(8, RATE, f0_hz=PITCH_HZ, level_db=LEVEL_DB)
    ratios = torch.tensor([[[1.0, 2.76, 5.40, 8.93]]])
    bar = {"freq_hz": 330 * ratios, "t60_s": 0.6 / ratios.sqrt(), "level_db": _falling(4)}
    tone = {"f0_hz": torch.full((1, 1, 1), 220.0), "level_db": _falling(8)}
    middle = {name: torch.full((1, 1, size), 0.5) for name, size in _string(0).control_sizes.items()}
    pluck = _string(0).to_units(middle) | {"f0_hz": torch.full((1, 1, 1), 196.0)}
    synths = {
        "bar": (modes, modes, bar, "freq_hz"),
        "tone": (harmonics, harmonics, tone, "f0_hz"),
        "string": (_string(0), _string(1), pluck, "f0_hz"),
    }
    found = {}
    for name, (plays, searches, units, frequency) in synths.items():
        with torch.no_grad():
            audio = plays(plays.from_units(units), NUM_SAMPLES)[0]
        found[name] = Target(audio, searches, units, frequency)
    return found


def _falling(parts: int) -> Tensor:
    """Levels in dB, each 4 below the one before."""
    return -12 - 4 * torch.arange(float(parts))[None, None]


def _string(seed: int) -> StringSynth:
    sizes = {"loop_frames": 1, "excitation_frames": 1}
    gain = Range(0.9, 1.0)
    return StringSynth(
        RATE, min_f0_hz=60.0, f0_hz=PITCH_HZ, excitation="burst", loop_gain=gain, seed=seed, **sizes
    )


def losses() -> dict[str, nn.Module]:
    """The losses that are compared, by the name they have in the table."""
    return {
        "multi-resolution STFT": MultiResolutionSTFTLoss(),
        "multi-scale, full frames": MultiScaleSpectralLoss(),
        "transport, full frames": SpectralTransportLoss(),
        "transport of shapes, octaves": SpectralTransportLoss(**IN_OCTAVES),
        "cumulative energy, full frames": CumulativeEnergyLoss(),
        "transport of shapes + multi-scale": WeightedLoss(
            {"transport": SpectralTransportLoss(**IN_OCTAVES), "spectrum": MultiScaleSpectralLoss()},
            {"transport": 100.0},
        ),
    }


def row(name: str, loss: nn.Module) -> dict[str, object]:
    """For each target: the middle and the largest of the distances, in cents."""
    found: dict[str, object] = {"loss": name}
    for kind, target in targets().items():
        cents = sorted(target.cents(loss, off) for off in OFF_CENTS)
        middle = (cents[len(cents) // 2] + cents[(len(cents) - 1) // 2]) / 2
        found |= {f"{kind}, median": round(middle, 1), f"{kind}, worst": round(cents[-1], 1)}
    return found


def main() -> None:
    torch.manual_seed(0)
    write([row(*item) for item in losses().items()], RESULTS / "detuned.csv")


if __name__ == "__main__":
    main()
