"""A training step of each system's published configuration, at its published size, on any device::

    python -m benchmarks.steps --device cuda [--only drums pitch] [--bf16] [--tf32]

Loss, gradients and Adam; data are made up and lie on the device, so reading them is not counted. Prints what
a step takes of the wall clock, how many seconds of sound that is a second, and the peak of memory.
"""

import argparse
import contextlib
from collections.abc import Callable
from typing import NamedTuple
from unittest.mock import patch

import torch
import yaml
from jsonargparse import ArgumentParser
from torch import Tensor

from benchmarks.measure import extra_mib, interleaved
from benchmarks.training_step import made_up_batch
from drumblender.process import settle
from drumblender.shipped import shipped_dir
from drumblender.tasks import SynthesisTask

Batch = dict[str, Tensor]


def drums() -> Batch:
    return made_up_batch(12, 96_000, 64)


def strings() -> Batch:
    audio = torch.randn(8, 64_000) * torch.linspace(0, -6, 64_000).exp()
    return {
        "audio": 0.3 * audio,
        "f0_hz": 83 * 8 ** torch.rand(8, 1).expand(-1, 250),
        "loudness_db": torch.linspace(-20, -60, 250).expand(8, -1),
    }


def pitch() -> Batch:
    f0_hz = 80 * 4 ** torch.rand(64, 1)
    return {
        "audio": 0.5 * torch.sin(2 * torch.pi * f0_hz * torch.arange(4096) / 16_000),
        "f0_hz": f0_hz,
        "amp": torch.full((64, 1, 1), 0.5),
    }


def guitar() -> Batch:
    return {
        "audio": 0.1 * torch.randn(16, 16_000),
        "f0_hz": 82 * 8 ** torch.rand(16, 101),
        "periodicity": torch.ones(16, 101),
        "loudness_db": -50 + 30 * torch.rand(16, 101),
    }


class Case(NamedTuple):
    """Where the model stands in ``cfg/``, its batch, and how fast its sound is sampled."""

    config: str
    batch: Callable[[], Batch]
    sample_rate: int


CASES = {
    "drums": Case("drums.yaml", drums, 48_000),
    "strings": Case("strings.yaml", strings, 16_000),
    "pitch": Case("pitch.yaml", pitch, 16_000),
    "guitar": Case("guitar/published.yaml", guitar, 16_000),
}


def model_of(config: str) -> SynthesisTask:
    """As ``fit`` builds it."""
    path = shipped_dir("cfg") / config
    parser = ArgumentParser(exit_on_error=False)
    parser.add_subclass_arguments(SynthesisTask, "model", required=True)
    torch.manual_seed(0)
    with contextlib.chdir(path.parent):  # the files that it names are relative to it
        return parser.instantiate(
            parser.parse_object({"model": yaml.safe_load(path.read_text())["model"]})
        ).model


def step_of(case: Case, device: str, *, bf16: bool) -> Callable[[], None]:
    task = model_of(case.config).to(device)
    batch = {name: value.contiguous().to(device) for name, value in case.batch().items()}
    optimizer = torch.optim.Adam(task.parameters(), lr=1e-4)

    def step() -> None:
        optimizer.zero_grad()
        with torch.autocast(device, dtype=torch.bfloat16, enabled=bf16):
            loss = task.training_step(batch, 0)["loss"]
        loss.backward()
        optimizer.step()

    return step


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--only", nargs="+", choices=CASES, default=list(CASES))
    parser.add_argument("--bf16", action="store_true", help="as trainer.precision=bf16-mixed")
    parser.add_argument("--tf32", action="store_true", help="convolutions rounded to 10 bits, on CUDA")
    parser.add_argument("--rounds", type=int, default=5)
    given = parser.parse_args()
    settle()
    torch.backends.cudnn.allow_tf32 = given.tf32
    where = torch.cuda.get_device_name() if given.device == "cuda" else f"{torch.get_num_threads()} threads"
    print(f"{'':10}{'batch':>6}{'s of sound':>12}{'step s':>10}{'sound/s':>10}{'MiB':>8}   on {where}")
    with patch.object(SynthesisTask, "log", lambda *args, **kwargs: None):  # nobody keeps it here
        for name in given.only:
            case = CASES[name]
            step = step_of(case, given.device, bf16=given.bf16)
            wall_s = interleaved({name: step}, given.rounds)[name].wall_s
            size, samples = case.batch()["audio"].shape
            sound_s = size * samples / case.sample_rate
            cells = f"{size:6}{sound_s:12.1f}{wall_s:10.4f}{sound_s / wall_s:10.0f}{extra_mib(step):8.0f}"
            print(f"{name:10}{cells}", flush=True)


if __name__ == "__main__":
    main()
