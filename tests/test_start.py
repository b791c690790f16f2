"""What a person waits for before anything sounds: playing a model imports nothing that only trains."""

import subprocess
import sys
from inspect import signature
from pathlib import Path

import pytest
import torch

from drumblender import tasks
from drumblender.checkpoints import load_checkpoint, load_played
from drumblender.inference.model import Model
from drumblender.inference.probe import probe

SHIPPED = Path(__file__).parents[1] / "checkpoints"
NAMES = ("quickstart", "remap_maple", "strings")
ONLY_TRAINS = ("lightning", "pytorch_lightning", "torch._dynamo", "torchmetrics")
SCRIPT = """
import sys
from drumblender.inference import export, live, synth, transfer_command
from drumblender.inference.model import load
from drumblender.inference.probe import probed
from drumblender.matching import render
load("guitar")
for path in sys.argv[1:]:
    probed(load(path))
print(*(name for name in {names} if name in sys.modules))
"""


def test_playing_every_kind_of_model_imports_nothing_that_only_trains():
    paths = [str(SHIPPED / f"{name}.ckpt") for name in NAMES]
    found = subprocess.run(
        [sys.executable, "-c", SCRIPT.format(names=ONLY_TRAINS), *paths],
        capture_output=True,
        text=True,
        check=True,
    )
    assert found.stdout.split() == []


@pytest.mark.parametrize("name", NAMES)
def test_what_is_played_sounds_exactly_as_the_task(name):
    path = SHIPPED / f"{name}.ckpt"
    whole, played = Model(load_checkpoint(path)), Model(load_played(path))
    assert isinstance(whole.task, tasks.SynthesisTask)
    assert not isinstance(played.task, tasks.SynthesisTask)
    sound = probe(whole.task, whole.sample_rate)
    assert torch.equal(whole(sound, whole.sample_rate), played(sound, played.sample_rate))


@pytest.mark.parametrize("kind", ["Drum", "Guitar", "Pitch", "Remap", "String"])
def test_a_task_takes_what_its_voices_take_and_what_they_leave_to_training(kind):
    task, voices = getattr(tasks, f"{kind}Task"), getattr(tasks, f"{kind}Voices")
    played = set(signature(voices).parameters) - {"training"}
    taken = set(signature(task).parameters)
    assert played <= taken
    assert taken - played <= set(voices.for_training)
