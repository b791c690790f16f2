"""Crossfades and gains: published numbers, and equal power."""

import pytest
import torch

from drumblender.dsp.mixing import crossfade
from drumblender.dsp.units import Range, db_to_gain


def blend(x1, x2, fade):
    return crossfade(x1, x2, fade[:, 0])


def amplify(x, gain):
    return x * db_to_gain(Range(-48.0, 48.0).denormalize(gain))


def drive(x, in_gain):
    return torch.tanh(x * db_to_gain(Range(-24.0, 24.0).denormalize(in_gain)))


@pytest.mark.parametrize(
    "name, op, tolerance", [("crossfade", blend, 1e-6), ("gain", amplify, 2e-4), ("tanh", drive, 1e-6)]
)
def test_values_and_gradients_are_the_published_ones(golden, name, op, tolerance):
    numbers = golden("remap", f"mod_{name}")
    inputs = {
        key: value.requires_grad_() for key, value in numbers.inputs().items() if f"grad_{key}" in numbers
    }
    y = op(**inputs)
    assert (y - numbers["out_y"]).abs().max() <= tolerance
    grads = torch.autograd.grad((y * numbers["in_w"]).sum(), list(inputs.values()))
    for key, grad in zip(inputs, grads, strict=True):
        expected = numbers[f"grad_{key}"]
        assert (grad - expected).abs().max() <= 1e-5 * expected.abs().max()


def test_a_blend_of_noises_keeps_its_power(generator):
    noises = torch.randn(2, 3, 20000, generator=generator)
    mixed = crossfade(*noises, torch.tensor([0.1, 0.5, 1.0]))
    assert torch.allclose(mixed.square().mean(dim=1), torch.ones(3), atol=0.05)
    assert torch.equal(mixed[2], noises[0, 2])
