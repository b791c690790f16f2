import json

import pytest
import soundfile
import torch

from drumblender import cli
from drumblender.console import UsageError
from drumblender.matching.render import render
from drumblender.matching.report import read_start
from drumblender.synths.preset import load_controls
from drumblender.trust import UntrustedError

SYNTH = {
    "class_path": "drumblender.synths.DampedModalSynth",
    "init_args": {
        "num_modes": 2,
        "sample_rate": 8000,
        "freq_hz": {"low": 50, "high": 3000, "log": True},
        "t60_s": {"low": 0.05, "high": 2},
        "level_db": {"low": -60, "high": 0},
    },
}
PRESET = {"freq_hz": [200, 300.5], "t60_s": 0.5, "level_db": [-6, -12]}


@pytest.fixture
def write(tmp_path):
    def write(**content):
        path = tmp_path / "controls.json"
        path.write_text(json.dumps(content))
        return path

    return write


def test_a_file_written_by_hand_is_played(write):
    audio, rate = render(write(preset=PRESET, synth=SYNTH), seconds=0.25)
    assert rate == 8000 and audio.shape == (2000,)
    time_s = torch.arange(2000) / 8000
    tones = [(200, 10 ** (-6 / 20)), (300.5, 10 ** (-12 / 20))]
    wanted = sum(amp * torch.sin(2 * torch.pi * hz * time_s) * 1000 ** (-time_s / 0.5) for hz, amp in tones)
    assert torch.allclose(audio, wanted, atol=1e-4)


def test_the_command_writes_the_sound(write, tmp_path, capsys):
    path = write(preset=PRESET, synth=SYNTH, sample_rate=8000, num_samples=1234, seed=3)
    assert cli.run(["render", str(path), str(tmp_path / "out.wav")]) == 0
    audio, rate = soundfile.read(tmp_path / "out.wav")
    assert rate == 8000 and len(audio) == 1234
    assert capsys.readouterr().out.startswith("Wrote ")


def test_the_user_may_name_the_synth(write, tmp_path):
    synth = tmp_path / "mine.yaml"
    synth.write_text(json.dumps(SYNTH))  # JSON is YAML
    path = write(preset=PRESET)
    with pytest.raises(ValueError, match="names no synth"):
        render(path)
    assert len(render(path, synth=synth)[0]) == 8000


@pytest.mark.parametrize("name", ["os.system", "subprocess.Popen", "my_parts.Synth", "drumblender.cli.run"])
def test_a_strangers_file_runs_no_code(write, name, tmp_path):
    path = write(preset=PRESET, synth={"class_path": name, "init_args": {"command": f"touch {tmp_path}/ran"}})
    with pytest.raises(UntrustedError, match="names"):
        render(path)
    assert not (tmp_path / "ran").exists()


@pytest.mark.parametrize(
    "change, message",
    [
        ({"preset": PRESET | {"freq_hz": [200, 9000]}}, "goes from 50 to 3000"),
        ({"preset": PRESET | {"pitch": 5}}, "names pitch"),
        ({"preset": {"freq_hz": 200}}, "lacks"),
        ({"num_samples": 1e12}, "num_samples lies between"),
        ({"num_samples": "many"}, "num_samples lies between"),
        ({"seed": -1}, "seed lies between"),
        ({"synth": {"class_path": "drumblender.synths.DampedModalSynth"}}, "num_modes"),
        ({"synth": {"class_path": "torch.nn.Linear", "init_args": {}}}, "Linear"),
        ({"synth": "drumblender.synths.Snare808"}, "names no class"),
    ],
)
def test_what_cannot_be_played_is_named(write, change, message):
    with pytest.raises((ValueError, UsageError), match=message):
        render(write(**{"preset": PRESET, "synth": SYNTH} | change))


def test_a_missing_file_is_told(tmp_path, capsys):
    assert cli.run(["render", str(tmp_path / "no.json"), str(tmp_path / "out.wav")]) == 1
    assert "No controls" in capsys.readouterr().err


def test_files_of_before_can_be_started_from(write, tmp_path):
    from drumblender.matching.synth_files import synth_of_file

    synth = synth_of_file(SYNTH, source="a")
    old = {"controls": {"freq": [[0.5, 0.25]], "t60": [[0.1, 0.2]], "level": [[1.0, 0.0]]}}
    start = read_start(write(**old), synth)
    assert start["freq"].flatten().tolist() == [0.5, 0.25]
    assert torch.equal(start["level"], torch.tensor([[[1.0, 0.0]]]))
    path = write(preset=PRESET)
    assert all(
        torch.equal(read_start(path, synth)[name], value)
        for name, value in load_controls(path, synth).items()
    )
