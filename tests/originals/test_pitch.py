import os
import sys
import types
from pathlib import Path

import pytest
import torch
import yaml
from golden_case import golden_file

from drumblender.checkpoints import build, load_checkpoint
from drumblender.cli import run
from drumblender.metrics import DecibelDistance, RawPitchAccuracy
from drumblender.originals.pitch import convert, holds_modules, read
from drumblender.originals.rerun import expand_checkpoint


@pytest.fixture
def original():
    return golden_file("pitch/checkpoint_original.ckpt")


def test_an_original_checkpoint_gives_its_numbers(original, tmp_path, golden):
    assert run(["import", str(original), str(tmp_path / "ours.ckpt")]) == 0
    task = load_checkpoint(tmp_path / "ours.ckpt").task
    case = golden("pitch", "checkpoint_import")
    batch = {"audio": case["in_x"], "f0_hz": case["in_frequency"]}
    voice = task.voices["tone"]
    with torch.no_grad():
        controls = voice.controls(batch)
        audio = task(batch)
    case.check("out_pitch_hz", controls["f0_hz"])
    case.check("out_weights", controls["amp"])
    case.check("out_audio", audio)
    case.check("out_loss", task.loss(audio, case["in_x"]))
    distance, accuracy = DecibelDistance(), RawPitchAccuracy()
    distance.update(audio, case["in_x"])
    accuracy.update(controls["f0_hz"][..., 0], case["in_frequency"].expand(-1, 16))
    case.check("out_metric_log_spectral_distance", distance.compute())
    case.check("out_metric_raw_pitch_accuracy", accuracy.compute())


def test_the_flag_that_the_original_loses_in_a_mix_stays_lost(original):
    content = read(original)
    for part in content["hyper_parameters"]["loss_fn"]["init_args"]["losses"]:
        part["init_args"]["log_scaled_x"] = True
    loss = convert(None, content).config["model"]["init_args"]["loss"]
    assert loss["init_args"]["losses"]["transport"]["init_args"]["scale"] == "linear"
    content["hyper_parameters"]["loss_fn"] = content["hyper_parameters"]["loss_fn"]["init_args"]["losses"][1]
    alone = convert(None, content).config["model"]["init_args"]["loss"]
    assert alone["init_args"]["scale"] == "log"


def test_a_configuration_alone_tells_how_the_original_was_trained_and_on_what():
    config = yaml.safe_load(golden_file("pitch/checkpoint_original_train_config.yaml").read_text())
    imported = convert(config, {"state_dict": {}})
    task, _ = build(imported.config)
    assert task.sample_rate == imported.sample_rate == 16000  # which it links to every part
    assert sorted(task.metrics) == ["log_spectral_distance", "mse", "mss"]
    config["model"]["evaluation_metrics"] |= {"1-wasserstein": True, "2-wasserstein": True}
    more, _ = build(convert(config, {"state_dict": {}}).config)
    assert (more.metrics["1-wasserstein"].p, more.metrics["2-wasserstein"].p) == (1, 2)
    data = imported.config["data"]["init_args"]
    assert (data["batch_size"], data["data_path"]) == (64, "data/40_1950_4096_04_1_4000_8_1_harmonic.pth")
    trainer = imported.config["trainer"]
    assert (trainer["accelerator"], trainer["max_steps"]) == ("auto", 25000)
    assert trainer["callbacks"][0]["init_args"]["monitor"] == "validation/log_spectral_distance"
    assert imported.config["seed_everything"] == 42 and "trainer.gpus" in imported.dropped


@pytest.mark.parametrize("change", [{"harmonic": False}, {"output_splits": ["frequency", "gain", "weights"]}])
def test_networks_that_were_never_published_are_refused_by_what_they_have(original, change):
    content = read(original)
    content["hyper_parameters"]["encoder"]["init_args"] |= change
    with pytest.raises(
        ValueError, match="harmonic=False and freq|harmonic=True and frequency, gain, weights"
    ):
        convert(None, content)


def test_an_original_is_tested_with_its_configuration(original, tmp_path):
    config = golden_file("pitch/checkpoint_original_train_config.yaml")
    with expand_checkpoint("test", ["-c", str(config), "--ckpt_path", str(original)]) as args:
        assert load_checkpoint(args[3]).task.metrics.keys() == {"log_spectral_distance", "mse", "mss"}


def test_a_sample_rate_that_no_file_tells_is_asked_for(original):
    content = read(original)
    content["hyper_parameters"].pop("sample_rate")
    content["hyper_parameters"]["decoder"]["init_args"].pop("sample_rate")
    with pytest.raises(ValueError, match="Neither file tells the sample rate"):
        convert(None, content)


class Runs:
    def __init__(self, what, *args):
        self.what, self.args = what, args

    def __reduce__(self):
        return self.what, self.args


@pytest.mark.parametrize("what", [(os.system, "touch ran"), (eval, "open('ran', 'w')"), (os.mkdir, "ran")])
def test_what_acts_in_a_file_is_refused(what, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    torch.save({"hyper_parameters": {"encoder": Runs(*what)}, "state_dict": {}}, "bad.ckpt")
    assert not holds_modules("bad.ckpt")
    assert run(["import", "bad.ckpt", "ours.ckpt"]) == 1
    assert not Path("ran").exists() and not Path("ours.ckpt").exists()
    assert "more than tensors" in capsys.readouterr().err


def test_a_name_of_the_original_calls_nothing_of_that_name(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "encoder.py").write_text("open('ran', 'w')\nclass PESTOEncoder: pass\n")
    monkeypatch.syspath_prepend(str(tmp_path))

    class Named:
        def __reduce__(self):
            return PESTOEncoder, ("an argument",)

    class PESTOEncoder:
        pass

    PESTOEncoder.__module__, PESTOEncoder.__qualname__ = "encoder", "PESTOEncoder"
    stand_in = types.ModuleType("encoder")
    stand_in.PESTOEncoder = PESTOEncoder
    monkeypatch.setitem(sys.modules, "encoder", stand_in)
    torch.save({"hyper_parameters": {"encoder": Named()}}, "named.ckpt")
    monkeypatch.delitem(sys.modules, "encoder")
    content = read("named.ckpt")
    assert content["hyper_parameters"]["encoder"] == {"class_path": "encoder.PESTOEncoder", "init_args": {}}
    assert not (tmp_path / "ran").exists()
