"""Every system trains under what its users ask of a trainer; DRUMBLENDER_LONG=1 asks one thing at a time."""

import os
from pathlib import Path

import pytest
import torch
from made_up import write_hits

from drumblender.lightning_cli import run_verb
from drumblender.shipped import shipped_dir

CFG = shipped_dir("cfg")
SHORT = ["--data.num_samples=3072", "--data.num_frames=13"]
SYSTEMS = {
    "drums": lambda folder: ["--data", "made_up.ModalBatches", *SHORT],
    "strings": lambda folder: ["--data", "made_up.StringBatches", "--data.num_samples=3200"],
    "remap": lambda folder: ["--data.path", write_hits(folder / "hits", count=8)],
    "pitch": lambda folder: ["--data", "made_up.ToneBatches"],
    "guitar": lambda folder: ["--data", "made_up.PhraseBatches"],
}
EACH = {
    "no logger": ["--trainer.logger=false"],
    "CSV": [
        "--trainer.logger=lightning.pytorch.loggers.CSVLogger",
        "--trainer.logger.save_dir=logs",
        "--trainer.log_every_n_steps=1",
    ],
    "2 epochs a validation": ["--trainer.check_val_every_n_epoch=2"],
    "no validation": ["--trainer.limit_val_batches=0"],
    "max_steps 1": ["--trainer.max_steps=1"],
    "bf16-mixed": ["--trainer.precision=bf16-mixed"],
    "64-true": ["--trainer.precision=64-true"],
}
TOGETHER = (
    ("no logger", "2 epochs a validation", "64-true"),
    ("CSV", "no validation", "max_steps 1", "bf16-mixed"),
)
SITUATIONS = [(name,) for name in EACH] if os.environ.get("DRUMBLENDER_LONG") else TOGETHER
BASE = [
    "--trainer.max_epochs=2",
    "--trainer.limit_train_batches=1",
    "--trainer.limit_val_batches=1",
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


@pytest.mark.parametrize("situation", SITUATIONS, ids=", ".join)
@pytest.mark.parametrize("system", SYSTEMS)
def test_a_system_trains(system, situation, train, unchecked, tmp_path):
    train(system, [option for name in situation for option in EACH[name]])
    saved = list(Path().rglob("last.ckpt"))
    assert len(saved) == 1
    content = torch.load(saved[0], weights_only=True)
    assert content["global_step"] == (1 if "max_steps 1" in situation else 2)
    if system == "remap":
        assert len(list(Path().rglob("drum_mapper.pt"))) == 1


def test_a_system_trains_in_two_processes(train, unchecked):
    train("remap", ["--trainer.devices=2", "--trainer.strategy=ddp_fork"])
    assert len(list(Path().rglob("last.ckpt"))) == 1


def test_sound_in_16_bits_is_refused_in_a_sentence(train):
    with pytest.raises(ValueError, match="bf16-true would compute sound in 16 bits: use bf16-mixed"):
        train("remap", ["--trainer.precision=bf16-true"])
