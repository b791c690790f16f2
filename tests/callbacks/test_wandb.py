import logging
import stat
from types import SimpleNamespace

import pytest
from callbacks.runs import Scale, sounds, trainer
from lightning.pytorch.cli import LightningArgumentParser
from lightning.pytorch.loggers import WandbLogger

from drumblender.callbacks import CleanWandbCache, SaveConfigWandb


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


def saver():
    parser = LightningArgumentParser()
    parser.add_argument("--word", default="kick")
    return SaveConfigWandb(parser, parser.parse_args([]))


def test_the_configuration_goes_to_the_folder_of_the_run_and_not_to_the_shared_one(tmp_path):
    class OfflineWandb(WandbLogger):
        save_dir, name, version = str(tmp_path), "run", "0"
        experiment = SimpleNamespace(dir=str(tmp_path / "files"))

        def __init__(self):
            pass

    (tmp_path / "files").mkdir()
    saver().setup(trainer(tmp_path, logger=OfflineWandb()), Scale(), "fit")
    assert (tmp_path / "files/model-config.yaml").read_text() == "word: kick\n"
    assert not (tmp_path / "config.yaml").exists()


def test_without_weights_and_biases_the_configuration_is_saved_as_ever(tmp_path):
    saver().setup(trainer(tmp_path), Scale(), "fit")
    assert (tmp_path / "config.yaml").read_text() == "word: kick\n"
