"""What a short training of a remapping leaves behind."""

import csv

import lightning as L
import pytest
import soundfile
import torch
from torch.utils.data import DataLoader

from drumblender.callbacks import ExportWavs, SaveMapper, SweepOnsets
from drumblender.controllers import LinearMapping, MappedControls
from drumblender.features import RMS, CascadingFrameExtractor
from drumblender.synths import Snare808
from drumblender.tasks import RemapTask

RATE = 8000
PRESET = "cfg/presets/808_snare_1.json"


def test_a_run_leaves_a_sweep_a_picture_and_a_mapper(tmp_path):
    features = CascadingFrameExtractor([RMS(db=True)], [2], frame_size=256, hop_length=256)
    synth = Snare808(RATE, noise_samples=512)
    task = RemapTask(MappedControls(LinearMapping(3, 14, init_std=0.3), PRESET), synth, features, RATE)
    task.configure_optimizers = lambda: torch.optim.Adam(task.mapping.mapper.parameters(), lr=1e-3)
    rows = [{"onset": torch.rand(3), "difference": torch.zeros(1), "weight": torch.ones(1)} for _ in range(4)]
    trainer = L.Trainer(
        max_epochs=1,
        accelerator="cpu",
        logger=False,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        default_root_dir=tmp_path,
        callbacks=[SweepOnsets(num_hits=3), SaveMapper()],
    )
    trainer.fit(task, DataLoader(rows, batch_size=2))
    sound, rate = soundfile.read(tmp_path / "audio" / "sweep.wav")
    assert rate == RATE and len(sound) == 3 * 512
    assert (tmp_path / "plots" / "parameter_modulations.png").stat().st_size > 1000
    exported = torch.jit.load(tmp_path / "torchscript" / "drum_mapper.pt")
    onset = torch.rand(1, 3)
    assert torch.allclose(exported(onset), task.mapping.parameter_mapper()(onset))
    assert not any(value.requires_grad for value in exported.parameters())
    # Without hits to validate with, schedules watch the training's loss.
    assert trainer.callback_metrics["validation/loss"] == trainer.callback_metrics["train/loss_epoch"]


def test_a_test_writes_what_was_played_and_the_errors_of_each_hit(tmp_path):
    features = CascadingFrameExtractor([RMS(db=True)], [2], frame_size=256, hop_length=256)
    synth = Snare808(RATE, noise_samples=512)
    task = RemapTask(MappedControls(LinearMapping(3, 14), PRESET), synth, features, RATE)
    rows = [
        {"onset": torch.zeros(3), "difference": torch.tensor([float(i)]), "weight": torch.ones(1)}
        for i in range(3)
    ]
    quiet = {"logger": False, "enable_progress_bar": False, "enable_model_summary": False}
    export = ExportWavs(str(tmp_path / "test"))
    trainer = L.Trainer(accelerator="cpu", callbacks=[export], default_root_dir=tmp_path, **quiet)
    (means,) = trainer.test(task, DataLoader(rows, batch_size=2), verbose=False)
    assert len(list((tmp_path / "test" / "pred").glob("*.wav"))) == 3
    assert not (tmp_path / "test" / "target").exists()
    with (tmp_path / "test" / "metrics.csv").open(newline="") as file:
        table = list(csv.DictReader(file))
    assert [float(row["preset_RMS_0_2_mean"]) for row in table] == [0, 1, 2]
    errors = [float(row["RMS_0_2_mean"]) for row in table]
    assert sum(errors) / 3 == pytest.approx(means["test/RMS_0_2_mean"], rel=1e-5)


def test_a_sweep_has_two_ends():
    with pytest.raises(ValueError, match="num_hits=1"):
        SweepOnsets(num_hits=1)
