"""The GRU with a way back of its own: torch's numbers, and torch's path where it is of no use."""

import pytest
import torch
from torch import nn

from drumblender.nets.gru import GRULayer, gru


def made(dropout=0.3, layers=2):
    torch.manual_seed(0)
    return nn.GRU(3, 7, layers, batch_first=True, dropout=dropout).double()


def outcome(network, call, x, state):
    """Outputs, last state and all gradients, with the same dropout."""
    torch.manual_seed(1)
    outputs, last = call(x, state)
    loss = (outputs * torch.linspace(-1, 1, outputs.numel()).view_as(outputs)).sum() + last.square().sum()
    return [outputs, last, *torch.autograd.grad(loss, [x, state, *network.parameters()])]


@pytest.mark.parametrize("training", [True, False])
def test_outputs_and_gradients_are_those_of_torch(training, generator):
    network = made().train(training)
    x = torch.randn(2, 6, 3, dtype=torch.double, generator=generator).requires_grad_()
    state = torch.randn(2, 2, 7, dtype=torch.double, generator=generator).requires_grad_()
    ours = outcome(network, lambda x, state: gru(network, x, state), x, state)
    for mine, theirs in zip(ours, outcome(network, network, x, state), strict=True):
        torch.testing.assert_close(mine, theirs)


def test_no_state_is_a_state_of_zeros(generator):
    network = made(layers=1, dropout=0.0)
    x = torch.randn(2, 5, 3, dtype=torch.double, generator=generator)
    torch.testing.assert_close(gru(network, x, None), network(x))


def test_where_nothing_is_trained_torch_plays(monkeypatch, generator):
    monkeypatch.setattr(GRULayer, "apply", lambda *_: pytest.fail("the way for training"))
    network, x = made(), torch.randn(2, 5, 3, dtype=torch.double, generator=generator)
    with torch.no_grad():
        gru(network, x, None)
    gru(network.requires_grad_(False), x, None)
    with pytest.raises(pytest.fail.Exception):
        gru(network.requires_grad_(True), x, None)
