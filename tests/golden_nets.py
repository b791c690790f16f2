"""Loads the weights of a golden file into a module, and compares outputs and gradients as its README says."""

import torch
from torch import Tensor, nn


def load(module: nn.Module, case) -> nn.Module:
    """The module with the weights and in the mode of the file."""
    if "param_flat" in case:
        state, flat, start = module.state_dict(), case["param_flat"], 0
        for name, shape in case.config["param_index"]:
            count = torch.Size(shape).numel()
            state[name] = flat[start : start + count].reshape(shape)
            start += count
        module.load_state_dict(state)
        assert start == len(flat)
    return module.train(case.config.get("mode") == "train")


def check(case, module: nn.Module, output: Tensor, name: str, inputs: dict[str, Tensor], tolerance=2e-5):
    """Output within 5e-6 of the file, gradients within ``tolerance``, batch-norm buffers as left behind."""
    assert _relative(output, case[f"out_{name}"]) < 5e-6
    if f"in_ct_{name}" not in case:
        return
    (output * case[f"in_ct_{name}"]).sum().backward()
    pairs = [
        (inputs[key[5:]].grad, case[key])
        for key in case
        if key.startswith("grad_") and key != "grad_param_flat"
    ]
    if "grad_param_flat" in case:
        parameters, start = dict(module.named_parameters()), 0
        for key, shape in case.config["grad_param_index"]:
            count = torch.Size(shape).numel()
            pairs.append(
                (parameters[key].grad, case["grad_param_flat"][start : start + count].reshape(shape))
            )
            start += count
    assert pairs
    largest = max(expected.abs().max().item() for _, expected in pairs)
    for actual, expected in pairs:
        scale = max(expected.abs().max().item(), 0.01 * largest)
        assert (actual - expected).abs().max().item() < tolerance * scale
    if "out_buffer_flat" in case:
        buffers = dict(module.named_buffers())
        left = torch.cat([buffers[key].flatten() for key, _ in case.config["out_buffer_index"]])
        assert _relative(left, case["out_buffer_flat"]) < 5e-6


def _relative(actual: Tensor, expected: Tensor) -> float:
    assert actual.shape == expected.shape
    return ((actual - expected).abs().max() / expected.abs().max()).item()
