"""Configurations that 0.1 wrote are read as of today, from the command line as from a checkpoint."""

from pathlib import Path

import pytest
import torch
import yaml

from drumblender.checkpoint_file import read_checkpoint
from drumblender.checkpoints import build
from drumblender.console import UsageError
from drumblender.originals.rerun import expand_checkpoint
from drumblender.upgrade import check_version, was_earlier

TODAY = yaml.safe_load(Path(__file__).with_name("tiny.yaml").read_text())


def part(package, name, **init_args):
    return {"class_path": f"drumblender.{package}.{name}", "init_args": init_args}


def expanded(*configs):
    """What `fit -c A.yaml -c B.yaml` gives to the parser instead of these files."""
    args = [arg for config in configs for arg in ("-c", str(config))]
    with expand_checkpoint("fit", args) as given:
        return [yaml.safe_load(Path(path).read_text()) for path in given[1::2]]


def write(path, config):
    path.write_text(yaml.safe_dump(config, sort_keys=False))
    return path


def old_drums():
    config = yaml.safe_load(yaml.safe_dump(TODAY))
    noise = config["model"]["init_args"]["voices"]["noise"]
    noise |= {"encoder": noise.pop("controls")["init_args"]["encoder"], "head": "split"}
    noise["synth"]["init_args"] = {"window_size": 128, "num_bands": 9}
    config["model"]["init_args"]["metrics"]["lsd"]["init_args"] = {"n_fft": 512, "hop_size": 256}
    analysis = config["data"]["init_args"]["analysis"]["init_args"]
    analysis["hop_size"] = analysis.pop("hop_length")
    config["data"]["init_args"] |= {"seed": 3, "holdout": 0.2}
    return config


def test_a_drum_model_of_0_1(tmp_path):
    (new,) = expanded(write(tmp_path / "old.yaml", old_drums()))
    assert new["model"]["init_args"]["voices"]["noise"]["synth"]["init_args"]["filter"] == "published"
    assert new["data"]["init_args"].pop("split") == {"seed": 3, "holdout": 0.2}
    del new["model"]["init_args"]["voices"]["noise"]["synth"]["init_args"]["filter"]
    noise = new["model"]["init_args"]["voices"]["noise"]["controls"]["init_args"]
    assert noise["head"].pop("init_args") == {}
    assert new == TODAY
    task, _ = build(new)
    assert set(task.voices) == {"modal", "noise"}


def test_a_string_model_and_a_mapping_of_0_1_whose_parts_are_files(tmp_path):
    (tmp_path / "note.yaml").write_text("class_path: drumblender.encoders.NoteEncoder\n")
    task = part("tasks", "StringTask", sample_rate=16000, encoder="note.yaml", synth="elsewhere.yaml")
    (new,) = expanded(write(tmp_path / "strings.yaml", {"model": task}))
    assert new["model"]["init_args"]["controls"] == part(
        "controllers", "HeardControls", encoder=str(tmp_path / "note.yaml")
    )
    assert new["model"]["init_args"]["synth"] == "elsewhere.yaml"
    mapper = part("encoders", "LinearMapping", in_size=3, out_size=14)
    task = part("tasks", "RemapTask", mapper=mapper, preset="cfg/presets/808_snare_1.json")
    (new,) = expanded(write(tmp_path / "remap.yaml", {"model": task}))
    mapper = part("controllers", "LinearMapping", in_size=3, out_size=14)
    controls = part("controllers", "MappedControls", mapper=mapper, preset="cfg/presets/808_snare_1.json")
    assert new["model"]["init_args"] == {"controls": controls}


def test_a_variant_is_read_as_of_the_task_that_another_file_names(tmp_path):
    variant = {"model": {"init_args": {"voices": {"noise": {"encoder": part("encoders", "X")}}}}}
    first, second = expanded(
        write(tmp_path / "a.yaml", TODAY), write(tmp_path / "b.yaml", {"trainer": {}, **variant})
    )
    assert first == TODAY
    assert "controls" in second["model"]["init_args"]["voices"]["noise"]


@pytest.mark.parametrize("name", ["drums", "strings", "remap", "quickstart"])
def test_a_configuration_of_today_is_left_alone(name):
    path = f"cfg/{name}.yaml"
    assert not was_earlier(yaml.safe_load(Path(path).read_text()))
    with expand_checkpoint("fit", ["-c", path]) as given:
        assert given == ["-c", path]


def test_one_that_mixes_old_and_new_is_told(tmp_path):
    config = old_drums()
    config["data"]["init_args"]["split"] = {"seed": 4}
    with pytest.raises((ValueError, UsageError), match=r"split\.seed is given twice"):
        expanded(write(tmp_path / "old.yaml", config))


@pytest.mark.parametrize("version", ["0.1.0", "0.2.0", "0.2.99", "unknown", "None"])
def test_this_version_reads_those_before_it_and_its_own_patches(version):
    check_version(version, source="a.ckpt")


@pytest.mark.parametrize("version", ["0.10.0", "1.0.0.dev1", "99.0.0"])
def test_a_checkpoint_of_a_later_version_is_not_read_as_if_it_meant_the_same(version, tmp_path):
    record = {"version": version, "sample_rate": 16000, "config": {}}
    torch.save({"state_dict": {}, "drumblender": record}, tmp_path / "a.ckpt")
    told = rf"a\.ckpt was written by drumblender {version}, later than this one, .*: update drumblender"
    with pytest.raises(ValueError, match=told):
        read_checkpoint(tmp_path / "a.ckpt")
