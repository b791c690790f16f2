"""K-weighted power of overlapping frames."""

import pytest
import torch

from drumblender.dsp.loudness import k_weighted_power, k_weighted_power_plain, k_weighting_coefficients

RATE = 44100


def test_coefficients_are_those_of_the_standard_at_44100_hz():
    b, a = k_weighting_coefficients(RATE)
    assert b[0].tolist() == pytest.approx([1.530909538, -2.651169062, 1.169166803], abs=1e-7)
    assert a[0].tolist() == pytest.approx([1, -1.663750052, 0.712657511], abs=1e-7)
    assert b[1].tolist() == pytest.approx([0.994607806, -1.989215612, 0.994607806], abs=1e-7)
    assert a[1].tolist() == pytest.approx([1, -1.989201069, 0.989230216], abs=1e-7)


@pytest.mark.parametrize("level", [0.1, 3.0])  # within the limits of the stages, and far beyond
@pytest.mark.parametrize("clamp", [True, False])
def test_the_kernel_is_the_two_filters_on_every_frame(generator, level, clamp):
    audio = level * torch.randn(2, 5000, generator=generator, dtype=torch.float64)
    audio.requires_grad_()
    b, a = (part.double() for part in k_weighting_coefficients(RATE))
    weight = torch.randn(2, 19, generator=generator, dtype=torch.float64)
    ours = k_weighted_power(audio, RATE, frame_size=400, hop_length=250, clamp=clamp)
    plain = k_weighted_power_plain(audio, b, a, 400, 250, clamp=clamp)
    assert torch.allclose(ours, plain, rtol=1e-9)
    grads = [torch.autograd.grad((power * weight).sum(), audio)[0] for power in (ours, plain)]
    assert torch.allclose(*grads, rtol=1e-7, atol=1e-10)


def test_a_sine_at_one_kilohertz_keeps_nearly_its_power():
    audio = torch.sin(2 * torch.pi * 1000 / RATE * torch.arange(RATE))[None] * 0.5
    power = k_weighted_power(audio, RATE, frame_size=RATE, hop_length=RATE)
    assert 10 * torch.log10(power / 0.125) == pytest.approx(0.7, abs=0.1)


def test_gradients_match_finite_differences(generator):
    audio = torch.randn(2, 60, generator=generator, dtype=torch.float64, requires_grad=True)
    torch.autograd.gradcheck(lambda x: k_weighted_power(x, RATE, frame_size=20, hop_length=7), audio)


def test_a_rate_too_low_for_the_shelf_is_refused():
    with pytest.raises(ValueError, match="3000 Hz, got 2000"):
        k_weighting_coefficients(2000)


def test_coefficients_that_change_are_heard_anew(generator):
    audio = torch.randn(1, 800, generator=generator).double()
    b, a = (part.clone() for part in k_weighting_coefficients(16000))
    before = k_weighted_power_plain(audio, b, a, 400, 200, clamp=False)
    b[0].mul_(2)
    assert torch.allclose(k_weighted_power_plain(audio, b, a, 400, 200, clamp=False), 4 * before)
