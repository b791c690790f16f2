import math

import pytest
import torch

from drumblender.dsp.spectral_distance import log_spectral_distance, spectral_sums, spectral_sums_plain

SETTINGS = [
    {"floor": 1e-8},
    {"floor": 1e-8, "match_gain": True},
    {"floor": 0.5, "match_gain": True},  # lifts many bins
    {"floor": 0.0, "offset": 1e-7},
    {"floor": 0.0, "offset": 1e-7, "match_gain": True},
]


def spectra(generator, scale=1.0):
    shape = (2, 5, 33)
    return (
        torch.randn(shape, dtype=torch.complex64, generator=generator),
        scale * torch.randn(shape, dtype=torch.complex64, generator=generator),
    )


@pytest.mark.parametrize("settings", SETTINGS)
def test_compiled_sums_and_gradients_equal_the_formula_in_float64(settings, generator):
    x, y = spectra(generator, scale=0.3)
    weight = torch.rand(4, 2, dtype=torch.float64, generator=generator)

    def measure(sums, x, y):
        x = x.requires_grad_()
        values = torch.stack(list(sums(x, y, **settings)))
        return values.detach(), torch.autograd.grad((weight * values).sum(), x)[0]

    values, grad = measure(spectral_sums, x, y)
    exact, exact_grad = measure(spectral_sums_plain, x.detach().to(torch.complex128), y.to(torch.complex128))
    assert torch.allclose(values, exact, rtol=1e-6)
    assert torch.allclose(grad.to(exact_grad.dtype), exact_grad, atol=1e-6 * exact_grad.abs().max().item())


def test_the_formula_passes_gradcheck_with_a_matched_gain(generator):
    x, y = (s[:1, :2, :3].to(torch.complex128).requires_grad_() for s in spectra(generator))
    assert torch.autograd.gradcheck(
        lambda x, y: spectral_sums_plain(x, y, floor=1e-8, match_gain=True), (x, y)
    )


def test_a_target_that_needs_a_gradient_gets_one(generator):
    x, y = spectra(generator)
    y.requires_grad_()
    spectral_sums(x, y).logs.sum().backward()
    assert y.grad.abs().min() > 0


@pytest.mark.parametrize("settings", SETTINGS)
def test_silence_on_either_side_is_finite(settings, generator):
    sound, _ = spectra(generator)
    silence = torch.zeros_like(sound)
    for x, y in ((sound, silence), (silence, sound), (silence, silence)):
        x = x.clone().requires_grad_()
        values = torch.stack(list(spectral_sums(x, y, **settings)))
        values.sum().backward()
        assert values.isfinite().all() and torch.view_as_real(x.grad).isfinite().all()


@pytest.mark.parametrize("bad", [math.nan, math.inf])
def test_what_is_not_finite_shows_in_every_sum(bad, generator):
    x, y = spectra(generator)
    x[1, 2, 3] = bad
    values = torch.stack(list(spectral_sums(x, y)))
    assert values[:, 0].isfinite().all()
    assert not values[[0, 2, 3], 1].isfinite().any()


def test_spectra_of_different_shape_are_refused(unchecked, generator):
    x, y = spectra(generator)
    with pytest.raises(ValueError, match=r"\(2, 5, 33\) and \(2, 4, 33\)"):
        spectral_sums(x, y[:, :4])


def test_the_log_distance_of_a_sound_from_itself_has_no_slope(generator):
    sound = torch.randn(1, 2000, generator=generator)
    prediction = sound.clone().requires_grad_()
    log_spectral_distance(prediction, sound, n_fft=256, hop_length=64).sum().backward()
    assert torch.equal(prediction.grad, torch.zeros_like(sound))
