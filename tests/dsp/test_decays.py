"""Exponential decays and the sines they sweep."""

import math

import pytest
import torch

from drumblender.dsp.decays import decaying_sweep, exponential_decay, modulated_sine
from drumblender.dsp.units import Range

RATE = 44100


def running_decay(decay_ms, num_samples):
    """The definition: a straight rise of 1 ms, then the running product of the rate."""
    attack = RATE // 1000
    rate = (1 - 6.91 / (decay_ms * RATE / 1000))[:, None]
    rise = (torch.arange(attack, dtype=rate.dtype) + 1).expand(len(rate), -1) / attack
    steps = torch.cat([torch.ones_like(rate), rate.expand(-1, num_samples - attack - 1)], dim=1)
    return torch.cat([rise, steps.cumprod(dim=1)], dim=1)


def sweep_controls(generator, dtype=torch.float64, batch=3):
    spans = {
        "freq": (50, 800),
        "sweep": (-0.9, 2),
        "sweep_decay": (10, 300),
        "decay": (10, 500),
        "amp": (0.1, 1),
    }
    unit = torch.rand(len(spans), batch, generator=generator, dtype=dtype)
    return [
        Range(*span).denormalize(row).requires_grad_() for span, row in zip(spans.values(), unit, strict=True)
    ]


@pytest.mark.parametrize(
    "name", ["mod_exp_decay_envelope", "mod_exp_decay_envelope_range", "mod_exponential_decay"]
)
def test_decays_are_the_published_ones(golden, name):
    numbers = golden("remap", name)
    said, decay = numbers.parameters | numbers.config["init"], numbers["in_decay"].requires_grad_()
    y = exponential_decay(
        Range(said["decay_min"], said["decay_max"]).denormalize(decay[:, 0]),
        num_samples=numbers.config["num_samples"],
        sample_rate=said["sample_rate"],
        attack_s=said["attack_s"],
    )
    numbers.check("out_y", y)
    (y * numbers["in_w"]).sum().backward()
    numbers.check("grad_decay", decay.grad)


def test_modulated_sine_is_the_published_one(golden):
    numbers = golden("remap", "mod_sinusoidal_oscillator")
    inputs = {name: numbers[f"in_{name}"].requires_grad_() for name in ("freq", "mod_env", "mod_amount")}
    y = modulated_sine(
        Range(*numbers.parameters["freq_hz"]).denormalize(inputs["freq"][:, 0]),
        inputs["mod_env"],
        Range(*numbers.parameters["mod_amount"]).denormalize(inputs["mod_amount"][:, 0]),
        sample_rate=numbers.config["init"]["sample_rate"],
    )
    numbers.check("out_y", y)
    (y * numbers["in_w"]).sum().backward()
    for name, value in inputs.items():
        numbers.check(f"grad_{name}", value.grad)


def test_a_decay_is_full_at_the_end_of_its_attack():
    y = exponential_decay(torch.tensor([100.0]), num_samples=200, sample_rate=RATE)[0]
    assert y[0] == pytest.approx(1 / 44) and y[43] == 1 and y[44] == 1 and y[45] < 1
    assert (y[:44].diff() > 0).all() and (y[44:].diff() < 0).all()


def test_the_kernels_are_the_running_sums_and_products(generator):
    freq, sweep, sweep_decay, decay, amp = sweep_controls(generator)
    weight = torch.randn(3, 5000, generator=generator, dtype=torch.float64)
    fast = decaying_sweep(freq, sweep, sweep_decay, decay, amp, num_samples=5000, sample_rate=RATE)
    modulation = running_decay(sweep_decay, 5000)
    plain = (
        modulated_sine(freq, modulation, sweep, sample_rate=RATE) * running_decay(decay, 5000) * amp[:, None]
    )
    assert torch.allclose(fast, plain, atol=1e-9)
    controls = (freq, sweep, sweep_decay, decay, amp)
    grads = (torch.autograd.grad((y * weight).sum(), controls) for y in (fast, plain))
    for ours, theirs in zip(*grads, strict=True):
        assert torch.allclose(ours, theirs, rtol=1e-7, atol=1e-9)


def test_gradients_match_finite_differences(generator):
    controls = sweep_controls(generator, batch=2)
    torch.autograd.gradcheck(
        lambda *c: decaying_sweep(*c, num_samples=90, sample_rate=RATE), controls, eps=1e-5, atol=1e-4
    )
    torch.autograd.gradcheck(
        lambda d: exponential_decay(d, num_samples=90, sample_rate=RATE), controls[3:4], eps=1e-4
    )


def test_the_pitch_falls_to_its_frequency():
    tensors = [torch.tensor([value]) for value in (441.0, 1.0, 300.0, 2000.0, 1.0)]
    y = decaying_sweep(*tensors, num_samples=RATE, sample_rate=RATE)[0]
    rises = ((y[:-1] < 0) & (y[1:] >= 0)).nonzero()[:, 0]
    assert rises[-10:].diff().float().mean() == pytest.approx(100, abs=0.2)
    assert rises[:3].diff().float().mean() < 60  # an octave higher at the start


def test_half_precision_is_raised_and_autocast_left():
    tensors = [torch.tensor([value]).bfloat16() for value in (200.0, 1.0, 50.0, 200.0, 1.0)]
    with torch.autocast("cpu", dtype=torch.bfloat16):
        y = decaying_sweep(*tensors, num_samples=500, sample_rate=RATE)
    assert y.dtype == torch.float32


@pytest.mark.parametrize(
    "num_samples, attack_s, message", [(0, 0.001, "num_samples=0"), (9, -1.0, "attack_s=-1")]
)
def test_rejects_sizes_that_cannot_be(num_samples, attack_s, message):
    with pytest.raises(ValueError, match=message):
        exponential_decay(torch.ones(1), num_samples=num_samples, sample_rate=RATE, attack_s=attack_s)


def test_a_sound_shorter_than_the_attack_only_rises():
    y = exponential_decay(torch.tensor([100.0]), num_samples=10, sample_rate=RATE)[0]
    assert torch.allclose(y, (torch.arange(10) + 1) / 44)
    assert math.isclose(y[-1].item(), 10 / 44, rel_tol=1e-6)
