"""The first command of README trains something: by figures, on sounds that it never heard."""

import pytest
import torch

from drumblender.checkpoints import load_checkpoint
from drumblender.cli import run
from drumblender.data.fake import KINDS, percussion

SHORT = {"data.num_sounds": 40, "trainer.max_epochs": 6, "trainer.enable_progress_bar": "false"}


def fresh_sounds(count: int) -> torch.Tensor:
    """Of every kind as many, none of which the training makes."""
    sounds = [
        percussion(
            KINDS[number % len(KINDS)],
            torch.Generator().manual_seed(90_000 + number),
            num_samples=16000,
            sample_rate=16000,
        )
        for number in range(count)
    ]
    return torch.stack(sounds)


def test_the_quickstart_beats_its_own_start_and_its_modes_on_fresh_sounds(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    options = [part for name, value in SHORT.items() for part in (f"--{name}", str(value))]
    assert run(["fit", "-c", "cfg/quickstart.yaml", *options, "--debug"]) == 0
    (best,) = tmp_path.rglob("best.ckpt")
    loaded = load_checkpoint(best)
    audio = fresh_sounds(20)
    found = loaded.task.compare({"audio": audio, **loaded.data.analyse(audio)})
    mean = {kind: figures["mrstft"].mean().item() for kind, figures in found.items()}
    assert mean["model"] < 0.65
    assert mean["model"] < 0.7 * mean["modal stem"]
    assert mean["model"] < 0.99 * mean["untrained"]
    assert mean["model"] == min(mean.values()), pytest.approx(mean)
