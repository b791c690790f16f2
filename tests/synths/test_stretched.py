import pytest
import torch

from drumblender.synths import HarmonicSynth, StretchedSynth

RATE = 16000


def given(generator, stiffness, frames=41, partials=30):
    return {
        "f0_hz": 200 + 50 * torch.rand(2, frames, 1, generator=generator),
        "stiffness": torch.full((2, frames, 1), stiffness),
        "amp": torch.rand(2, frames, partials, generator=generator) / partials,
    }


def test_a_string_that_is_not_stiff_is_harmonic(generator):
    controls = given(generator, 0.0)
    stretched = StretchedSynth(30, RATE)(controls, num_samples=6400)
    del controls["stiffness"]
    harmonic = HarmonicSynth(30, RATE, f0_upsampling="hop", amp_upsampling="hop")(controls, num_samples=6400)
    assert torch.allclose(stretched, harmonic, atol=1e-4)


def test_gradients_reach_amplitudes_and_stiffness(generator):
    controls = {name: value.requires_grad_() for name, value in given(generator, 1e-4).items()}
    StretchedSynth(30, RATE)(controls, num_samples=6400).square().sum().backward()
    assert all(value.grad.isfinite().all() and value.grad.any() for value in controls.values())


def test_partials_above_nyquist_are_silent():
    one = torch.ones(1, 11, 1)
    last = torch.eye(30)[29].expand(1, 11, -1)
    controls = {"f0_hz": 260 * one, "stiffness": 1e-4 * one, "amp": last}  # 7800 Hz, and stretched 8144
    assert not StretchedSynth(30, RATE)(controls, num_samples=1600).any()


def test_rejects_no_partials():
    with pytest.raises(ValueError, match="num_harmonics=0"):
        StretchedSynth(0)
