"""The GRU that trains faster: torch's numbers, and torch's path where it is of no use."""

import pytest
import torch
from torch import nn

from drumblender.nets.cpu.gru import GRULayer
from drumblender.nets.gru import gru


def made(size=7, dropout=0.3, layers=2):
    torch.manual_seed(0)
    return nn.GRU(3, size, layers, batch_first=True, dropout=dropout)


def outcome(network, call, x, state):
    """Outputs, last state and all gradients."""
    x, state = x.requires_grad_(), state.requires_grad_()
    outputs, last = call(x, state)
    loss = (outputs * torch.linspace(-1, 1, outputs.numel()).view_as(outputs)).sum() + last.square().sum()
    return [outputs, last, *torch.autograd.grad(loss, [x, state, *network.parameters()])]


@pytest.mark.parametrize(("batch", "size"), [(1, 3), (6, 7), (9, 70)])
def test_outputs_and_gradients_are_those_of_torch_in_float64(batch, size, generator):
    """Sizes that fill no register, one panel and more; groups of items that are full and not."""
    network = made(size, dropout=0.0)
    x, state = torch.randn(batch, 6, 3, generator=generator), torch.randn(2, batch, size, generator=generator)
    ours = outcome(network, lambda x, state: gru(network, x, state), x, state)
    network = network.double()
    for mine, exact in zip(ours, outcome(network, network, x.double(), state.double()), strict=True):
        torch.testing.assert_close(mine.double(), exact, rtol=1e-4, atol=1e-5)


def test_threads_share_the_items(monkeypatch, generator):
    network, x = made(layers=1, dropout=0.0), torch.randn(10, 5, 3, generator=generator)
    alone = outcome(network, lambda x, state: gru(network, x, state), x, torch.zeros(1, 10, 7))
    monkeypatch.setattr(torch, "get_num_threads", lambda: 3)
    shared = outcome(network, lambda x, state: gru(network, x, state), x, torch.zeros(1, 10, 7))
    torch.testing.assert_close(shared, alone)


def test_between_layers_the_same_is_dropped(generator):
    network, x = made(), torch.randn(2, 6, 3, generator=generator)
    found = []
    for call in (lambda: gru(network, x, None), lambda: network(x)):
        torch.manual_seed(1)
        found.append(call()[0])
    torch.testing.assert_close(*found)
    assert not torch.allclose(found[0], gru(network.eval(), x, None)[0], atol=1e-3)


def test_no_number_stays_no_number(generator):
    network, x = made(layers=1, dropout=0.0), torch.randn(2, 5, 3, generator=generator)
    x[1, 2] = float("nan")
    outputs, _ = gru(network, x, None)
    assert outputs[1, 2:].isnan().all() and outputs[0].isfinite().all() and outputs[1, :2].isfinite().all()


def test_no_state_is_a_state_of_zeros(generator):
    network = made(layers=1, dropout=0.0)
    x = torch.randn(2, 5, 3, generator=generator)
    torch.testing.assert_close(gru(network, x, None), network(x))


def test_where_nothing_is_trained_torch_plays(monkeypatch, generator):
    monkeypatch.setattr(GRULayer, "apply", lambda *_: pytest.fail("the way for training"))
    network, x = made(), torch.randn(2, 5, 3, generator=generator)
    with torch.no_grad():
        gru(network, x, None)
    gru(network.requires_grad_(False), x, None)
    with pytest.raises(pytest.fail.Exception):
        gru(network.requires_grad_(True), x, None)


def test_one_frame_is_that_of_a_sequence(generator):
    network, x = made().eval(), torch.randn(2, 5, 3, generator=generator)
    with torch.no_grad():
        whole, last = network(x)
        state, rows = None, []
        for frame in x.split(1, dim=1):
            row, state = gru(network, frame, state)
            rows.append(row)
    torch.testing.assert_close(torch.cat(rows, dim=1), whole)
    torch.testing.assert_close(state, last)


def test_float64_is_torchs(monkeypatch, generator):
    monkeypatch.setattr(GRULayer, "apply", lambda *_: pytest.fail("the way of float32"))
    gru(made().double(), torch.randn(2, 5, 3, dtype=torch.double, generator=generator), None)


def test_a_trace_plays_any_number_of_frames(generator):
    network = nn.GRU(2, 8, num_layers=2, batch_first=True).eval().requires_grad_(False)
    state = torch.randn(2, 1, 8, generator=generator)
    with torch.no_grad():
        traced = torch.jit.trace(lambda x, state: gru(network, x, state), (torch.zeros(1, 2, 2), state))
        for frames in (1, 5):
            x = torch.randn(1, frames, 2, generator=generator)
            for ours, theirs in zip(traced(x, state), network(x, state), strict=True):
                assert torch.allclose(ours, theirs, atol=1e-6)
