import csv

import pytest
import soundfile
import torch

from drumblender.matching.auto import match_best
from drumblender.matching.command import command
from drumblender.matching.render import render
from drumblender.matching.synth_files import shipped_synths

LOSS = ["--loss.fft_sizes=[256]", "--loss.hop_sizes=[64]", "--loss.win_lengths=[256]"]


@pytest.fixture
def folder(tmp_path, generator):
    place = tmp_path / "in"
    place.mkdir()
    time_s = torch.arange(6000) / 16000
    tone = sum(torch.sin(2 * torch.pi * 220 * k * time_s) / k for k in range(1, 5))
    noise = torch.randn(6000, generator=generator) * torch.exp(-20 * time_s)
    for name, sound in (("tone", 0.3 * tone), ("hiss", 0.2 * noise), ("silence", torch.zeros(6000))):
        soundfile.write(place / f"{name}.wav", sound.numpy(), 16000)
    return place


def test_every_sound_of_a_folder_gets_its_own(folder, tmp_path, capsys):
    out = tmp_path / "out"
    args = ["--synth", "auto", "--renders", "20", "--frames", "8", "--output", str(out), *LOSS]
    assert command([str(folder), *args]) == 0  # one is silent, and two are not
    rows = {row["file"]: row for row in csv.DictReader((out / "summary.csv").open())}
    assert {rows[f"{name}.wav"]["synth"] for name in ("tone", "hiss")} <= {"harmonic_noise", "modal_noise"}
    assert "is silent" in rows["silence.wav"]["reason"]
    assert all(abs(float(rows[f"{name}.wav"]["level_db"])) < 1 for name in ("tone", "hiss"))
    assert "2 of 3 sounds matched, 1 left out" in capsys.readouterr().out
    for name in ("tone", "hiss"):
        audio, rate = render(out / name / "controls.json")
        heard, written_rate = soundfile.read(out / name / "match.wav", dtype="float32")
        assert rate == written_rate == 16000
        assert torch.allclose(audio, torch.from_numpy(heard), atol=1e-4)


def test_trials_share_the_budget(folder):
    target = torch.from_numpy(soundfile.read(folder / "tone.wav", dtype="float32")[0])
    trials = match_best(target, shipped_synths(16000), renders=30, frames=4)
    assert set(trials.losses) == {"modal_noise", "harmonic_noise"}
    assert trials.losses[trials.name] == min(trials.losses.values())
    assert trials.match.renders <= 24
    assert trials.match.history[-1].best <= trials.losses[trials.name] * 1.001
