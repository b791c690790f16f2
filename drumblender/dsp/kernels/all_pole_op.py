"""The sparse recursion for those who read along: as an operator of torch, and as a scripted loop.

Each sample waits for the one before it, so there is no formula of whole tensors, and the shortest lag, which
would tell how many samples can be computed at once, is a value that a tracer must not read. ``torch.export``,
``torch.compile`` and ``torch.func`` keep the operator ``drumblender::sparse_all_pole``, which runs the
kernels; ``torch.jit.trace`` and ONNX get the loop.
"""

import math
from collections.abc import Callable
from functools import cache

import torch
from torch import Tensor

from drumblender.dsp.kernels import check_on_cuda, served_on_cuda
from drumblender.dsp.kernels.all_pole import recursion, recursion_adjoint


def checked_reach(lag: Tensor, num_taps: int, history: int | None) -> tuple[int, int]:
    """The shortest lag, and the samples of history that are read.

    Raises:
        ValueError: A lag is below 1 or reaches behind the history.
    """
    if lag.device.type == "cpu":  # without torch, whose thread teams spin between kernels
        values = lag.numpy()
        nearest, farthest = int(values.min()), int(values.max())
    else:
        nearest, farthest = (int(bound) for bound in lag.aminmax())
    reach = farthest + num_taps - 1
    if nearest < 1:
        raise ValueError(f"A recursion can't read the present or the future: got a lag of {nearest}.")
    if history is not None and history < reach:
        raise ValueError(f"The state holds {history} samples, but the taps read {reach} back.")
    return nearest, reach


def with_history(
    signal: Tensor, lag: Tensor, taps: Tensor, zi: Tensor, fused: bool = False
) -> tuple[Tensor, int]:
    """The state, or zeros where it is empty, and the shortest lag.

    For the fused loops of CUDA, which find it out and need no zeros: the state as it is, and 0.
    """
    if fused and served_on_cuda(signal):
        reach = zi.shape[1] - taps.shape[2] + 2 if zi.shape[1] else math.inf
        check_on_cuda(lag, 0, reach, "A lag is below 1 or reaches behind the state of the recursion.")
        return zi, 0
    nearest, reach = checked_reach(lag, taps.shape[2], zi.shape[1] or None)
    return (zi if zi.shape[1] else signal.new_zeros(len(signal), reach)), nearest


_NAME = "drumblender::sparse_all_pole"


@cache
def _operators() -> tuple[Callable, Callable]:
    """``sparse_all_pole(excitation, lag, taps, zi)`` and its adjoint; a ``zi`` of no samples is silence."""

    def forward(excitation: Tensor, lag: Tensor, taps: Tensor, zi: Tensor) -> Tensor:
        history, nearest = with_history(excitation, lag, taps, zi, fused=True)
        padded = recursion(excitation, lag.contiguous(), taps.contiguous(), history, nearest)
        return padded[:, history.shape[1] :].contiguous()

    def adjoint(
        grad: Tensor, lag: Tensor, taps: Tensor, zi: Tensor, signal: Tensor
    ) -> tuple[Tensor, Tensor, Tensor]:
        history, nearest = with_history(signal, lag, taps, zi, fused=True)
        padded = torch.cat([history, signal], dim=1)
        by_signal, by_taps = recursion_adjoint(grad, lag.contiguous(), taps.contiguous(), padded, nearest)
        size = history.shape[1]
        by_zi = by_signal[:, :size].contiguous() if zi.shape[1] else torch.empty_like(zi)
        return by_signal[:, size:].contiguous(), by_taps, by_zi

    def like(excitation: Tensor, *_: Tensor) -> Tensor:
        return torch.empty_like(excitation)

    def adjoint_like(grad: Tensor, lag: Tensor, taps: Tensor, zi: Tensor, _: Tensor) -> tuple[Tensor, ...]:
        return tuple(map(torch.empty_like, (grad, taps, zi)))

    # Not custom_op, whose own autograd function torch.func does not take.
    for name, arguments, results, run, fake in (
        (_NAME, "excitation, Tensor lag, Tensor taps, Tensor zi", "Tensor", forward, like),
        (
            f"{_NAME}_adjoint",
            "grad, Tensor lag, Tensor taps, Tensor zi, Tensor signal",
            "(Tensor, Tensor, Tensor)",
            adjoint,
            adjoint_like,
        ),
    ):
        torch.library.define(name, f"(Tensor {arguments}) -> {results}")
        torch.library.impl(name, "CompositeExplicitAutograd", run)
        torch.library.register_fake(name, fake)
        torch.library.register_vmap(name, _folding(run))
    return torch.ops.drumblender.sparse_all_pole, torch.ops.drumblender.sparse_all_pole_adjoint


class Followed(torch.autograd.Function):
    """In the style that ``torch.func`` asks for, which costs three times the call of the other."""

    generate_vmap_rule = True

    @staticmethod
    def forward(excitation, lag, taps, zi):
        return _operators()[0](excitation, lag, taps, zi)

    @staticmethod
    def setup_context(ctx, inputs, output):
        ctx.save_for_backward(*inputs[1:], output)

    @staticmethod
    def backward(ctx, grad):
        by_signal, by_taps, by_zi = _operators()[1](grad, *ctx.saved_tensors)
        return by_signal, None, by_taps, by_zi


def _folding(op: Callable) -> Callable:
    """How ``torch.func.vmap`` goes through an operator whose arguments all begin with the batch."""

    def rule(info, in_dims, *tensors: Tensor):
        size = info.batch_size
        full = [
            tensor.expand(size, *tensor.shape) if dim is None else tensor.movedim(dim, 0)
            for tensor, dim in zip(tensors, in_dims, strict=True)
        ]
        out = op(*(tensor.flatten(0, 1) for tensor in full))
        if isinstance(out, tuple):
            return tuple(part.unflatten(0, (size, -1)) for part in out), (0,) * len(out)
        return out.unflatten(0, (size, -1)), 0

    return rule


@cache
def scripted() -> Callable[[Tensor, Tensor, Tensor, Tensor], Tensor]:
    """The same, sample by sample: a loop in TorchScript and in ONNX."""
    return torch.jit.script(_sample_by_sample)


def _sample_by_sample(excitation: Tensor, lag: Tensor, taps: Tensor, zi: Tensor) -> Tensor:
    history = zi.size(1)
    signal = torch.cat([zi, excitation], dim=1)
    reach = torch.arange(taps.size(2))
    for n in range(excitation.size(1)):
        places = history + n - lag[:, n : n + 1] - reach
        past = signal.gather(1, places.clamp(min=0)) * (places >= 0)
        value = excitation[:, n] - (taps[:, n] * past).sum(dim=1)
        place = torch.zeros_like(lag[:, :1]) + history + n
        signal = signal.scatter(1, place, value[:, None])
    return signal[:, history:]
