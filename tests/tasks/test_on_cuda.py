"""A step of training on a GPU that is not here: on one device throughout, and the host never waits for it."""

import pytest
import torch
from pretended_cuda import backward, moved, pretended_cuda
from training_steps import STEPS


@pytest.mark.parametrize("name", STEPS)
def test_a_step_of_training_waits_for_no_gpu(name, monkeypatch, unchecked):
    pytest.importorskip("triton")  # without it the recursion of a string reads its lags
    task, batch = STEPS[name]()
    monkeypatch.setattr(task, "log", lambda *args, **kwargs: None)
    with pretended_cuda(monkeypatch) as (_, uploads):
        there = {
            key: torch.empty(value.shape, dtype=value.dtype, device="cuda")
            for key, value in batch.items()
            if isinstance(value, torch.Tensor)
        }
        moved(task)
        for number in range(2):
            seen = uploads.count
            loss = task.training_step(there, number)["loss"]
            backward(loss, torch.ones((), device="cuda"))
        assert loss.device.type == "cuda" and uploads.count == seen, "a table is copied in every step"
        assert any(weight.grad is not None for weight in task.parameters())
