"""Biquads: published numbers, responses, gradients."""

import math

import pytest
import torch

from drumblender.dsp.filters import biquad, biquad_plain, highpass_coefficients, lowpass_coefficients
from drumblender.dsp.units import Range

RATE = 44100


@pytest.mark.parametrize("name", ["mod_biquad_highpass", "mod_biquad_lowpass", "mod_biquad_clamped"])
def test_filters_are_the_published_ones(golden, name):
    numbers = golden("remap", name)
    rate, kind = (numbers.config["init"][key] for key in ("sample_rate", "filter_type"))
    coefficients = {"highpass": highpass_coefficients, "lowpass": lowpass_coefficients}[kind]
    inputs = {key: numbers[f"in_{key}"].requires_grad_() for key in ("x", "freq", "q")}
    freq_hz = Range(*numbers.parameters["freq_hz"]).denormalize(inputs["freq"][:, 0])
    q = Range(*numbers.parameters["q"]).denormalize(inputs["q"][:, 0])
    y = biquad(inputs["x"], *coefficients(freq_hz, q, rate), clamp=True)
    numbers.check("out_y", y)
    (y * numbers["in_w"]).sum().backward()
    for key, value in inputs.items():
        numbers.check(f"grad_{key}", value.grad)


@pytest.mark.parametrize("clamp", [False, True])
def test_the_kernel_is_the_recursion(generator, clamp):
    x = torch.randn(3, 700, generator=generator, dtype=torch.float64, requires_grad=True)
    freq, q = torch.tensor([[300.0, 2000.0, 9000.0], [0.6, 3.0, 8.0]], dtype=torch.float64)
    inputs = x, freq.requires_grad_(), q.requires_grad_()
    weight = torch.randn(3, 700, generator=generator, dtype=torch.float64)
    results = []
    for run in (biquad, biquad_plain):
        y = run(x, *highpass_coefficients(freq, q, RATE), clamp=clamp)
        results.append((y, *torch.autograd.grad((y * weight).sum(), inputs)))
    for ours, plain in zip(*results, strict=True):
        assert torch.allclose(ours, plain, rtol=1e-7, atol=1e-8)
    assert (results[0][0].abs().max() <= 1) == clamp


def test_gradients_match_finite_differences(generator):
    x = torch.randn(2, 30, generator=generator, dtype=torch.float64, requires_grad=True)
    coefficients = lowpass_coefficients(
        *torch.tensor([[900.0, 5000.0], [0.7, 4.0]], dtype=torch.float64), RATE
    )
    b, a = (part.requires_grad_() for part in coefficients)
    torch.autograd.gradcheck(lambda *inputs: biquad(*inputs), (x, b, a))


@pytest.mark.parametrize(
    "coefficients, loud_hz, quiet_hz",
    [
        (lowpass_coefficients, 100, 4000),
        (highpass_coefficients, 10000, 250),
    ],
)
def test_what_passes_is_left_and_what_does_not_falls_by_twelve_decibels_an_octave(
    coefficients, loud_hz, quiet_hz
):
    impulse = torch.zeros(1, RATE, dtype=torch.float64)
    impulse[0, 0] = 1
    response = torch.fft.rfft(
        biquad(impulse, *coefficients(*torch.tensor([[1000.0], [math.sqrt(0.5)]], dtype=torch.float64), RATE))
    ).abs()[0]
    assert response[loud_hz] == pytest.approx(1, abs=0.02)
    assert response[1000] == pytest.approx(math.sqrt(0.5), rel=1e-3)
    octave = quiet_hz * 2 if quiet_hz > 1000 else quiet_hz // 2
    assert 20 * torch.log10(response[octave] / response[quiet_hz]) == pytest.approx(
        -12, abs=2
    )  # the bilinear transform bends the slope
    assert response[quiet_hz] < 0.08
