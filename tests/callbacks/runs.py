"""A task of one number that learns to scale a sound, and runs of it."""

import lightning as L
import torch
from torch import nn
from torch.utils.data import DataLoader

from drumblender.metrics import LogSpectralDistance

RATE = 8000


class Scale(L.LightningModule):
    sample_rate = RATE

    def __init__(self):
        super().__init__()
        self.gain = nn.Parameter(torch.tensor(0.5))
        self.metrics = nn.ModuleDict({"lsd": LogSpectralDistance(256, 64)})

    def training_step(self, batch, batch_idx):
        prediction = self.gain * batch["audio"]
        loss = (prediction - batch["audio"]).square().mean()
        return {"loss": loss, "prediction": prediction.detach(), "target": batch["audio"]}

    def validation_step(self, batch, batch_idx):
        step = self.training_step(batch, batch_idx)
        self.log("validation/loss", step["loss"])
        return step

    test_step = training_step

    def predict_step(self, batch, batch_idx):
        return {"prediction": self.gain * batch["audio"], "target": batch["audio"]}

    def configure_optimizers(self):
        return torch.optim.SGD(self.parameters(), lr=0.1)


def sounds(count=5, num_samples=1200, names=None):
    generator = torch.Generator().manual_seed(3)
    audio = 0.3 * torch.randn(count, num_samples, generator=generator)
    items = [{"audio": sound} for sound in audio]
    for item, name in zip(items, names or [], strict=False):
        item["name"] = name
    return DataLoader(items, batch_size=2)


def trainer(folder, *callbacks, **settings):
    quiet = {
        "accelerator": "cpu",
        "enable_progress_bar": False,
        "enable_model_summary": False,
        "enable_checkpointing": False,
        "max_epochs": 1,
        "logger": False,
        "log_every_n_steps": 1,
    }
    return L.Trainer(default_root_dir=folder, callbacks=list(callbacks), **quiet | settings)
