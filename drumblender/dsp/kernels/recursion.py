"""The sparse recursion and its inverse as autograd functions: numba on the CPU, Triton on CUDA, else torch.

Signals that are read in the past carry that past in front: sample n stands at index ``history + n``.
"""

import numpy as np
import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from drumblender.dsp.kernels.threads import parallel_for
from drumblender.dsp.sharing import plain_array


class Recursion(torch.autograd.Function):
    @staticmethod
    def forward(ctx, excitation, lag, taps, zi, nearest):
        padded, lag = _behind(zi, torch.empty_like(excitation)), lag.contiguous()
        _forward_on(excitation)(excitation.contiguous(), lag, taps, padded, nearest)
        ctx.save_for_backward(lag, taps, padded)
        ctx.nearest = nearest
        return padded[:, zi.shape[1] :]

    @staticmethod
    @once_differentiable
    def backward(ctx, grad):
        lag, taps, padded = ctx.saved_tensors
        history = padded.shape[1] - grad.shape[1]
        adjoint, grad_taps = _behind(grad.new_zeros(len(grad), history), grad), torch.empty_like(taps)
        _backward_on(grad)(adjoint, lag, taps, padded, grad_taps, ctx.nearest)
        return adjoint[:, history:], None, grad_taps, adjoint[:, :history], None


class Inverse(torch.autograd.Function):
    @staticmethod
    def forward(ctx, signal, lag, taps, zi, nearest):
        padded, lag = _behind(zi, signal), lag.contiguous()
        ctx.save_for_backward(lag, taps, padded)
        if not _on_cpu(signal):
            return signal + (taps * _past(padded, lag, taps)).sum(dim=2)
        from drumblender.dsp.kernels.strings_cpu import inverse_forward

        excitation = torch.empty_like(signal, memory_format=torch.contiguous_format)
        arrays = [part.numpy() for part in (padded, lag, taps, excitation)]
        parallel_for(lambda start, stop: inverse_forward(*arrays, start, stop), len(signal))
        return excitation

    @staticmethod
    @once_differentiable
    def backward(ctx, grad):
        lag, taps, padded = ctx.saved_tensors
        history = padded.shape[1] - grad.shape[1]
        adjoint = _behind(grad.new_zeros(len(grad), history), grad)
        if not _on_cpu(grad):
            places = _places(lag, taps.shape[2], history).flatten(1)
            adjoint.scatter_add_(1, places, (taps * grad[..., None]).flatten(1))
            grad_taps = grad[..., None] * _past(padded, lag, taps)
            return adjoint[:, history:], None, grad_taps, adjoint[:, :history], None
        from drumblender.dsp.kernels.strings_cpu import inverse_backward

        grad_taps = torch.empty_like(taps)
        arrays = [plain_array(grad), *(part.numpy() for part in (lag, taps, padded, adjoint, grad_taps))]
        parallel_for(lambda start, stop: inverse_backward(*arrays, start, stop), len(grad))
        return adjoint[:, history:], None, grad_taps, adjoint[:, :history], None


def _behind(history: Tensor, signal: Tensor) -> Tensor:
    """The signal with its history in front; on the CPU without torch, whose threads spin between kernels."""
    if not _on_cpu(signal):
        return torch.cat([history, signal], dim=1)
    return torch.from_numpy(np.concatenate([history.detach().numpy(), signal.detach().numpy()], axis=1))


def _places(lag: Tensor, num_taps: int, history: int, first: int = 0) -> Tensor:
    """Index of every sample read, ``(batch, samples, taps)``, in a signal with its history in front."""
    now = torch.arange(history + first, history + first + lag.shape[1], device=lag.device)
    return (now - lag)[..., None] - torch.arange(num_taps, device=lag.device)


def _past(padded: Tensor, lag: Tensor, taps: Tensor) -> Tensor:
    places = _places(lag, taps.shape[2], padded.shape[1] - lag.shape[1])
    return padded.gather(1, places.flatten(1)).view_as(taps)


def _on_cpu(tensor: Tensor) -> bool:
    return tensor.device.type == "cpu"


def _forward_on(tensor: Tensor):
    if _on_cpu(tensor):
        return _forward_cpu
    if tensor.device.type == "cuda":
        from drumblender.dsp.kernels.strings_cuda import loop_forward

        return loop_forward
    return _forward_blocks


def _backward_on(tensor: Tensor):
    if _on_cpu(tensor):
        return _backward_cpu
    if tensor.device.type == "cuda":
        from drumblender.dsp.kernels.strings_cuda import loop_backward

        return loop_backward
    return _backward_blocks


def _forward_cpu(excitation: Tensor, lag: Tensor, taps: Tensor, padded: Tensor, nearest: int) -> None:
    from drumblender.dsp.kernels.strings_cpu import loop_forward

    arrays = [part.numpy() for part in (excitation, lag, taps, padded)]
    parallel_for(lambda start, stop: loop_forward(*arrays, start, stop), len(padded))


def _backward_cpu(
    adjoint: Tensor, lag: Tensor, taps: Tensor, padded: Tensor, grad_taps: Tensor, nearest: int
) -> None:
    from drumblender.dsp.kernels.strings_cpu import loop_backward

    arrays = [part.numpy() for part in (adjoint, lag, taps, padded, grad_taps)]
    parallel_for(lambda start, stop: loop_backward(*arrays, start, stop), len(padded))


def _forward_blocks(excitation: Tensor, lag: Tensor, taps: Tensor, padded: Tensor, nearest: int) -> None:
    """Plain torch: samples closer together than the shortest lag don't hear each other."""
    history = padded.shape[1] - excitation.shape[1]
    for first in range(0, excitation.shape[1], nearest):
        span = slice(first, first + nearest)
        places = _places(lag[:, span], taps.shape[2], history, first)
        past = padded.gather(1, places.flatten(1)).view_as(places)
        block = excitation[:, span] - (taps[:, span] * past).sum(dim=2)
        padded[:, history + first : history + first + nearest] = block


def _backward_blocks(
    adjoint: Tensor, lag: Tensor, taps: Tensor, padded: Tensor, grad_taps: Tensor, nearest: int
) -> None:
    history = padded.shape[1] - lag.shape[1]
    for first in reversed(range(0, lag.shape[1], nearest)):
        span = slice(first, first + nearest)
        places = _places(lag[:, span], taps.shape[2], history, first)
        past = padded.gather(1, places.flatten(1)).view_as(places)
        final = adjoint[:, history + first : history + first + nearest, None]
        grad_taps[:, span] = -final * past
        adjoint.scatter_add_(1, places.flatten(1), (-taps[:, span] * final).flatten(1))
