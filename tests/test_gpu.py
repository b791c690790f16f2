"""What only a GPU can show: kernels on it, steps of training that equal the processor's, and no waiting."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
import test_cfg
import torch
from training_steps import STEPS

from drumblender.lightning_cli import run_verb

pytestmark = pytest.mark.skipif(not torch.cuda.is_available(), reason="there is no GPU here")


def test_kernels_equal_the_plain_formulas():
    script = Path(__file__).parent / "dsp" / "triton_against_plain.py"
    env = {name: value for name, value in os.environ.items() if name != "TRITON_INTERPRET"}
    done = subprocess.run([sys.executable, script], env=env, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr[-2000:]


def step_of(name: str, device: str, monkeypatch, *, draws_there: bool = True):
    torch.manual_seed(0)
    task, batch = STEPS[name]()
    monkeypatch.setattr(task, "log", lambda *args, **kwargs: None)
    task.to(device)
    for module in task.modules():
        if not draws_there and hasattr(module, "draw_on_device"):
            module.draw_on_device = False
        if not draws_there and isinstance(module, torch.nn.Dropout):
            module.p = 0.0
    batch = {
        key: value.to(device) if isinstance(value, torch.Tensor) else value for key, value in batch.items()
    }
    return task, lambda number: task.training_step(batch, number)["loss"]


@pytest.mark.parametrize("name", STEPS)
def test_a_step_is_that_of_the_processor(name, monkeypatch, unchecked):
    monkeypatch.setattr(torch.backends.cudnn, "allow_tf32", False)
    found = {}
    for device in ("cpu", "cuda"):
        task, step = step_of(name, device, monkeypatch, draws_there=False)
        torch.manual_seed(1)
        loss = step(0)
        loss.backward()
        grads = [weight.grad.flatten().cpu() for weight in task.parameters() if weight.grad is not None]
        found[device] = loss.item(), torch.cat(grads)
    (loss, grad), (loss_there, grad_there) = found["cpu"], found["cuda"]
    assert loss_there == pytest.approx(loss, rel=1e-4)
    assert (grad_there - grad).norm() < 2e-3 * grad.norm()


@pytest.mark.parametrize("name", STEPS)
def test_a_step_waits_for_nothing(name, monkeypatch, unchecked):
    _, step = step_of(name, "cuda", monkeypatch)
    step(0).backward()
    torch.cuda.set_sync_debug_mode("error")
    try:
        step(1).backward()
    finally:
        torch.cuda.set_sync_debug_mode("default")


@pytest.mark.parametrize("run", test_cfg.RUNS, ids=test_cfg.relative)
def test_a_system_trains_a_step(run, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    configs = [part for path in run for part in ("-c", str(path))]
    fast = ["--trainer.fast_dev_run=1", "--trainer.accelerator=gpu", "--trainer.enable_progress_bar=false"]
    assert run_verb("fit", [*configs, *test_cfg.SYSTEMS[run[0].stem](tmp_path), *fast]) == 0
