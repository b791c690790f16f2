"""Strike a bank of damped modes, in Hz and seconds, and write the sound."""

import torch

import drumblender as db

RATE = 44100

bell = db.synths.DampedModalSynth(
    num_modes=5,
    sample_rate=RATE,
    freq_hz=db.Range(50, 8000, log=True),
    t60_s=db.Range(0.05, 8, log=True),
)
# A church bell's partials: hum, prime, tierce, quint and nominal.
controls = bell.from_units(
    {
        "freq_hz": torch.tensor([[[220.0, 440.0, 523.0, 660.0, 880.0]]]),
        "t60_s": torch.tensor([[[6.0, 4.0, 3.0, 2.0, 1.5]]]),
        "amp": torch.tensor([[[0.15, 0.2, 0.15, 0.1, 0.2]]]),
    }
)
db.write("bell.wav", bell(controls, num_samples=4 * RATE)[0], RATE)
