import math

import pytest
import torch

from drumblender.dsp.harmonics import harmonic_bank, harmonic_bank_plain

RATE = 8000
METHODS = ["center", "hop", "ends", "windows"]


def tone(generator, batch=2, f0_frames=7, amp_frames=5, harmonics=9, top_hz=900):
    """A fundamental that takes its upper harmonics across Nyquist, and amplitudes of both signs."""
    f0_hz = 60 + (top_hz - 60) * torch.rand(batch, f0_frames, generator=generator, dtype=torch.float64)
    amp = torch.randn(batch, amp_frames, harmonics, generator=generator, dtype=torch.float64)
    return f0_hz, amp


def with_gradients(render, inputs, weight, **settings):
    inputs = [value.detach().to(weight.dtype).requires_grad_() for value in inputs]
    audio = render(*inputs, **settings)
    audio.backward(weight)
    return [audio.detach(), *(value.grad for value in inputs)]


def assert_close(found, truth, tolerance):
    for f, t in zip(found, truth, strict=True):
        assert (f - t).abs().max() <= tolerance * t.abs().max()


@pytest.mark.parametrize("f0_upsampling", METHODS)
@pytest.mark.parametrize("amp_upsampling", METHODS)
@pytest.mark.parametrize(
    "f0_frames, amp_frames, num_samples", [(7, 5, 700), (1, 5, 64), (5, 1, 300), (1, 1, 1), (40, 9, 7)]
)
def test_kernel_and_its_adjoint_equal_the_plain_formula(
    f0_frames, amp_frames, num_samples, f0_upsampling, amp_upsampling, generator
):
    inputs = tone(generator, f0_frames=f0_frames, amp_frames=amp_frames)
    weight = torch.randn(2, num_samples, generator=generator, dtype=torch.float64)
    settings = {"num_samples": num_samples, "sample_rate": RATE}
    settings |= {"f0_upsampling": f0_upsampling, "amp_upsampling": amp_upsampling}
    found = with_gradients(harmonic_bank, inputs, weight, **settings)
    assert_close(found, with_gradients(harmonic_bank_plain, inputs, weight, **settings), 1e-9)


@pytest.mark.parametrize("harmonics", [1, 2, 101])
def test_float32_is_as_good_as_float64_after_a_minute(harmonics, generator):
    inputs = tone(generator, batch=1, f0_frames=50, amp_frames=50, harmonics=harmonics, top_hz=300)
    weight = torch.randn(1, 60 * RATE, generator=generator, dtype=torch.float64)
    settings = {"num_samples": 60 * RATE, "sample_rate": RATE}
    truth = with_gradients(harmonic_bank, [value.float().double() for value in inputs], weight, **settings)
    found = with_gradients(harmonic_bank, [value.float() for value in inputs], weight.float(), **settings)
    assert_close(found, truth, 1e-6)


@pytest.mark.parametrize("fade", [False, True])
def test_gradients_match_finite_differences(fade, generator):
    f0_hz = 200 + 50 * torch.rand(2, 3, generator=generator, dtype=torch.float64)
    amp = torch.randn(2, 3, 5, generator=generator, dtype=torch.float64)
    torch.autograd.gradcheck(
        lambda *inputs: harmonic_bank(
            *inputs, num_samples=23, sample_rate=2100, amp_upsampling="windows", fade=fade
        ),
        (f0_hz.requires_grad_(), amp.requires_grad_()),
        atol=1e-4,
    )


def test_a_held_tone_is_a_sum_of_sines_that_starts_one_step_in():
    audio = harmonic_bank(
        torch.tensor([[250.0]]), torch.tensor([[[0.5, 0.0, -0.25]]]), num_samples=100, sample_rate=RATE
    )
    phase = 2 * math.pi * 250 / RATE * torch.arange(1, 101, dtype=torch.float64)
    assert torch.allclose(audio[0].double(), 0.5 * phase.sin() - 0.25 * (3 * phase).sin(), atol=1e-6)


def test_a_harmonic_at_nyquist_is_silent_and_one_just_below_sounds():
    amp = torch.zeros(1, 1, 4)
    amp[..., 3] = 1
    at, below = (
        harmonic_bank(torch.tensor([[f0]]), amp, num_samples=64, sample_rate=RATE) for f0 in (1000.0, 999.0)
    )
    assert at.abs().max() == 0
    assert below.abs().max() > 0.1


def test_fading_lowers_a_harmonic_before_it_reaches_nyquist():
    amp, f0_hz = torch.ones(1, 2, 1), torch.tensor([[3000.0, 5000.0]])
    settings = {"num_samples": 1000, "sample_rate": RATE}
    cut, faded = (harmonic_bank(f0_hz, amp, fade=fade, **settings) for fade in (False, True))
    assert cut[0, 450:499].abs().max() > 0.9
    assert faded[0, 450:499].abs().max() < 0.6
    assert cut[0, 505:].abs().max() == faded[0, 505:].abs().max() == 0


def test_a_tone_that_crosses_nyquist_keeps_its_phase():
    amp = torch.tensor([[[0.0, 1.0]]])
    dip = harmonic_bank(torch.tensor([[500.0, 4500.0, 500.0]]), amp, num_samples=3001, sample_rate=RATE)
    turns = 500 + 4000 * torch.linspace(0, 1, 1501, dtype=torch.float64)
    turns = torch.cat([turns, turns[:-1].flip(0)]).cumsum(0) / RATE
    assert torch.allclose(dip[0, -500:].double(), (4 * math.pi * turns[-500:]).sin(), atol=1e-5)


def test_nan_is_heard_as_nan_from_where_it_stands():
    f0_hz = torch.full((1, 9), 200.0)
    f0_hz[0, 4] = torch.nan
    audio = harmonic_bank(f0_hz, torch.ones(1, 1, 3), num_samples=800, sample_rate=RATE)
    assert audio[0, :300].isfinite().all()
    assert audio[0, 500:].isnan().all()


def test_one_fundamental_serves_a_batch_of_amplitudes(generator):
    f0_hz, amp = tone(generator, batch=3)
    settings = {"num_samples": 200, "sample_rate": RATE}
    shared = harmonic_bank(f0_hz[:1], amp, **settings)
    assert torch.equal(shared, harmonic_bank(f0_hz[:1].repeat(3, 1), amp, **settings))


def test_half_precision_is_raised(generator):
    f0_hz, amp = tone(generator)
    audio = harmonic_bank(f0_hz.bfloat16(), amp.bfloat16(), num_samples=20, sample_rate=RATE)
    assert audio.dtype == torch.float32


@pytest.mark.parametrize(
    "f0_shape, amp_shape, settings, message",
    [
        ((2, 3), (3, 4, 5), {}, "one batch"),
        ((2, 0), (2, 4, 5), {}, "empty"),
        ((2, 3), (2, 4, 5), {"num_samples": 0}, "num_samples=0"),
        ((2, 3), (2, 4, 5), {"sample_rate": 0}, "sample_rate=0"),
        ((2, 3), (2, 4, 5), {"fade": True}, "frame with frame"),
        ((2, 3), (2, 4, 5), {"amp_upsampling": "cubic"}, "'cubic'"),
    ],
)
def test_what_does_not_fit_is_refused(f0_shape, amp_shape, settings, message, unchecked):
    settings = {"num_samples": 10, "sample_rate": RATE} | settings
    with pytest.raises(ValueError, match=message):
        harmonic_bank(torch.ones(f0_shape), torch.ones(amp_shape), **settings)
