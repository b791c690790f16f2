"""A module in each form that leaves Python, run on inputs that it was not traced with."""

import io
import warnings
from collections.abc import Callable

import torch
from torch import Tensor, nn

FORMS = ("trace", "export", "onnx")


def run_exported(
    form: str, module: nn.Module, example: tuple[Tensor, ...], given: tuple[Tensor, ...]
) -> Tensor:
    """What the module, exported with ``example``, makes of ``given``."""
    with warnings.catch_warnings(action="ignore"), torch.no_grad():
        return _FORMS[form](module.eval(), example, given)


def _trace(module: nn.Module, example: tuple[Tensor, ...], given: tuple[Tensor, ...]) -> Tensor:
    file = io.BytesIO()
    torch.jit.save(torch.jit.trace(module, example, check_trace=False), file)
    file.seek(0)
    return torch.jit.load(file)(*given)


def _export(module: nn.Module, example: tuple[Tensor, ...], given: tuple[Tensor, ...]) -> Tensor:
    file = io.BytesIO()
    torch.export.save(torch.export.export(module, example), file)
    file.seek(0)
    return torch.export.load(file).module()(*given)


def _onnx(module: nn.Module, example: tuple[Tensor, ...], given: tuple[Tensor, ...]) -> Tensor:
    import onnxruntime

    file, names = io.BytesIO(), [f"input{n}" for n in range(len(example))]
    torch.onnx.export(module, example, file, input_names=names, dynamo=False, opset_version=17)
    session = onnxruntime.InferenceSession(file.getvalue(), providers=["CPUExecutionProvider"])
    inputs = {name: value.numpy() for name, value in zip(names, given, strict=True)}
    heard = {value.name for value in session.get_inputs()}  # what has no part in the result is left out
    return torch.from_numpy(session.run(None, {k: v for k, v in inputs.items() if k in heard})[0])


_FORMS: dict[str, Callable] = {"trace": _trace, "export": _export, "onnx": _onnx}
