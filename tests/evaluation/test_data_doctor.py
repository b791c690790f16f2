"""The report on a set of melodies finds what was put there, and leaves the rest alone."""

import csv

import pytest
import torch

from drumblender.audio_io import write_wav
from drumblender.dataset_cli import main
from drumblender.evaluation.data_doctor import _alike, _in_tune, _print_of

RATE = 16000


def notes(pitches, seconds=2.0, seed=0):
    """Plucked notes of five harmonics, one after the other, with a little noise."""
    size = int(RATE * seconds / len(pitches))
    time_s = torch.arange(size) / RATE
    parts = [
        torch.exp(-3 * time_s) * sum(torch.sin(2 * torch.pi * f0 * k * time_s) / k for k in range(1, 6))
        for f0 in pitches
    ]
    noise = torch.randn(size * len(pitches), generator=torch.Generator().manual_seed(seed))
    return 0.2 * torch.cat(parts) + 1e-4 * noise


@pytest.fixture
def examined(tmp_path):
    """Six recordings, prepared, drawn and examined by the command."""
    tune = (220.0, 262.0, 330.0, 294.0)
    sounds = {
        "fine": notes((196.0, 247.0, 330.0, 175.0)),
        "chord": notes((220.0, 220.0)) + notes((233.1, 233.1)) + notes((370.0, 370.0)),
        "loud": (8 * notes((247.0, 185.0, 139.0, 208.0))).clamp(-0.6, 0.6),
        "still": torch.cat([notes((277.0,), 0.3), torch.zeros(3 * RATE)]),
        "tune": notes(tune),
        "twin": torch.cat([torch.zeros(800), 0.5 * notes(tune, seed=1)]),
    }
    for name, sound in sounds.items():
        write_wav(tmp_path / "raw" / f"{name}.wav", sound, RATE)
    config = f"""
class_path: drumblender.data.PhraseDataModule
init_args:
  data_dir: {tmp_path / "prepared"}
  raw_dir: {tmp_path / "raw"}
  num_harmonics: 0
  split: {{test: ["twin"], val: ["fine"]}}
  curves: {{class_path: drumblender.features.NoteCurves, init_args: {{tracker: yin}}}}
"""
    (tmp_path / "data.yaml").write_text(config)
    given = ["--plot", str(tmp_path / "plots"), "--doctor", str(tmp_path / "doctor.csv"), "--jobs", "1"]
    assert main([str(tmp_path / "data.yaml"), *given]) == 0
    with (tmp_path / "doctor.csv").open(newline="") as file:
        return tmp_path, {row["source"].split(".")[0]: row["complaints"] for row in csv.DictReader(file)}


def test_each_fault_is_told_and_nothing_else(examined, capsys):
    folder, told = examined
    assert told["fine"] == ""
    assert "more than one note" in told["chord"]
    assert "clips" in told["loud"]
    assert "is silent" in told["still"]
    assert "twin.wav of another split" in told["tune"] and "tune.wav" in told["twin"]
    assert len(list((folder / "plots").glob("*.png"))) == 6


def test_likeness_is_that_of_colours_wherever_they_lie_in_time():
    one, other = notes((220.0, 262.0, 330.0, 294.0)), notes((196.0, 247.0, 330.0, 175.0))
    prints = [_print_of(sound[None], RATE) for sound in (one, torch.cat([torch.zeros(1600), one]), other)]
    (same, later), (another, _) = (_alike(prints[0], found) for found in prints[1:])
    assert same > 0.97 > another
    assert later == -2  # frames of 50 ms


def test_what_has_another_pitch_is_no_twin_however_it_is_coloured():
    tune = torch.tensor([torch.nan, 57.0, 57.1, 60.0, 60.0, torch.nan])
    late = torch.cat([torch.full((2,), torch.nan), tune])
    assert _in_tune(tune, late, -2)
    assert not _in_tune(tune, late + 5, -2)
    assert _in_tune(late, tune, 2) and not _in_tune(late + 5, tune, 2)
    assert _in_tune(tune, torch.full((6,), torch.nan), 0)  # nothing tells them apart


def test_data_without_curves_is_refused_in_one_line(tmp_path, capsys):
    (tmp_path / "data.yaml").write_text("class_path: drumblender.data.HarmonicTonesDataModule\n")
    assert main([str(tmp_path / "data.yaml"), "--doctor", "x.csv"]) == 2
    assert capsys.readouterr().err.count("\n") == 1
