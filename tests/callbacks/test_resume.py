"""Runs that are killed at any step and resumed end with the weights of the run that was not."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import torch

from drumblender.callbacks.resume import generators, restore_generators


def test_a_killed_run_that_is_resumed_is_the_run_that_was_not(tmp_path):
    script = Path(__file__).with_name("killed_runs.py")
    done = subprocess.run([sys.executable, str(script), str(tmp_path)], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    lines = done.stdout.splitlines()
    assert len(lines) >= 9 and all(line.startswith("equal: ") for line in lines), done.stdout


def test_every_generator_goes_on_where_it_was_after_a_file_without_objects(tmp_path):
    import random

    random.gauss(0, 1), np.random.randn()  # noqa: NPY002 half of a pair is kept for the next draw
    torch.save(generators(), tmp_path / "state")
    drawn = [random.gauss(0, 1), np.random.randn(), torch.rand(()).item()]  # noqa: NPY002
    restore_generators(torch.load(tmp_path / "state", weights_only=True))
    assert [random.gauss(0, 1), np.random.randn(), torch.rand(()).item()] == drawn  # noqa: NPY002
