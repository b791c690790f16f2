"""Every system trains under what its users ask of a trainer."""

from pathlib import Path

import pytest
import torch
from made_up import write_hits

from drumblender.lightning_cli import run_verb
from drumblender.shipped import shipped_dir

CFG = shipped_dir("cfg")
SYSTEMS = {
    "drums": lambda folder: ["--data", "made_up.ModalBatches"],
    "strings": lambda folder: ["--data", "made_up.StringBatches", "--data.num_samples=3200"],
    "remap": lambda folder: ["--data.path", write_hits(folder / "hits", count=8)],
}
SITUATIONS = {
    "no logger": ["--trainer.logger=false"],
    "CSV": [
        "--trainer.logger=lightning.pytorch.loggers.CSVLogger",
        "--trainer.logger.save_dir=logs",
        "--trainer.log_every_n_steps=1",
    ],
    "2 epochs a validation": ["--trainer.check_val_every_n_epoch=2"],
    "no validation": ["--trainer.limit_val_batches=0"],
    "max_steps 2": ["--trainer.max_steps=2"],
    "bf16-mixed": ["--trainer.precision=bf16-mixed"],
    "64-true": ["--trainer.precision=64-true"],
}
BASE = [
    "--trainer.max_epochs=3",
    "--trainer.limit_train_batches=1",
    "--trainer.accelerator=cpu",
    "--trainer.enable_progress_bar=false",
    "--trainer.enable_model_summary=false",
]


@pytest.fixture
def train(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)

    def run(system, options):
        args = ["-c", str(CFG / f"{system}.yaml"), *SYSTEMS[system](tmp_path), *BASE, *options]
        assert run_verb("fit", args) == 0

    return run


@pytest.mark.parametrize("situation", SITUATIONS)
@pytest.mark.parametrize("system", SYSTEMS)
def test_a_system_trains(system, situation, train, unchecked, tmp_path):
    train(system, SITUATIONS[situation])
    saved = list(Path().rglob("last.ckpt"))
    assert len(saved) == 1
    content = torch.load(saved[0], weights_only=True)
    assert content["global_step"] == (2 if situation == "max_steps 2" else 3)
    if system == "remap":
        assert len(list(Path().rglob("drum_mapper.pt"))) == 1


@pytest.mark.parametrize("system", ["remap"])
def test_a_system_trains_in_two_processes(system, train, unchecked):
    train(system, ["--trainer.devices=2", "--trainer.strategy=ddp_fork"])
    assert len(list(Path().rglob("last.ckpt"))) == 1


def test_sound_in_16_bits_is_refused_in_a_sentence(train):
    with pytest.raises(ValueError, match="bf16-true would compute sound in 16 bits: use bf16-mixed"):
        train("remap", ["--trainer.precision=bf16-true"])
