"""Damaged and malformed checkpoints and configurations end in a sentence; DRUMBLENDER_LONG=1: many more."""

import copy
import math
import os
import random
from pathlib import Path

import pytest
import torch
import yaml

from drumblender.checkpoint_file import own_record
from drumblender.checkpoints import build, load_checkpoint
from drumblender.console import UsageError, one_line
from drumblender.originals.command import convert, read_config

TRIES = 4000 if os.environ.get("DRUMBLENDER_LONG") else 24
TINY = yaml.safe_load(Path(__file__).with_name("tiny.yaml").read_text())
GOOD = {key: copy.deepcopy(TINY[key]) for key in ("model", "data")}
del GOOD["model"]["init_args"]["voices"]["noise"]  # building it takes most of the time
ODD = (
    *(None, True, -1, 0, 10**12, 2**40, 1e300, math.nan, math.inf, "", "x", "../x", "1e5", "\0", "ü" * 300),
    *([], {}, [[]], {"": 1}, {"class_path": 3}, {"class_path": "os.system"}, {"a": {"class_path": "x.Y"}}),
    *({"class_path": "torch.nn.ReLU"}, {"class_path": "drumblender.losses.MultiResolutionSTFTLoss"}),
)


@pytest.fixture(scope="module")
def content():
    task, _ = build(GOOD)
    record = {"version": "0", "sample_rate": 16000, "config": GOOD}
    return {"state_dict": task.state_dict(), "drumblender": record, "epoch": 0}


def damaged(data, draw):
    data = bytearray(data)
    way, at = draw.randrange(4), draw.randrange(len(data))
    if way == 0:
        return bytes(data[:at])
    if way == 1:
        data[at : at + draw.randrange(1, 400)] = bytes(draw.randrange(1, 400))
    elif way == 2:
        for _ in range(draw.randrange(1, 30)):
            data[draw.randrange(len(data))] = draw.randrange(256)
    else:
        data[at:at] = draw.randbytes(draw.randrange(1, 200))
    return bytes(data)


def places(value, path=()):
    if isinstance(value, dict | list):
        for key, item in value.items() if isinstance(value, dict) else enumerate(value):
            yield (*path, key)
            yield from places(item, (*path, key))


def changed(value, draw):
    """A copy in which one place holds something else, is gone, or has another name."""
    value = copy.deepcopy(value)
    *parents, last = draw.choice(list(places(value)))
    inner = value
    for key in parents:
        inner = inner[key]
    way = draw.randrange(6)
    if way == 0:
        del inner[last]
    elif way == 1 and isinstance(inner, dict):
        inner[draw.choice(["", "x", "a.b", "__path__", 3])] = inner.pop(last)
    else:
        inner[last] = copy.deepcopy(draw.choice(ODD))
    return value


def told(action):
    """Run it; what goes wrong has to be one sentence that shows no Python."""
    try:
        action()
    except (ValueError, OSError, UsageError) as error:
        line = one_line(error)
        assert line and len(line) < 700
        assert not line.startswith(("AttributeError", "TypeError", "KeyError", "IndexError"))


def test_bytes_of_a_checkpoint(content, tmp_path, unchecked):
    torch.save(content, tmp_path / "good.ckpt")
    good = (tmp_path / "good.ckpt").read_bytes()
    for seed in range(TRIES):
        path = tmp_path / "bad.ckpt"
        path.write_bytes(damaged(good, random.Random(seed)))
        told(lambda path=path: load_checkpoint(path))


def test_the_structure_of_a_checkpoint(content, unchecked):
    for seed in range(TRIES):
        bad = changed(content, random.Random(seed))

        def load(bad=bad):
            record = own_record(bad, "bad.ckpt")
            build(record["config"], source="bad.ckpt")

        told(load)


def test_the_configuration_of_a_checkpoint(unchecked, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for seed in range(TRIES):
        draw = random.Random(seed)
        bad = changed(changed(GOOD, draw), draw) if draw.random() < 0.5 else changed(GOOD, draw)
        told(lambda bad=bad: build(bad, source="bad.ckpt"))
    assert not list(tmp_path.iterdir())


def test_a_file_in_place_of_a_configuration(tmp_path):
    good = Path(__file__).with_name("tiny.yaml").read_bytes()
    path = tmp_path / "bad.yaml"
    for seed in range(TRIES):
        path.write_bytes(damaged(good, random.Random(seed)))
        told(lambda: read_config(path))
    bomb = "a0: &a0 [x]\n" + "".join(f"a{i + 1}: &a{i + 1} [{', '.join([f'*a{i}'] * 9)}]\n" for i in range(9))
    for text, words in ((bomb, "far too large"), ("a: &a {b: *a}", "cyclic"), ("- 1", "no mapping")):
        path.write_text(text)
        with pytest.raises(UsageError, match=words):
            read_config(path)


ORIGINAL = {
    "model": {"class_path": "drumblender.tasks.DrumBlender", "init_args": {"loss_fn": None}},
    "data": {"class_path": "drumblender.data.X", "init_args": {"sample_rate": 48000}},
    "trainer": {"gpus": 1, "callbacks": [{"class_path": "a.B"}]},
}


def test_what_an_importer_is_given():
    state = {"loop_coeff_proj.weight": torch.ones(3), "decoder.loop_gain": torch.ones(1)}
    weights = [{"state_dict": {}}, {"model_state_dict": state}, state, {"state_dict": 3}, {}]
    for seed in range(TRIES):
        draw = random.Random(seed)
        told(lambda draw=draw: convert(changed(ORIGINAL, draw), draw.choice(weights)))
        told(lambda draw=draw: convert(None, draw.choice(weights)))
