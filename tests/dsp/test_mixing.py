"""Crossfades and gains: published numbers, and equal power."""

import pytest
import torch

from drumblender.dsp.mixing import crossfade
from drumblender.dsp.units import Range, db_to_gain


def blend(said, x1, x2, fade):
    return crossfade(x1, x2, fade[:, 0])


def amplify(said, x, gain):
    return x * db_to_gain(Range(said["min_gain"], said["max_gain"]).denormalize(gain))


def drive(said, x, in_gain):
    return torch.tanh(x * db_to_gain(Range(*said["gain_db"]).denormalize(in_gain)))


@pytest.mark.parametrize("name, op", [("crossfade", blend), ("gain", amplify), ("tanh", drive)])
def test_values_and_gradients_are_the_published_ones(golden, name, op):
    numbers = golden("remap", f"mod_{name}")
    inputs = {
        key: value.requires_grad_() for key, value in numbers.inputs().items() if f"grad_{key}" in numbers
    }
    y = op(numbers.config["init"] | numbers.parameters, **inputs)
    numbers.check("out_y", y)
    grads = torch.autograd.grad((y * numbers["in_w"]).sum(), list(inputs.values()))
    for key, grad in zip(inputs, grads, strict=True):
        numbers.check(f"grad_{key}", grad)


def test_a_blend_of_noises_keeps_its_power(generator):
    noises = torch.randn(2, 3, 20000, generator=generator)
    mixed = crossfade(*noises, torch.tensor([0.1, 0.5, 1.0]))
    assert torch.allclose(mixed.square().mean(dim=1), torch.ones(3), atol=0.05)
    assert torch.equal(mixed[2], noises[0, 2])
