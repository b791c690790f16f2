import logging
import stat
from pathlib import Path
from types import SimpleNamespace

import pytest
from callbacks.runs import Scale, sounds, trainer
from jsonargparse import dict_to_namespace
from lightning.pytorch.callbacks import ModelCheckpoint
from lightning.pytorch.cli import LightningArgumentParser
from lightning.pytorch.loggers import WandbLogger

from drumblender.callbacks import CleanWandbCache
from drumblender.callbacks.sounds import run_folder
from drumblender.checkpoint_file import save_checkpoint
from drumblender.resume_from import folder_of_runs, resume_newest
from drumblender.run_files import SaveRunConfig


@pytest.fixture
def program(tmp_path, monkeypatch):
    """A ``wandb`` program that notes what it is asked for."""
    notes, script = tmp_path / "notes", tmp_path / "bin" / "wandb"
    script.parent.mkdir()
    script.write_text(f'#!/bin/sh\necho "$@" >> {notes}\n')
    script.chmod(script.stat().st_mode | stat.S_IEXEC)
    monkeypatch.setenv("PATH", f"{script.parent}:/bin:/usr/bin")
    return notes


def test_the_cache_is_cleaned_every_n_epochs(program, tmp_path):
    clean = CleanWandbCache(every_n_epochs=2, max_size_in_gb=2)
    run = trainer(tmp_path)
    for epoch in range(4):
        run.fit_loop.epoch_progress.current.processed = epoch
        run.fit_loop.epoch_progress.current.completed = epoch
        clean.on_train_epoch_end(run, Scale())
        clean.teardown(run, Scale(), "fit")
    assert program.read_text().splitlines() == ["artifact cache cleanup 2.0GB"] * 2


def test_a_missing_program_is_told_once(tmp_path, monkeypatch, caplog):
    monkeypatch.setenv("PATH", str(tmp_path))
    with caplog.at_level(logging.WARNING):
        trainer(tmp_path, CleanWandbCache(), max_epochs=3).fit(Scale(), sounds())
    assert [record.message for record in caplog.records if "wandb" in record.message] == [
        "No wandb program is installed: its cache is not cleaned."
    ]


@pytest.mark.parametrize("settings", [{"every_n_epochs": 0}, {"max_size_in_gb": -1.0}])
def test_wrong_settings_are_refused(settings):
    with pytest.raises(ValueError, match=next(iter(settings))):
        CleanWandbCache(**settings)


class OfflineWandb(WandbLogger):
    """One that has begun a run, without the program."""

    name, version = "run", "7ytf3nvy"

    def __init__(self, folder):
        self.folder = folder
        self.experiment.dir = str(folder / "files")

    save_dir = property(lambda self: str(self.folder))
    experiment = SimpleNamespace()


def saver():
    parser = LightningArgumentParser()
    parser.add_argument("--word", default="kick")
    return SaveRunConfig(parser, parser.parse_args([]))


def test_a_run_of_weights_and_biases_keeps_its_files_beside_its_checkpoints(tmp_path):
    settings = {"logger": OfflineWandb(tmp_path), "enable_checkpointing": True}
    run = trainer(tmp_path, ModelCheckpoint(), **settings)
    saver().setup(run, Scale(), "fit")
    own = tmp_path / "run/7ytf3nvy"
    assert run_folder(run) == own
    assert (own / "config.yaml").read_text() == "word: kick\n"
    assert (tmp_path / "files/model-config.yaml").read_text() == "word: kick\n"
    assert not (tmp_path / "config.yaml").exists()  # which the next run would replace
    checkpoints = run.checkpoint_callback
    checkpoints.setup(run, Scale(), "fit")
    assert Path(checkpoints.dirpath) == own / "checkpoints"


def test_without_weights_and_biases_the_configuration_lies_in_the_folder_of_the_log(tmp_path):
    saver().setup(trainer(tmp_path), Scale(), "fit")
    assert (tmp_path / "config.yaml").read_text() == "word: kick\n"


def test_resume_finds_the_run_of_weights_and_biases(tmp_path):
    logger = {"class_path": "lightning.pytorch.loggers.WandbLogger"}
    logger["init_args"] = {"save_dir": str(tmp_path), "project": None, "id": None}
    config = dict_to_namespace({"ckpt_path": None, "trainer": {"logger": logger}})
    folder = folder_of_runs(config, "tiny")
    last = tmp_path / "tiny/7ytf3nvy/checkpoints/last.ckpt"
    assert folder == tmp_path / "tiny" and config.trainer.logger.init_args.project == "tiny"
    with pytest.raises(FileNotFoundError, match="No run to resume"):
        resume_newest(config, folder, {})
    save_checkpoint({"state_dict": {}}, last)
    resume_newest(config, folder, {})
    assert config.ckpt_path == str(last) and config.trainer.logger.init_args.id == "7ytf3nvy"


def test_runs_of_both_loggers_lie_in_one_folder_and_are_told_apart(tmp_path):
    runs = {"TensorBoardLogger": "version_3", "WandbLogger": "7ytf3nvy"}
    for run in runs.values():
        save_checkpoint({"state_dict": {}}, tmp_path / "tiny" / run / "checkpoints/last.ckpt")
    found = {}
    for name in runs:
        settings = {"save_dir": str(tmp_path), "project": None, "id": None}
        if name == "TensorBoardLogger":
            settings = {"save_dir": str(tmp_path), "name": None, "version": None}
        logger = {"class_path": f"lightning.pytorch.loggers.{name}", "init_args": settings}
        config = dict_to_namespace({"ckpt_path": None, "trainer": {"logger": logger}})
        resume_newest(config, folder_of_runs(config, "tiny"), {})
        found[name] = Path(config.ckpt_path).parents[1].name
    assert found == runs
