"""Mappings of onset features: published numbers, seeds, and what they refuse."""

import pytest
import torch
from torch import nn

from drumblender.controllers import LinearMapping, MLPMapping
from drumblender.controllers.onset_scale import OnsetScale

ACTIVATIONS = {"torch.nn.ReLU": nn.ReLU(), "torch.nn.LeakyReLU": nn.LeakyReLU()}


@pytest.mark.parametrize(
    "name",
    [
        "linear_bias",
        "linear_published",
        "mlp_default_activation",
        "mlp_plain",
        "mlp_published",
        "mlp_large_published",
    ],
)
def test_values_gradients_and_seeded_weights_are_the_published_ones(golden, name):
    numbers = golden("remap", f"map_{name}")
    init = dict(numbers.config["init"])
    if "activation" in init:
        init["activation"] = ACTIVATIONS[init["activation"]]
    torch.manual_seed(numbers.config["seed"])
    mapping = (LinearMapping if name.startswith("linear") else MLPMapping)(**init)
    for key, value in mapping.named_parameters():
        numbers.check(f"init_{key}", value)
    mapping.load_state_dict({key: numbers[f"state_{key}"] for key in mapping.state_dict()})
    x = numbers["in_x"].requires_grad_()
    y = mapping(x)
    numbers.check("out_y", y)
    (y * numbers["in_w"]).sum().backward()
    for key, grad in [("x", x.grad), *((key, value.grad) for key, value in mapping.named_parameters())]:
        numbers.check(f"grad_{key}", grad)


def test_every_layer_has_an_activation_of_its_own():
    mapping = MLPMapping(3, 4, 2, num_layers=2, activation=nn.PReLU())
    slopes = [layer for layer in mapping.net if isinstance(layer, nn.PReLU)]
    assert len(slopes) == 2 and slopes[0].weight is not slopes[1].weight


@pytest.mark.parametrize("make", [lambda: LinearMapping(0, 3), lambda: MLPMapping(3, 0, 2, 1)])
def test_sizes_below_one_are_refused(make):
    with pytest.raises(ValueError, match="=0"):
        make()


def test_a_scale_brings_features_to_the_range_of_its_drum():
    scale = OnsetScale(2)
    scale.learn(torch.tensor([-60.0, 50.0]), torch.tensor([40.0, 20.0]), torch.tensor([0.5, 0.25]))
    assert scale(torch.tensor([[-40.0, 60.0], [-80.0, 90.0]])).tolist() == [[0.0, 0.25], [-0.5, 0.75]]
    copy = OnsetScale(2)
    assert not copy.known
    copy.load_state_dict(scale.state_dict())
    assert copy.known and torch.equal(copy.center, scale.center)
