"""Which losses lead to a pitch: ``python -m experiments.pitch.descent``, under a minute on one core.

Two tables, written below ``experiments/pitch/results``. ``audit.csv``: share of 132 (target, start) pairs
whose gradient points at the target, for a sine and a harmonic tone. ``descent.csv``: where 120 steps of Adam
on f0 end for 24 harmonic tones from other pitches, with the amplitudes known.
"""

import csv
from pathlib import Path

import torch
from torch import nn

from drumblender.evaluation.audit import Knob, audit_pairs, descend
from drumblender.evaluation.audit_cases import tone_knob
from drumblender.features import STFT
from drumblender.losses import CumulativeEnergyLoss, MultiScaleSpectralLoss, SpectralTransportLoss

RESULTS = Path(__file__).parent / "results"
LOW_HZ, HIGH_HZ, NUM_SAMPLES, NUM_TONES = 60.0, 1200.0, 4096, 24
IN_OCTAVES = {"scale": "log", "balanced": True, "cutoff": None}
PACES = (0.06, 0.12)  # octaves a step at first; at the slower one 120 steps go 3.6, and the range has 4.3
HARMONIC = [0.6 * 0.8**k for k in range(8)]


def losses() -> dict[str, nn.Module]:
    """The losses that are compared, by the name they have in the tables."""
    padded = STFT(2048, window="flattop", frames="padded")
    return {
        "multi-scale": MultiScaleSpectralLoss(frames="padded"),
        "multi-scale, full frames": MultiScaleSpectralLoss(),
        "transport, as published": SpectralTransportLoss(padded),
        "transport, full frames": SpectralTransportLoss(),
        "transport of shapes, octaves": SpectralTransportLoss(**IN_OCTAVES),
        "transport, lowest 3 %": SpectralTransportLoss(**IN_OCTAVES, share=0.03),
        "cumulative energy, full frames": CumulativeEnergyLoss(),
    }


def tones(seed: int = 0) -> tuple[Knob, torch.Tensor, torch.Tensor]:
    """The knob, and targets and starts anywhere in its range."""
    generator = torch.Generator().manual_seed(seed)
    knob = tone_knob(HARMONIC, NUM_SAMPLES, LOW_HZ, HIGH_HZ)
    places = torch.rand(2, NUM_TONES, generator=generator, dtype=torch.float64) * knob.width
    return knob, knob.to_value(places[0]), knob.to_value(places[1])


def descent_row(name: str, loss: nn.Module) -> dict[str, object]:
    """Share of tones that end within 50 cents, and the median error, at each pace."""
    knob, targets, starts = tones()
    row: dict[str, object] = {"loss": name}
    for pace in PACES:
        ends = descend(loss, knob, starts, targets, learning_rate=pace)
        cents = 1200 * (ends / targets).log2().abs()
        row[f"raw pitch accuracy, {pace}"] = round((cents < 50).double().mean().item(), 3)
        row[f"median error in cents, {pace}"] = round(cents.median().item(), 2)
    return row


def audit_row(name: str, loss: nn.Module) -> dict[str, object]:
    """Shares of right gradients."""
    row: dict[str, object] = {"loss": name}
    for sound, amp in (("sine", [0.5]), ("harmonic", HARMONIC)):
        pairs = audit_pairs(loss, tone_knob(amp, NUM_SAMPLES, LOW_HZ, HIGH_HZ))
        row |= {f"{sound}, {which}": round(pairs.share(which), 3) for which in ("all", "near", "far")}
    return row


def write(rows: list[dict[str, object]], path: Path) -> None:
    """Rows of one kind as CSV, and on the screen."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w", newline="") as file:
        table = csv.DictWriter(file, list(rows[0]))
        table.writeheader()
        table.writerows(rows)
    for row in rows:
        print("  ".join(f"{value!s:>30}" if key == "loss" else f"{value:8}" for key, value in row.items()))


def main() -> None:
    torch.manual_seed(0)
    write([descent_row(*item) for item in losses().items()], RESULTS / "descent.csv")
    write([audit_row(*item) for item in losses().items()], RESULTS / "audit.csv")


if __name__ == "__main__":
    main()
