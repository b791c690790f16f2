"""Play two voices of one task on a batch: a tone at a given pitch, and noise that is free to learn."""

import torch
from torch import nn

import drumblender as db

RATE = 16000

tone = db.synths.HarmonicSynth(num_harmonics=20, sample_rate=RATE)
noise = db.synths.NoiseSynth(num_bands=32, win_length=256, level_db=db.Range(-80, 0))
task = db.tasks.DrumTask(
    voices={
        "tone": db.tasks.Voice(tone, db.controllers.GivenControls()),
        "noise": db.tasks.Voice(noise, db.controllers.FreeControls(num_frames=8)),
    },
    loss=nn.L1Loss(),
    sample_rate=RATE,
)
batch = {
    "audio": torch.zeros(1, RATE),  # how long to play
    "f0_hz": torch.full((1, 2), 220.0),
    "amp": torch.tensor([0.3, 0.15, 0.1] + 17 * [0.0]).expand(1, 2, -1),
}
for name, sound in task.stems(batch).items():
    db.write(f"{name}.wav", sound[0].detach(), RATE)
