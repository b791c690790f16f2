"""The sparse recursion and its inverse as autograd functions: numba on the CPU, Triton on CUDA, else torch.

Signals that are read in the past carry that past in front: sample n stands at index ``history + n``.
"""

import numpy as np
import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from drumblender.dsp.kernels import has_triton
from drumblender.dsp.kernels.sharing import plain_array
from drumblender.dsp.kernels.threads import parallel_for


class Recursion(torch.autograd.Function):
    """``nearest`` is the shortest lag; ``fused`` asks for the loops of the device, where it has any."""

    @staticmethod
    def forward(ctx, excitation, lag, taps, zi, nearest: int, fused: bool):
        lag = lag.contiguous()
        padded = recursion(excitation, lag, taps, zi, nearest, fused)
        ctx.save_for_backward(lag, taps, padded)
        ctx.settings = nearest, fused
        return padded[:, zi.shape[1] :]

    @staticmethod
    @once_differentiable
    def backward(ctx, grad):
        adjoint, grad_taps = recursion_adjoint(grad, *ctx.saved_tensors, *ctx.settings)
        history = adjoint.shape[1] - grad.shape[1]
        return adjoint[:, history:], None, grad_taps, adjoint[:, :history], None, None


def recursion(
    excitation: Tensor, lag: Tensor, taps: Tensor, zi: Tensor, nearest: int, fused: bool = True
) -> Tensor:
    """The filtered signal behind its history ``zi``."""
    padded = _behind(zi, torch.empty_like(excitation))
    _forward_on(padded, fused)(excitation.contiguous(), lag, taps, padded, nearest)
    return padded


def recursion_adjoint(
    grad: Tensor, lag: Tensor, taps: Tensor, padded: Tensor, nearest: int, fused: bool = True
) -> tuple[Tensor, Tensor]:
    """The gradients of excitation, behind that of the history, and of the taps."""
    history = padded.shape[1] - grad.shape[1]
    adjoint, grad_taps = _behind(grad.new_zeros(len(grad), history), grad), torch.empty_like(taps)
    _backward_on(padded, fused)(adjoint, lag, taps, padded, grad_taps, nearest)
    return adjoint, grad_taps


class Inverse(torch.autograd.Function):
    """On the CPU; elsewhere the plain formula is as fast."""

    @staticmethod
    def forward(ctx, signal, lag, taps, zi):
        from drumblender.dsp.kernels.all_pole_cpu import inverse_forward

        padded, lag = _behind(zi, signal), lag.contiguous()
        ctx.save_for_backward(lag, taps, padded)
        excitation = torch.empty_like(signal, memory_format=torch.contiguous_format)
        arrays = [part.numpy() for part in (padded, lag, taps, excitation)]
        parallel_for(lambda start, stop: inverse_forward(*arrays, start, stop), len(signal))
        return excitation

    @staticmethod
    @once_differentiable
    def backward(ctx, grad):
        from drumblender.dsp.kernels.all_pole_cpu import inverse_backward

        lag, taps, padded = ctx.saved_tensors
        history = padded.shape[1] - grad.shape[1]
        adjoint, grad_taps = _behind(grad.new_zeros(len(grad), history), grad), torch.empty_like(taps)
        arrays = [plain_array(grad), *(part.numpy() for part in (lag, taps, padded, adjoint, grad_taps))]
        parallel_for(lambda start, stop: inverse_backward(*arrays, start, stop), len(grad))
        return adjoint[:, history:], None, grad_taps, adjoint[:, :history]


def places_read(lag: Tensor, num_taps: int, history: int, first: int = 0) -> Tensor:
    """Index of every sample read, ``(batch, samples, taps)``, in a signal with its history in front."""
    now = torch.arange(history + first, history + first + lag.shape[1], device=lag.device)
    return (now - lag)[..., None] - torch.arange(num_taps, device=lag.device)


def _behind(history: Tensor, signal: Tensor) -> Tensor:
    """The signal with its history in front; on the CPU without torch, whose threads spin between kernels."""
    if signal.device.type != "cpu":
        return torch.cat([history, signal], dim=1)
    return torch.from_numpy(np.concatenate([history.detach().numpy(), signal.detach().numpy()], axis=1))


def _forward_on(tensor: Tensor, fused: bool):
    if fused and tensor.device.type == "cpu":
        return _forward_cpu
    if fused and tensor.device.type == "cuda" and has_triton():
        from drumblender.dsp.kernels.all_pole_cuda import loop_forward

        return loop_forward
    return _forward_blocks


def _backward_on(tensor: Tensor, fused: bool):
    if fused and tensor.device.type == "cpu":
        return _backward_cpu
    if fused and tensor.device.type == "cuda" and has_triton():
        from drumblender.dsp.kernels.all_pole_cuda import loop_backward

        return loop_backward
    return _backward_blocks


def _forward_cpu(excitation: Tensor, lag: Tensor, taps: Tensor, padded: Tensor, nearest: int) -> None:
    from drumblender.dsp.kernels.all_pole_cpu import loop_forward

    arrays = [part.numpy() for part in (excitation, lag, taps, padded)]
    parallel_for(lambda start, stop: loop_forward(*arrays, start, stop), len(padded))


def _backward_cpu(
    adjoint: Tensor, lag: Tensor, taps: Tensor, padded: Tensor, grad_taps: Tensor, nearest: int
) -> None:
    from drumblender.dsp.kernels.all_pole_cpu import loop_backward

    arrays = [part.numpy() for part in (adjoint, lag, taps, padded, grad_taps)]
    parallel_for(lambda start, stop: loop_backward(*arrays, start, stop), len(padded))


def _forward_blocks(excitation: Tensor, lag: Tensor, taps: Tensor, padded: Tensor, nearest: int) -> None:
    """Plain torch: samples closer together than the shortest lag don't hear each other."""
    history = padded.shape[1] - excitation.shape[1]
    for first in range(0, excitation.shape[1], nearest):
        span = slice(first, first + nearest)
        places = places_read(lag[:, span], taps.shape[2], history, first)
        past = padded.gather(1, places.flatten(1)).view_as(places)
        block = excitation[:, span] - (taps[:, span] * past).sum(dim=2)
        padded[:, history + first : history + first + nearest] = block


def _backward_blocks(
    adjoint: Tensor, lag: Tensor, taps: Tensor, padded: Tensor, grad_taps: Tensor, nearest: int
) -> None:
    history = padded.shape[1] - lag.shape[1]
    for first in reversed(range(0, lag.shape[1], nearest)):
        span = slice(first, first + nearest)
        places = places_read(lag[:, span], taps.shape[2], history, first)
        past = padded.gather(1, places.flatten(1)).view_as(places)
        final = adjoint[:, history + first : history + first + nearest, None]
        grad_taps[:, span] = -final * past
        adjoint.scatter_add_(1, places.flatten(1), (-taps[:, span] * final).flatten(1))


class Keep(torch.autograd.Function):
    """In numpy, which leaves torch's thread teams alone."""

    @staticmethod
    def forward(ctx, signal, starts, window):
        ctx.windows = starts.tolist(), window
        return torch.from_numpy(_kept(signal.numpy(), *ctx.windows))

    @staticmethod
    @once_differentiable
    def backward(ctx, grad):
        return torch.from_numpy(_kept(grad.numpy(), *ctx.windows)), None, None


def _kept(signal: np.ndarray, starts: list[list[int]], window: int) -> np.ndarray:
    kept = np.zeros_like(signal)
    for item, firsts in enumerate(starts):
        for first in firsts:
            span = slice(max(first, 0), max(first + window, 0))
            kept[item, span] = signal[item, span]
    return kept
