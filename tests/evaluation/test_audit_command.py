import csv

import pytest

from drumblender.cli import run

LOSS = """
class_path: drumblender.losses.SpectralTransportLoss
init_args:
  maps: {class_path: drumblender.features.STFT, init_args: {n_fft: 512, window: flattop}}
"""
SYNTH = "{class_path: drumblender.synths.HarmonicSynth, init_args: {num_harmonics: 3, sample_rate: 16000}}"


@pytest.fixture
def parts(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "transport.yaml").write_text(LOSS)
    (tmp_path / "tone.yaml").write_text(SYNTH)
    return tmp_path


def rows(path):
    with path.open(newline="") as file:
        return list(csv.DictReader(file))


def test_tells_how_many_gradients_are_right_for_four_tones(parts, capsys):
    assert run(["audit", "transport.yaml", "--samples", "1024", "--steps", "9", "--output", "out"]) == 0
    (row,) = rows(parts / "out" / "audit.csv")
    assert row["loss"] == "transport" and float(row["square, coarse"]) > 80
    assert "sine, coarse" in capsys.readouterr().err


def test_turns_a_control_of_a_synth_and_draws_the_pairs(parts):
    turned = ["--synth", "tone.yaml", "--control", "f0_hz", "--low", "100", "--high", "900"]
    assert run(["audit", "transport.yaml", *turned, "--samples", "1024", "--output", "out"]) == 0
    (row,) = rows(parts / "out" / "audit.csv")
    assert float(row["all, %"]) > 70
    assert (parts / "out" / "transport.png").read_bytes()[:4] == b"\x89PNG"


@pytest.mark.parametrize(
    "args, message",
    [
        (["none.yaml"], "none.yaml"),
        (["tone.yaml"], "tone.yaml"),
        (["transport.yaml", "--control", "f0_hz"], "--synth"),
        (["transport.yaml", "--synth", "tone.yaml"], "--control"),
        (["transport.yaml", "--steps", "1"], "--steps"),
    ],
)
def test_refuses(parts, capsys, args, message):
    assert run(["audit", *args]) in (1, 2)
    assert message in capsys.readouterr().err


def test_a_loss_of_controls_is_told(capsys):
    assert run(["audit", "cfg/losses/controls.yaml"]) == 1
    assert "ControlLoss compares controls that are known" in capsys.readouterr().err
