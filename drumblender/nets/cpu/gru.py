"""A layer of a GRU as an autograd function: its weights are read twice a frame, and their gradient is one
product."""

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from drumblender.dsp.kernels.threads import parallel_for
from drumblender.nets.cpu.gru_loops import play, play_adjoint
from drumblender.nets.cpu.lanes import CHANNELS, STEP


class GRULayer(torch.autograd.Function):
    """Float32 ``(frames, batch, inputs)`` to ``(frames, batch, hidden)``, and the last state."""

    @staticmethod
    def forward(ctx, x, state, w_ih, w_hh, b_ih, b_hh) -> tuple[Tensor, Tensor]:
        frames, batch, _ = x.shape
        size = w_hh.shape[1]
        bias = b_ih + torch.cat([b_hh[: 2 * size], torch.zeros_like(b_hh[2 * size :])])
        gates = torch.addmm(bias, x.flatten(0, 1), w_ih.T).view(frames, batch, 3 * size)
        outputs, heard = x.new_empty(frames + 1, batch, size), x.new_empty(frames, batch, size)
        outputs[0] = state
        weights = _panels(w_hh.view(3, size, size)).transpose(0, 1).mT.flatten(2).contiguous()
        arrays = [value.detach().numpy() for value in (gates, weights, b_hh[2 * size :], outputs, heard)]
        parallel_for(lambda first, last: play(*arrays, first, last), -(-batch // CHANNELS))
        ctx.save_for_backward(x, outputs, gates, heard, w_ih, w_hh)
        return outputs[1:], outputs[-1].clone()

    @staticmethod
    @once_differentiable
    def backward(ctx, grad: Tensor, grad_last: Tensor):
        x, outputs, gates, heard, w_ih, w_hh = ctx.saved_tensors
        frames, batch, size = heard.shape
        by_gates, by_state = x.new_empty(frames, batch, 4 * size), grad_last.clone()
        weights = _panels(w_hh.T[None])[0].mT.flatten(1).contiguous()
        tensors = (grad.contiguous(), gates, heard, outputs, weights, by_state, by_gates)
        arrays = [value.detach().numpy() for value in tensors]
        parallel_for(lambda first, last: play_adjoint(*arrays, first, last), -(-batch // CHANNELS))
        rows = by_gates.flatten(0, 1)  # by new, reset, update; then again by new, as the state tells it
        given, recurrent = rows[:, : 3 * size], rows[:, size:]
        grad_x = None
        if ctx.needs_input_grad[0]:
            grad_x = (given @ w_ih.roll(size, 0)).view_as(x)
        by_w_ih = (given.T @ x.flatten(0, 1)).roll(-size, 0)
        by_w_hh = recurrent.T @ outputs[:-1].flatten(0, 1)
        return grad_x, by_state, by_w_ih, by_w_hh, given.sum(dim=0).roll(-size), recurrent.sum(dim=0)


def _panels(rows: Tensor) -> Tensor:
    """``(gates, units, ...)`` as ``(gates, panels, STEP, ...)``, filled up with zeros."""
    missing = -rows.shape[1] % STEP
    return torch.nn.functional.pad(rows, (0, 0, 0, missing)).unflatten(1, (-1, STEP))
