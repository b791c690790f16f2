"""A test in two processes is the test in one: each item counts once, with the same noise."""

import lightning as L
import pytest
import torch
from torch.utils.data import DataLoader

from drumblender.callbacks import DealBatches, ExportWavs
from drumblender.losses import MultiResolutionSTFTLoss
from drumblender.metrics import LogSpectralDistance
from drumblender.synths import Synth
from drumblender.tasks import DrumTask
from drumblender.tasks.voices import Voice

ITEMS = 7  # an odd number, and a last batch that is not full


class Hiss(Synth):
    """White noise, drawn for the whole batch at once."""

    def __init__(self):
        super().__init__()
        self.control_sizes = {"amp": 1}

    def forward(self, controls, num_samples, source=None):
        amp = controls["amp"].mean(dim=1)
        return amp * torch.randn(len(amp), num_samples)


def metrics_of(processes, items=ITEMS, *callbacks):
    torch.manual_seed(0)
    task = DrumTask(
        {"noise": Voice(Hiss())},
        MultiResolutionSTFTLoss(),
        16000,
        metrics={"lsd": LogSpectralDistance(n_fft=512, hop_length=256)},
    )
    generator = torch.Generator().manual_seed(0)
    sounds = [torch.randn(4000, generator=generator) * (i + 1) for i in range(items)]
    items = [{"audio": sound, "amp": torch.full((1, 1), 0.5)} for sound in sounds]
    trainer = L.Trainer(
        accelerator="cpu",
        devices=processes,
        strategy="ddp_fork" if processes > 1 else "auto",
        logger=False,
        callbacks=[DealBatches(), *callbacks],
        enable_progress_bar=False,
        enable_model_summary=False,
    )
    (metrics,) = trainer.test(task, DataLoader(items, batch_size=2), verbose=False)
    return metrics


@pytest.mark.parametrize("items", [1, 2, ITEMS])  # 2: one batch, which none of both can do without
def test_two_processes_give_the_metrics_of_one(items, tmp_path, unchecked):
    one, two = metrics_of(1, items), metrics_of(2, items, ExportWavs(str(tmp_path), baselines=False))
    assert len((tmp_path / "metrics.csv").read_text().splitlines()) == 1 + items
    assert {"test/loss", "test/lsd"} <= one.keys() and one.keys() == two.keys()
    assert two == pytest.approx(one, rel=1e-6)
