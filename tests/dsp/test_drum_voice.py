"""The fused drum voice against its signals one after another."""

import pytest
import torch

from drumblender.dsp.drum_voice import drum_voice, drum_voice_plain
from drumblender.dsp.filters import highpass_coefficients
from drumblender.dsp.kernels.sharing import share
from drumblender.dsp.units import Range

RATE = 44100
SPANS = [(60, 500)] * 2, [(-0.5, 1)] * 2, [(20, 200)], [(50, 400)] * 2, [(0.1, 0.6)] * 2
NOISE_SPANS = [(30, 300)], [(0.2, 1)], [(0.5, 4)], [(300, 6000)], [(0.5, 5)]


def controls(generator, batch=3):
    """In the order of the arguments; the last two are frequency and quality of the noise's filter."""
    drawn = []
    for spans in (*SPANS, *NOISE_SPANS):
        unit = torch.rand(len(spans), batch, generator=generator, dtype=torch.float64)
        value = torch.stack(
            [Range(*span).denormalize(row) for span, row in zip(spans, unit, strict=True)], dim=1
        )
        drawn.append((value if len(spans) > 1 else value[:, 0]).requires_grad_())
    return drawn


def play(run, values, noise, **settings):
    *voice, freq_hz, q = values
    filters = highpass_coefficients(freq_hz, q, RATE)
    return run(*voice[:5], noise, *voice[5:], filters, sample_rate=RATE, **settings)


@pytest.mark.parametrize("clamp", [True, False])
@pytest.mark.parametrize("after", [True, False])
@pytest.mark.parametrize("rows", [1, 3])
def test_one_pass_gives_the_sound_and_gradients_of_many(generator, clamp, after, rows):
    values = controls(generator)
    noise = 3 * torch.randn(rows, 3000, generator=generator, dtype=torch.float64)  # loud enough to be limited
    weight = torch.randn(3, 3000, generator=generator, dtype=torch.float64)
    settings = {"clamp": clamp, "decay_after_filter": after}
    results = []
    for run in (drum_voice, drum_voice_plain):
        audio = play(run, values, noise, **settings)
        results.append((audio, *torch.autograd.grad((audio * weight).sum(), values)))
    for ours, plain in zip(*results, strict=True):
        assert torch.allclose(ours, plain, rtol=1e-6, atol=1e-9)


def test_gradients_match_finite_differences(generator):
    values = controls(generator, batch=2)
    noise = torch.rand(1, 80, generator=generator, dtype=torch.float64)
    torch.autograd.gradcheck(lambda *v: play(drum_voice, v, noise), values, eps=1e-6, atol=1e-4)


def test_the_tanh_is_that_of_torch():
    from drumblender.dsp.kernels.drum_voice_cpu import tanh_in_place

    x = torch.cat([torch.linspace(-60, 60, 10001), torch.linspace(-1e-3, 1e-3, 101)]).double()
    ours = x.clone().numpy()
    tanh_in_place(ours)
    assert torch.allclose(torch.from_numpy(ours), x.tanh(), rtol=0, atol=1e-15)


def test_noise_that_needs_a_gradient_gets_one(generator):
    values = controls(generator)
    noise = torch.rand(3, 200, generator=generator, dtype=torch.float64, requires_grad=True)
    play(drum_voice, values, noise).sum().backward()
    assert noise.grad.abs().sum() > 0


def test_shared_sound_gets_the_sum_of_its_gradients(generator):
    audio = torch.randn(3, 50, generator=generator, dtype=torch.float64, requires_grad=True)
    weights = [torch.randn(3, size, generator=generator, dtype=torch.float64) for size in (50, 20, 0)]
    whole, half, unused = share(audio, [50, 20, 10])
    (grad,) = torch.autograd.grad((whole * weights[0]).sum() + (half * weights[1]).sum(), audio)
    expected = weights[0].clone()
    expected[:, :20] += weights[1]
    assert torch.equal(grad, expected) and unused.shape == (3, 10)
