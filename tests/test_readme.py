"""What README promises: its commands run, its files are there."""

import re
import shlex
from pathlib import Path

import pytest
import soundfile
import torch

from drumblender import dataset_cli
from drumblender.cli import TRAINER_VERBS, VERBS, run
from drumblender.data.fake import percussion

ROOT = Path(__file__).parents[1]
README = ROOT / "README.md"

pytestmark = pytest.mark.skipif(not README.is_file(), reason="no checkout")


def commands():
    """Every command of ours in a code block or between backticks."""
    text = README.read_text()
    found = re.findall(r"^ {4}(?:pip .*&& )?(drumblender.*)$", text, re.MULTILINE)
    found += re.findall(r"`(drumblender(?:-dataset)? [^`]*)`", text)
    return [command for command in found if not command.endswith("X.yaml")]


def named(verb):
    return [shlex.split(command)[2:] for command in commands() if command.startswith(f"drumblender {verb} ")]


def test_the_two_commands_for_newcomers_stand_first():
    lines = [
        line.strip() for line in README.read_text().splitlines() if line.strip().startswith("pip install -e")
    ]
    assert lines == [
        "pip install -e . && drumblender fit -c cfg/quickstart.yaml",
        'pip install -e ".[dev]" && pytest',
    ]


def test_every_verb_is_told():
    told = {shlex.split(command)[1] for command in commands() if command.startswith("drumblender ")}
    assert told - {*VERBS, *TRAINER_VERBS} == set()
    assert {*VERBS, "fit", "test"} <= told


@pytest.mark.parametrize("args", named("fit"), ids=" ".join)
def test_what_is_trained_has_a_valid_configuration(args, capsys):
    with pytest.raises(SystemExit) as stop:
        run(["fit", *args, "--print_config"])
    assert stop.value.code == 0
    assert "class_path: drumblender.tasks." in capsys.readouterr().out


def test_the_quickstart_trains_a_step(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    small = [
        "--data.num_sounds",
        "20",
        "--trainer.fast_dev_run",
        "1",
        "--trainer.enable_progress_bar",
        "false",
    ]
    assert run(["fit", "-c", "cfg/quickstart.yaml", *small, "--debug"]) == 0


def test_a_folder_is_prepared(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for number, kind in enumerate(("kick", "tom")):
        sound = percussion(kind, torch.Generator().manual_seed(number), num_samples=48000, sample_rate=44100)
        Path("DIR", kind).mkdir(parents=True)
        soundfile.write(f"DIR/{kind}/{number}.flac", sound.numpy(), 44100)
    (args,) = [
        shlex.split(command)[1:]
        for command in commands()
        if command.startswith("drumblender-dataset") and "DIR" in command
    ]
    assert dataset_cli.main([*args, "--backend", "threads"]) == 0
    assert len(list(Path("dataset/mine/features").iterdir())) == 2


@pytest.mark.parametrize("args", named("match"), ids=" ".join)
def test_a_sound_is_matched(args, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    sound = percussion("tom", torch.Generator().manual_seed(0), num_samples=16000, sample_rate=16000)
    soundfile.write("in.wav", sound.numpy(), 16000)
    assert (
        run(["match", *args, "--renders", "60", "--seconds", "0.3", "--population", "6", "--parents", "3"])
        == 0
    )
    assert {"match.wav", "controls.json", "match.png"} <= {path.name for path in Path("out").iterdir()}


def test_the_layout_is_true():
    tree = README.read_text().split("## Layout")[1].split("```")[1]
    package = [line.split()[0].rstrip("/") for line in tree.splitlines() if line.startswith("  ")]
    folders = {path.name for path in (ROOT / "drumblender").iterdir() if (path / "__init__.py").is_file()}
    assert folders == {name for name in package if not name.endswith(".py")}
    for name in re.findall(r"\S+\.py", tree):
        assert (ROOT / "drumblender" / name).is_file(), name
    for line in tree.splitlines():
        if line and not line.startswith(" "):
            assert (ROOT / line.split()[0]).exists(), line


def test_every_benchmark_is_told():
    told = re.search(r"in one run: (.*?)\.", README.read_text(), re.DOTALL)[1]
    there = {path.stem for path in (ROOT / "benchmarks").glob("*.py")}
    others = {"table", "against", "threads", "faults"}
    assert set(re.split(r",\s+", told)) == there - others - {"__init__", "measure", "workloads"}
    assert all(f"`python -m benchmarks.{name}" in README.read_text() for name in others)
