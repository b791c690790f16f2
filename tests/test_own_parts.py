"""Parts of a user's own, beside the configuration that names them: trained, and played where trusted."""

import shutil
import sys
from pathlib import Path

import pytest
import soundfile
import torch

from drumblender.cli import run

FOLDER = Path(__file__).parents[1] / "examples" / "own_parts"


@pytest.fixture
def copied(tmp_path, monkeypatch):
    """A fresh copy of the example as the working folder; its module is forgotten afterwards."""
    shutil.copytree(FOLDER, tmp_path / "own", ignore=shutil.ignore_patterns("__pycache__"))
    monkeypatch.chdir(tmp_path / "own")
    monkeypatch.setattr(sys, "path", [path for path in sys.path if path not in ("", ".")])
    yield
    sys.modules.pop("my_parts", None)


def test_own_parts_train_and_play_where_they_are_trusted(copied, capfd):
    fast = ["--trainer.max_epochs", "1", "--data.num_sounds", "10"]
    assert run(["fit", "-c", "buzz.yaml", "--model.voices.buzz.synth", "my_parts.Buzz", *fast]) == 0
    (checkpoint,) = map(str, Path().rglob("best.ckpt"))
    soundfile.write("hit.wav", torch.linspace(0.5, 0, 9000).mul((torch.arange(9000) * 0.3).sin()), 16000)
    sys.modules.pop("my_parts")
    told = capfd.readouterr().err
    assert f"next  drumblender synth {checkpoint} in.wav out.wav --trust my_parts\n" in told
    assert run(["synth", checkpoint, "hit.wav", "out.wav"]) == 2
    (told,) = capfd.readouterr().err.splitlines()
    assert "if you trust it, add --trust my_parts" in told and "my_parts" not in sys.modules
    assert run(["synth", checkpoint, "hit.wav", "out.wav", "--trust", "my_parts"]) == 0
    assert soundfile.info("out.wav").frames == 9000


def test_a_module_is_found_beside_the_configuration_and_missed_by_name(copied, capfd, monkeypatch, tmp_path):
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")
    fast = ["--trainer.max_epochs", "1", "--data.num_sounds", "10", "--data.data_dir", "buzz"]
    assert run(["fit", "-c", "../own/buzz.yaml", *fast]) == 0
    assert f"next  PYTHONPATH={tmp_path}/own drumblender synth " in capfd.readouterr().err
    (checkpoint,) = map(str, Path().rglob("best.ckpt"))
    sys.modules.pop("my_parts")
    sys.path.remove(str(tmp_path / "own"))
    soundfile.write("hit.wav", torch.rand(9000), 16000)
    capfd.readouterr()
    assert run(["synth", checkpoint, "hit.wav", "out.wav", "--trust", "my_parts"]) == 2
    (told,) = capfd.readouterr().err.splitlines()
    assert "there is no module my_parts: install it, or run this in the folder where it lies" in told
    (tmp_path / "elsewhere/my_parts.py").write_text((tmp_path / "own/my_parts.py").read_text())
    assert run(["synth", checkpoint, "hit.wav", "out.wav", "--trust", "my_parts"]) == 0


def test_a_configuration_without_its_module_names_it(copied, capfd):
    Path("my_parts.py").unlink()
    assert run(["fit", "-c", "buzz.yaml"]) == 2
    (told,) = capfd.readouterr().err.splitlines()
    assert "my_parts" in told
