import pytest
import torch

from drumblender.dsp.mdct import mdct
from drumblender.synths import LappedTransient


def test_it_plays_what_was_measured_and_gradients_find_it_again(generator):
    sound = torch.randn(1, 512, generator=generator)
    synth = LappedTransient(size=64)
    assert torch.allclose(synth({"coefficients": mdct(sound, 64)}, 512), sound, atol=1e-5)
    gains = torch.zeros(1, 9, 64, requires_grad=True)
    (synth({"coefficients": gains}, 512) - sound).square().sum().div(2).backward()
    assert torch.allclose(-gains.grad, mdct(sound, 64), atol=1e-4)  # the basis is orthonormal


def test_wrong_sizes_are_named():
    with pytest.raises(ValueError, match="1 cosine"):
        LappedTransient(size=0)
    with pytest.raises(ValueError, match="coefficients of LappedTransient"):
        LappedTransient(size=64)({"coefficients": torch.zeros(1, 4, 63)}, 100)
