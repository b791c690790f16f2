"""A GRU whose gradient is written out: its weights are read twice a frame, and their gradient is one product.

The way back of ``torch.nn.GRU`` on a CPU adds to the gradient of all weights frame by frame, and that is what
most of a training step of a wide one goes into. State and gates lie as ``(features, batch)`` here, in which
BLAS multiplies a few columns faster than as many rows.
"""

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.autograd.function import once_differentiable

from drumblender.dsp.kernels import read_along


def gru(
    network: nn.GRU,
    x: Float[Tensor, "batch frames inputs"],
    state: Float[Tensor, "layers batch hidden"] | None,
) -> tuple[Float[Tensor, "batch frames hidden"], Float[Tensor, "layers batch hidden"]]:
    """What ``network(x, state)`` gives, by the way that is faster to train on a CPU.

    Args:
        network: Of one direction, ``batch_first``, with biases.
        x: The inputs.
        state: After the frames before; None: zeros.

    Examples:
        >>> network = nn.GRU(2, 8, num_layers=2, batch_first=True)
        >>> x = torch.randn(3, 10, 2)
        >>> torch.allclose(gru(network, x, None)[0], network(x)[0], atol=1e-6)
        True
    """
    if not _worth_it(network, x):
        return network(x, state)
    if state is None:
        state = x.new_zeros(network.num_layers, len(x), network.hidden_size)
    rows, last = x.transpose(0, 1), []
    for layer in range(network.num_layers):
        if layer and network.dropout:
            rows = nn.functional.dropout(rows, network.dropout, network.training)
        weights = [getattr(network, f"{name}_l{layer}") for name in _WEIGHTS]
        rows, end = GRULayer.apply(rows, state[layer], *weights)
        last.append(end)
    return rows.transpose(0, 1), torch.stack(last)


_WEIGHTS = ("weight_ih", "weight_hh", "bias_ih", "bias_hh")


def _worth_it(network: nn.GRU, x: Tensor) -> bool:
    """On the CPU, with gradients to come, several frames, and nobody who reads along or rounds."""
    if read_along() or x.device.type != "cpu":
        return False
    trains = torch.is_grad_enabled() and network.weight_hh_l0.requires_grad
    return trains and x.shape[1] > 1 and not torch.is_autocast_enabled("cpu")


class GRULayer(torch.autograd.Function):
    """One layer over ``(frames, batch, inputs)``; gates in the order of torch: reset, update, new."""

    @staticmethod
    def forward(ctx, x, state, w_ih, w_hh, b_ih, b_hh) -> tuple[Tensor, Tensor]:
        frames, batch, _ = x.shape
        size = w_hh.shape[1]
        given = torch.addmm(b_ih, x.reshape(frames * batch, -1), w_ih.T)
        given = given.view(frames, batch, 3 * size).transpose(1, 2).contiguous()
        outputs, gates = x.new_empty(frames + 1, size, batch), torch.empty_like(given)
        recurrent, bias = torch.empty_like(given), b_hh[:, None]
        outputs[0] = state.T
        for t in range(frames):
            torch.addmm(bias, w_hh, outputs[t], out=recurrent[t])
            torch.add(given[t, : 2 * size], recurrent[t, : 2 * size], out=gates[t, : 2 * size]).sigmoid_()
            reset, update, new = gates[t].split(size)
            torch.addcmul(given[t, 2 * size :], reset, recurrent[t, 2 * size :], out=new).tanh_()
            torch.lerp(new, outputs[t], update, out=outputs[t + 1])
        ctx.save_for_backward(x, outputs, gates, recurrent[:, 2 * size :].clone(), w_ih, w_hh)
        return outputs[1:].transpose(1, 2).contiguous(), outputs[-1].T.contiguous()

    @staticmethod
    @once_differentiable
    def backward(ctx, grad: Tensor, grad_last: Tensor):
        x, outputs, gates, recurrent, w_ih, w_hh = ctx.saved_tensors
        frames, batch, _ = x.shape
        size = w_hh.shape[1]
        reset, update, new = gates.split(size, dim=1)
        slope = (1 - update) * (1 - new.square())  # of the output by what the new gate hears
        by_update = (outputs[:-1] - new) * update * (1 - update)
        by_reset = slope * recurrent * reset * (1 - reset)
        hears = torch.stack([by_reset, by_update, slope * reset], dim=1)  # (frames, 3, hidden, batch)
        grad, back, into = grad.transpose(1, 2).contiguous(), w_hh.T.contiguous(), grad_last.T.contiguous()
        flows = torch.empty_like(new)
        for t in range(frames - 1, -1, -1):
            into = torch.add(into, grad[t], out=flows[t])
            hears[t] *= into
            into = torch.addmm(into * update[t], back, hears[t].view(3 * size, batch))
        to_hidden = _columns(hears.view(frames, 3 * size, batch))
        to_input = torch.cat([to_hidden[: 2 * size], _columns(flows * slope)])
        before, x = outputs[:-1].transpose(1, 2).reshape(-1, size), x.reshape(frames * batch, -1)
        grad_x = (to_input.T @ w_ih).view(frames, batch, -1) if ctx.needs_input_grad[0] else None
        sums = to_input.sum(dim=1), to_hidden.sum(dim=1)
        return grad_x, into.T, to_input @ x, to_hidden @ before, *sums


def _columns(values: Float[Tensor, "frames features batch"]) -> Float[Tensor, "features all"]:
    return values.transpose(0, 1).reshape(values.shape[1], -1)
