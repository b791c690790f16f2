"""`fit --init-from`: a training that starts from the weights of another, whole or by part."""

import logging
from pathlib import Path

import pytest
import torch
import yaml
from torch import nn

from drumblender.checkpoint_file import read_checkpoint
from drumblender.cli import run
from drumblender.start_from import take_weights

TINY = str(Path(__file__).with_name("tiny.yaml"))
FIT = ["fit", "-c", TINY, "--trainer.max_epochs", "1", "--trainer.logger", "CSVLogger"]
FIT += ["--trainer.logger.save_dir", "logs"]

HEAD = "voices.noise.controls.encoder.output"


class Net(nn.Module):
    def __init__(self, size=3):
        super().__init__()
        self.voices = nn.ModuleDict({"modal": nn.Linear(2, 2), "noise": nn.Linear(2, size)})


def test_all_weights_of_the_same_name_are_taken():
    net, other = Net(), Net()
    left = {f"old.{name}": value for name, value in Net().state_dict().items()}
    taken = take_weights(net, other.state_dict() | left, source="a.ckpt")
    assert taken == set(net.state_dict())
    assert all(torch.equal(value, other.state_dict()[name]) for name, value in net.state_dict().items())


def test_a_part_is_taken_alone():
    net, other = Net(), Net(size=5)
    before = net.voices["noise"].weight.clone()
    assert take_weights(net, other.state_dict(), ["voices.modal"], source="a.ckpt") == {
        "voices.modal.weight",
        "voices.modal.bias",
    }
    assert torch.equal(net.voices["modal"].weight, other.voices["modal"].weight)
    assert torch.equal(net.voices["noise"].weight, before)


def test_another_shape_is_told_with_both_shapes_and_nothing_is_taken():
    net, other = Net(), Net(size=5)
    before = {name: value.clone() for name, value in net.state_dict().items()}
    with pytest.raises(ValueError, match=r"voices.noise.bias is \(5,\) in a.ckpt and \(3,\).*--init-part"):
        take_weights(net, other.state_dict(), source="a.ckpt")
    assert all(torch.equal(value, before[name]) for name, value in net.state_dict().items())


@pytest.mark.parametrize(
    "weights, parts, told",
    [
        ({"other.weight": torch.ones(2)}, [], "no weights in common"),
        (
            {"voices.modal.bias": torch.ones(2)},
            ["voices.noise"],
            "a.ckpt has no voices.noise; it has voices.modal",
        ),
    ],
)
def test_what_cannot_be_taken_is_told(weights, parts, told):
    with pytest.raises(ValueError, match=told):
        take_weights(Net(), weights, parts, source="a.ckpt")


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    folder = tmp_path_factory.mktemp("start")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        assert run(FIT) == 0
    return folder


def test_a_fit_starts_there_and_its_configuration_does_not_say_so(trained, monkeypatch, caplog):
    monkeypatch.chdir(trained)
    first = "logs/tiny/version_0/checkpoints/last.ckpt"
    still = ["--optimizer.lr", "0.0", "--seed_everything", "7"]
    part = ["--init-part", HEAD]
    with caplog.at_level(logging.INFO, "drumblender"):
        assert run([*FIT, *still, "--init-from", first, *part]) == 0
    assert f"weights of {first}; not taken: voices.noise.controls.encoder" in caplog.text
    was = read_checkpoint(first)["state_dict"]
    now = read_checkpoint("logs/tiny/version_1/checkpoints/last.ckpt")["state_dict"]
    head = [name for name in was if name.startswith(HEAD)]
    assert head and all(torch.equal(was[name], now[name]) for name in head)
    assert any(not torch.equal(was[name], now[name]) for name in was)
    saved = yaml.safe_load(Path("logs/tiny/version_1/config.yaml").read_text())
    assert saved["init_from"] is None and saved["init_part"] is None


@pytest.mark.parametrize(
    "args, status, told",
    [
        (["--init-part", "voices.noise"], 2, "name a checkpoint"),
        (["--init-from", "CKPT", "--resume"], 2, "--init-from starts a new training"),
        (["--init-from", "not_there"], 1, "No checkpoint not_there"),
        (["--init-from", "CKPT", "--init-part", "voices.brass"], 1, "has no voices.brass; it has"),
    ],
)
def test_what_makes_no_sense_ends_in_one_line(trained, monkeypatch, capfd, args, status, told):
    monkeypatch.chdir(trained)
    first = "logs/tiny/version_0/checkpoints/last.ckpt"
    assert run([*FIT, *[first if arg == "CKPT" else arg for arg in args]]) == status
    lines = [line for line in capfd.readouterr().err.splitlines() if line.startswith("drumblender: ")]
    assert len(lines) == 1 and told in lines[0]
