"""Made-up recordings in place of those that a checkpoint was trained with: each data module can read them."""

from pathlib import Path

import pytest
import yaml

from drumblender.checkpoint_file import save_checkpoint
from drumblender.dataset_cli import _load
from drumblender.inference.made_up import made_up_data

LOUD = {
    "class_path": "drumblender.features.CascadingFrameExtractor",
    "init_args": {
        "extractors": [{"class_path": "drumblender.features.Loudness", "init_args": {"sample_rate": 44100}}],
        "num_frames": [4],
    },
}
CQT = {
    "class_path": "drumblender.features.CQTModalAnalysis",
    "init_args": {"sample_rate": 16000, "fmin": 60, "n_bins": 60, "num_modes": 4},
}
HITS = {"path": "/nowhere/hits", "features": LOUD, "onset_features": LOUD, "sample_rate": 44100}
HITS |= {"test_split": 0.2}
DRUMS = {"data_dir": "nowhere", "raw_dir": "nor_here", "analysis": CQT, "sample_rate": 16000}
DRUMS |= {"num_samples": 8000}
CURVES = {
    "class_path": "drumblender.features.NoteCurves",
    "init_args": {"sample_rate": 16000, "tracker": "yin"},
}
PHRASES = {"data_dir": "nowhere", "curves": CURVES, "num_harmonics": 0, "split": {"test": ["*ode*"]}}

PERFORMANCES = {name: value for name, value in PHRASES.items() if name != "split"} | {"raw_dir": "nor_here"}


@pytest.mark.parametrize(
    "name, settings, rate",
    [
        ("RemapDataModule", HITS, 44100),
        ("ModalDataModule", DRUMS | {"labels": {"csv": "SOURCES.csv"}}, 16000),
        ("PhraseDataModule", PHRASES, 16000),
        ("GuitarSetDataModule", {**PERFORMANCES, "subset": "comp"}, 16000),
        ("NSynthDataModule", {"data_dir": "nowhere", "root": "nor_here"}, 16000),
        ("FakeDrumsDataModule", DRUMS | {"num_sounds": 20}, 16000),
    ],
)
def test_each_data_module_prepares_and_tests_with_them(tmp_path, monkeypatch, name, settings, rate):
    monkeypatch.chdir(tmp_path)
    settings = {key: value for key, value in settings.items() if name[:4] != "Fake" or key != "raw_dir"}
    data = {"class_path": f"drumblender.data.{name}", "init_args": settings}
    record = {"version": "0.2.0", "sample_rate": rate, "config": {"model": {"class_path": "x"}, "data": data}}
    save_checkpoint({"state_dict": {}, "drumblender": record}, "a.ckpt")
    path = made_up_data(Path("a.ckpt"), Path("dataset", "made_up"))
    module = _load(str(path), [])
    module.prepare_data()
    module.setup("test")
    batch = next(iter(module.test_dataloader()))
    assert all(len(field) for field in batch.values())
    assert made_up_data(Path("a.ckpt"), Path("dataset", "made_up")) == path  # again, from what lies there


def test_data_that_are_there_or_made_in_memory_stay(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path("mine").mkdir()
    for settings in ({"data_dir": "mine"}, {"size": 3}):
        data = {"class_path": "drumblender.data.Some", "init_args": settings}
        record = {"version": "0.2.0", "sample_rate": 16000, "config": {"model": {"x": 1}, "data": data}}
        save_checkpoint({"state_dict": {}, "drumblender": record}, "a.ckpt")
        assert made_up_data(Path("a.ckpt"), Path("made_up")) is None and not Path("made_up").exists()


def test_the_configuration_keeps_all_but_what_is_said_of_the_recordings(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    data = {"class_path": "drumblender.data.PhraseDataModule", "init_args": PHRASES | {"batch_size": 3}}
    record = {
        "version": "0.2.0",
        "sample_rate": 16000,
        "config": {"model": {"class_path": "x"}, "data": data},
    }
    save_checkpoint({"state_dict": {}, "drumblender": record}, "a.ckpt")
    made = yaml.safe_load(made_up_data(Path("a.ckpt"), Path("made_up")).read_text())["init_args"]
    assert made["batch_size"] == 3 and "split" not in made and made["curves"] == CURVES
