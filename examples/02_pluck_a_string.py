"""Pluck a Karplus-Strong string, and bend its pitch while it rings."""

import torch

import drumblender as db

RATE = 16000

string = db.synths.StringSynth(sample_rate=RATE, excitation="burst", onset_s=(0.0,))
controls = string.from_units(
    {
        "f0_hz": torch.linspace(196.0, 220.0, 20).view(1, -1, 1),  # from G3 to A3
        "loop_taps": torch.tensor([0.2, 0.6, 0.2]).expand(1, 16, 3),  # a mild low-pass
        "loop_gain": 0.996,
        "excitation_taps": 0.5,
        "excitation_gain": 0.9,
        "burst_db": -20.0,
    }
)
db.write("string.wav", string(controls, num_samples=2 * RATE)[0], RATE)
