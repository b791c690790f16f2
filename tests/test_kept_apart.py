"""No verb writes over what it reads, however the output is named."""

import json
import shutil

import pytest
import soundfile
import torch

from drumblender.cli import run
from drumblender.sound_files import check_apart

TAKE = 0.3 * torch.sin(2 * torch.pi * 220 / 16000 * torch.arange(16000)) * torch.linspace(1, 0, 16000) ** 2


def record(path):
    path.parent.mkdir(parents=True, exist_ok=True)
    soundfile.write(path, TAKE.numpy(), 16000)
    return path


VERBS = {
    "synth, its folder": ("take.wav", ["synth", "checkpoints/quickstart", "{take}", "{folder}"]),
    "synth, a stem": (
        "take.modal.wav",
        ["synth", "checkpoints/quickstart", "{take}", "{folder}/take.wav", "--stems"],
    ),
    "synth, a link": ("take.wav", ["synth", "checkpoints/quickstart", "{take}", "{folder}/link.wav"]),
    "transfer, its folder": ("take.wav", ["transfer", "checkpoints/guitar", "{take}", "{folder}"]),
    "transfer, a folder": ("take.wav", ["transfer", "checkpoints/guitar", "{folder}", "{folder}"]),
    "remap, its folder": ("take.wav", ["remap", "checkpoints/remap_maple", "{take}", "{folder}"]),
    "pitch": ("take.wav", ["pitch", "{take}", "{folder}/take.csv", "--tracker", "yin", "--sound"]),
    "pitch, a folder": ("take.wav", ["pitch", "{folder}", "{folder}", "--tracker", "yin", "--sound"]),
    "blend": (
        "take.wav",
        ["blend", "checkpoints/quickstart", "--modal", "{take}", "--noise", "{take}", "{take}"],
    ),
    "match": (
        "target.wav",
        ["match", "{take}", "--synth", "cfg/synths/tone.yaml", "--renders", "2", "--output", "{folder}"],
    ),
}


@pytest.mark.parametrize("name", VERBS)
def test_a_recording_is_not_written_over(name, tmp_path, capsys):
    named, args = VERBS[name]
    take = record(tmp_path / "takes" / named)
    (tmp_path / "takes" / "link.wav").symlink_to(take)
    before = take.read_bytes()
    told = [arg.format(take=take, folder=take.parent) for arg in args]
    assert run(told) != 0
    assert "give another output" in capsys.readouterr().err
    assert take.read_bytes() == before


def test_no_recording_of_a_folder_is_written_over_by_the_report_of_another(tmp_path, capsys):
    record(tmp_path / "kick.wav")
    other = record(tmp_path / "kick" / "target.wav")
    before = other.read_bytes()
    args = ["match", str(tmp_path), "--synth", "cfg/synths/tone.yaml", "--renders", "2"]
    assert run([*args, "--output", str(tmp_path)]) == 1
    assert "give another output" in capsys.readouterr().err and other.read_bytes() == before


def test_a_folder_inside_is_written_to_again(tmp_path):
    record(tmp_path / "take.wav")
    inside = tmp_path / "out"
    for _ in range(2):
        assert run(["pitch", str(tmp_path), str(inside), "--tracker", "yin", "--sound"]) == 0
        args = ["match", str(tmp_path), "--synth", "cfg/synths/tone.yaml", "--renders", "2"]
        assert run([*args, "--output", str(inside)]) == 0
    assert sorted(path.name for path in inside.iterdir() if path.suffix == ".wav") == ["take.wav"]
    assert not (inside / "out").exists()


def test_a_checkpoint_and_controls_are_not_written_over(tmp_path, capsys):
    model = tmp_path / "model.pt"
    shutil.copy("checkpoints/remap_maple.ckpt", model)
    before = model.read_bytes()
    assert run(["export", str(model), str(model)]) == 1
    assert model.read_bytes() == before
    old, config = tmp_path / "old.ckpt", tmp_path / "new.yaml"
    torch.save({"state_dict": {}}, old)
    config.write_text("model: {}")
    assert run(["import", str(config), str(old), str(tmp_path / "new.ckpt")]) == 1  # would write new.yaml
    assert config.read_text() == "model: {}"
    source = record(tmp_path / "source.wav")
    controls = tmp_path / "controls.json"
    controls.write_text(json.dumps({"preset": {}}))
    assert run(["render", str(controls), str(source), "--source", str(source)]) == 1
    assert capsys.readouterr().err.count("give another output") == 3


def test_links_and_other_names_of_a_file_are_that_file(tmp_path):
    take = record(tmp_path / "take.wav")
    (tmp_path / "hard.wav").hardlink_to(take)
    (tmp_path / "soft.wav").symlink_to(take)
    for name in ("hard.wav", "soft.wav", "../" + tmp_path.name + "/take.wav"):
        with pytest.raises(ValueError, match="would be written over"):
            check_apart([take], [tmp_path / "free.wav", tmp_path / name])
    check_apart([take, tmp_path / "missing.wav"], [tmp_path / "missing.wav"])
