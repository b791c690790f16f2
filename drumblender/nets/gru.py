"""A GRU that trains in half the time on a CPU.

The way back of ``torch.nn.GRU`` adds to the gradient of all weights frame by frame, and both ways lay the
weights out anew for every frame; that is what most of a training step of a wide one goes into.
"""

import torch
from jaxtyping import Float
from torch import Tensor, nn

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
    from drumblender.nets.cpu.gru import GRULayer  # numba imports slowly

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
    """In float32 on the CPU, with gradients to come, several frames, and nobody who reads along or rounds."""
    if read_along() or x.device.type != "cpu" or not x.dtype == network.weight_hh_l0.dtype == torch.float32:
        return False
    trains = torch.is_grad_enabled() and network.weight_hh_l0.requires_grad
    return trains and x.shape[1] > 1 and not torch.is_autocast_enabled("cpu")
