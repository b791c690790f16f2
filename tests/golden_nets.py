"""Loads the weights of a golden file into a module, and compares its outputs and gradients."""

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


def check(case, module: nn.Module, output: Tensor, name: str, inputs: dict[str, Tensor]):
    """Output, gradients of inputs and parameters, and batch-norm buffers as left behind."""
    case.check(f"out_{name}", output)
    if f"in_ct_{name}" not in case:
        return
    (output * case[f"in_ct_{name}"]).sum().backward()
    grads = {key: value.grad for key, value in inputs.items() if f"grad_{key}" in case}
    if "grad_param_flat" in case:
        parameters, start = dict(module.named_parameters()), 0
        for key, shape in case.config["grad_param_index"]:
            count = torch.Size(shape).numel()
            case[f"grad_{key}"] = case["grad_param_flat"][start : start + count].reshape(shape)
            grads[key] = parameters[key].grad
            start += count
    assert len(grads) >= len([key for key in case if key.startswith("grad_") and key != "grad_param_flat"])
    for key, grad in grads.items():
        case.check(f"grad_{key}", grad)
    if "out_buffer_flat" in case:
        buffers = dict(module.named_buffers())
        left = [buffers[key].flatten() for key, _ in case.config["out_buffer_index"]]
        case.check("out_buffer_flat", torch.cat(left))
