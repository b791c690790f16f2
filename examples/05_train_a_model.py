"""Train in plain PyTorch Lightning: a network learns to shape noise like the sounds it hears."""

import lightning as L
import torch
from torch.utils.data import DataLoader

import drumblender as db

RATE = 16000

encoder = db.encoders.SoundStreamEncoder(hidden_channels=8, output_channels=32, strides=(4, 4, 8))
noise = db.synths.NoiseSynth(num_bands=64, win_length=256, level_db=db.Range(-80, 0))
task = db.tasks.DrumTask(
    voices={"noise": db.tasks.Voice(noise, db.controllers.HeardControls(encoder))},
    loss=db.losses.MultiResolutionSTFTLoss(),
    sample_rate=RATE,
)
task.configure_optimizers = lambda: torch.optim.Adam(task.parameters(), lr=3e-3)
fade = torch.linspace(0, -8, RATE // 2).exp()
hits = [{"audio": 0.5 * fade * torch.randn(RATE // 2)} for _ in range(16)]
trainer = L.Trainer(max_epochs=2, accelerator="cpu", logger=False, enable_checkpointing=False)
trainer.fit(task, DataLoader(hits, batch_size=8))
