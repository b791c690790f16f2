"""A GPU that is not here: tensors that say they are on it, and hold no numbers.

What runs on them has taken the branches of CUDA, has mixed no devices and has read no value back, for there
is none to read. Triton's kernels are not run but compiled, with the arguments that they were launched with.
"""

import contextlib
import inspect
from collections import Counter
from collections.abc import Iterator

import torch
from torch import Tensor
from torch._subclasses.fake_tensor import FakeTensorMode
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils.weak import WeakIdKeyDictionary

from drumblender.dsp import tables

TYPES = {torch.float64: "*fp64", torch.float32: "*fp32", torch.int64: "*i64", torch.int32: "*i32"}
TYPES |= {torch.bfloat16: "*bf16", torch.float16: "*fp16", int: "i32", float: "fp32"}


class Uploads(TorchDispatchMode):
    """Counts copies from the host, at which a GPU waits."""

    def __init__(self):
        super().__init__()
        self.count = 0

    def __torch_dispatch__(self, function, types, args=(), kwargs=None):
        out = function(*args, **(kwargs or {}))
        if function is torch.ops.aten._to_copy.default and isinstance(out, Tensor):
            self.count += args[0].device.type == "cpu" != out.device.type
        return out


@contextlib.contextmanager
def pretended_cuda(monkeypatch) -> Iterator[tuple[dict, Uploads]]:
    """Inside, tensors may be made on ``cuda``. Yields the kernels launched, by name, and the copies."""
    launched, uploads = {}, Uploads()
    with contextlib.suppress(ImportError):
        from triton.runtime import JITFunction

        def launch(self, *args, grid, warmup, **settings):
            launched[self.fn.__name__] = self, args, settings

        monkeypatch.setattr(JITFunction, "run", launch)
    monkeypatch.setattr(tables, "_COPIES", WeakIdKeyDictionary())  # of no use to anyone else
    monkeypatch.setattr(torch.nn.GRU, "forward", _like_a_gru)
    with FakeTensorMode(allow_non_fake_inputs=True), uploads:
        yield launched, uploads


def _like_a_gru(self, x: Tensor, state: Tensor | None = None) -> tuple[Tensor, Tensor]:
    """Its shapes: torch itself asks the driver on the way to one."""
    heard = x.sum(dim=-1, keepdim=True) * sum(weight.sum() for weight in self.parameters())
    out = heard.expand(*x.shape[:-1], self.hidden_size * (1 + self.bidirectional))
    return out, heard.new_zeros(self.num_layers * (1 + self.bidirectional), len(x), self.hidden_size)


def backward(output: Tensor, grad: Tensor) -> None:
    """What torch's engine does; that one asks the driver for streams."""
    waiting, nodes = Counter(), [output.grad_fn]
    for node in nodes:
        for following, _ in node.next_functions:
            if following is not None:
                nodes += [following] * (following not in waiting)
                waiting[following] += 1
    arrived = {output.grad_fn: {output.output_nr: grad}}
    ready = [output.grad_fn]
    while ready:
        node = ready.pop()
        found = arrived.pop(node, {})
        if hasattr(node, "variable"):  # a leaf
            node.variable.grad = found[0]
            continue
        given = [found.get(index) for index in range(len(node._input_metadata))]
        grads = getattr(node, "apply", node)(*given) if any(g is not None for g in given) else None
        grads = grads if isinstance(grads, tuple) else (grads,) * len(node.next_functions)
        for (following, index), part in zip(node.next_functions, grads, strict=False):
            if following is None:
                continue
            if part is not None:
                like = following._input_metadata[index]
                part = part.sum_to_size(like.shape).to(like.dtype)
                sums = arrived.setdefault(following, {})
                sums[index] = part if index not in sums else sums[index] + part
            waiting[following] -= 1
            ready += [following] * (waiting[following] == 0)


def compiled(launch: tuple, capability: int) -> bytes:
    """The machine code of a kernel for GPUs of a compute capability, 90 for 9.0."""
    import triton
    from triton.backends.compiler import GPUTarget
    from triton.compiler import ASTSource

    kernel, args, settings = launch
    options = {name: settings[name] for name in settings if name not in kernel.arg_names}
    bound = inspect.signature(kernel.fn).bind(
        *args, **{name: settings[name] for name in settings if name not in options}
    )
    constants = {
        p.name: bound.arguments[p.name]
        for p in kernel.params
        if p.is_constexpr or (type(bound.arguments[p.name]) is int and bound.arguments[p.name] == 1)
    }  # as at a launch, where a 1 is part of the program
    signature = {
        name: "constexpr"
        if name in constants
        else TYPES[value.dtype if isinstance(value, Tensor) else type(value)]
        for name, value in bound.arguments.items()
    }
    source = ASTSource(kernel, signature, constexprs=constants)
    return triton.compile(source, target=GPUTarget("cuda", capability, 32), options=options).asm["cubin"]


def moved(module: torch.nn.Module) -> torch.nn.Module:
    """The module, its weights and buffers on the GPU; not what it holds beside them."""
    for part in module.modules():
        for kept in (part._parameters, part._buffers):
            for name, value in kept.items():
                if value is not None:
                    there = torch.empty(value.shape, dtype=value.dtype, device="cuda")
                    is_weight = isinstance(value, torch.nn.Parameter)
                    kept[name] = torch.nn.Parameter(there, value.requires_grad) if is_weight else there
    return module
