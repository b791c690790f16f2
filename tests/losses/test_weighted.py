import math

import pytest
import torch
from torch import nn

from drumblender.losses import FirstOrderDifferenceLoss, MultiResolutionSTFTLoss, WeightedLoss


@pytest.fixture
def sounds(generator):
    return torch.randn(2, 50, generator=generator), torch.randn(2, 50, generator=generator)


def build(weights=None):
    return WeightedLoss({"wave": nn.L1Loss(), "slope": FirstOrderDifferenceLoss()}, weights)


@pytest.mark.parametrize("name", ["WeightedLoss", "WeightedLoss_default"])
def test_equals_the_published_sum(golden, name):
    file = golden("drums", name)
    weights = file.config["init"]["weights"]
    loss = build(weights and dict(zip(("wave", "slope"), weights, strict=True)))
    prediction = file["in_pred"][:, 0].requires_grad_()
    value = loss(prediction, file["in_target"][:, 0])
    (value * float(file["in_ct_loss"])).backward()
    file.check("out_loss", value)
    file.check("grad_pred", prediction.grad[:, None])


def test_parts_are_the_values_before_their_weights(sounds):
    loss = build({"slope": 3.0})
    value = loss(*sounds)
    assert list(loss.parts) == ["wave", "slope"]
    assert loss.parts["wave"] + 3 * loss.parts["slope"] == pytest.approx(value.item())
    assert loss.parts["wave"] == nn.L1Loss()(*sounds)


def test_parts_hold_no_graph(sounds):
    loss = build()
    loss(sounds[0].requires_grad_(), sounds[1])
    assert not any(part.requires_grad for part in loss.parts.values())


def test_parts_move_with_the_loss():
    loss = WeightedLoss({"mss": MultiResolutionSTFTLoss()}).to("meta")
    assert all(buffer.device.type == "meta" for buffer in loss.buffers())


@pytest.mark.parametrize(
    "losses, weights, message",
    [
        ({}, None, "at least one"),
        ({"a": nn.L1Loss()}, {"b": 1.0}, "'b'"),
        ({"a": nn.L1Loss()}, {"a": math.nan}, "finite"),
        ({"loss": nn.L1Loss()}, None, "'loss'"),
    ],
)
def test_wrong_names_and_weights_are_refused(losses, weights, message):
    with pytest.raises(ValueError, match=message):
        WeightedLoss(losses, weights)
