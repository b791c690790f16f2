import inspect
import math

import pytest
import torch

from drumblender.dsp.envelopes import interpolate_frames
from drumblender.dsp.oscillators import damped_sines, modal_bank, modal_bank_plain, sine

RATE = 8000


def tracks(generator, batch=2, modes=5, frames=9, top_rad=2.5):
    """Frequencies, amplitudes and phases that move; one mode is silent, another falls silent for a while."""
    freq = torch.rand(batch, modes, frames, generator=generator) * top_rad
    amp = torch.rand(batch, modes, frames, generator=generator)
    amp[:, 1] = 0
    amp[0, 2, frames // 3 : 2 * frames // 3 + 1] = 0
    return freq, amp, torch.randn(batch, modes, frames, generator=generator)


def with_gradients(render, inputs, weight):
    inputs = [value.detach().to(weight.dtype).requires_grad_() for value in inputs]
    audio = render(*inputs)
    audio.backward(weight)
    return [audio.detach(), *(value.grad for value in inputs)]


def relative_errors(found, truth):
    return [((f - t).abs().max() / t.abs().max()).item() for f, t in zip(found, truth, strict=True)]


@pytest.mark.parametrize("align", ["center", "hop"])
@pytest.mark.parametrize(
    "num_frames, num_samples", [(9, 400), (9, 5), (1, 64), (1, 3000), (2, 1), (3, 2000), (40, 41), (64, 64)]
)
def test_kernel_and_its_adjoint_equal_the_plain_formula_in_float64(num_frames, num_samples, align, generator):
    inputs = tracks(generator, frames=num_frames)
    weight = torch.randn(2, num_samples, generator=generator)
    settings = {"num_samples": num_samples, "align": align}
    fused = with_gradients(lambda f, a, p: modal_bank(f, a, p, **settings), inputs, weight)
    exact = with_gradients(
        lambda f, a, p: modal_bank_plain(f, a, p[..., 0], **settings), inputs, weight.double()
    )
    assert max(relative_errors(fused, exact)) < 3e-6


def test_kernel_is_nearer_to_float64_than_the_plain_formula(generator):
    inputs = tracks(generator, modes=8, frames=94)
    weight = torch.randn(2, 24000, generator=generator)
    fused = with_gradients(lambda f, a, p: modal_bank(f, a, p, num_samples=24000), inputs, weight)

    def plain(f, a, p):
        return modal_bank_plain(f, a, p[..., 0], num_samples=24000)

    exact = with_gradients(plain, inputs, weight.double())
    ours, theirs = (
        relative_errors(fused, exact),
        relative_errors(with_gradients(plain, inputs, weight), exact),
    )
    assert all(our < their / 10 for our, their in zip(ours, theirs, strict=True))


@pytest.mark.parametrize("needed", [(True, False, False), (False, True, False), (False, False, True)])
def test_each_gradient_is_right_when_asked_for_alone(needed, generator):
    inputs = tracks(generator)
    weight = torch.randn(2, 300, generator=generator)
    exact = with_gradients(
        lambda f, a, p: modal_bank_plain(f, a, p[..., 0], num_samples=300), inputs, weight.double()
    )
    alone = [value.clone().requires_grad_(want) for value, want in zip(inputs, needed, strict=True)]
    modal_bank(*alone, num_samples=300).backward(weight)
    for value, want, truth in zip(alone, needed, exact[1:], strict=True):
        assert (value.grad is not None) == want
        if want:
            assert torch.allclose(value.grad.double(), truth, atol=1e-5 * truth.abs().max())


def test_amplitude_has_a_gradient_where_it_is_zero():
    freq = torch.full((1, 1, 3), 0.3)
    amp = torch.zeros(1, 1, 3, requires_grad=True)
    weight = torch.sin(0.3 * torch.arange(1, 301))[None]
    modal_bank(freq, amp, num_samples=300).backward(weight)
    assert amp.grad.sum() == pytest.approx(weight.square().sum().item(), rel=1e-5)
    assert (amp.grad > 40).all()


def test_only_the_first_frame_of_the_phase_counts(generator):
    freq, amp, phase = tracks(generator)
    other = phase.clone()
    other[..., 1:] = 0
    assert torch.equal(
        modal_bank(freq, amp, phase, num_samples=300), modal_bank(freq, amp, other, num_samples=300)
    )


def test_first_sample_already_carries_the_frequency():
    audio = modal_bank(torch.full((1, 1, 1), 0.5), torch.ones(1, 1, 1), num_samples=4)
    assert torch.allclose(audio, torch.sin(0.5 * torch.arange(1, 5))[None], atol=1e-6)


def test_modes_above_nyquist_are_silent_unless_they_may_alias():
    freq = torch.tensor([0.5, 1.1 * math.pi]).reshape(1, 2, 1)
    both = modal_bank(freq, torch.ones(1, 2, 1), num_samples=100)
    below = modal_bank(freq[:, :1], torch.ones(1, 1, 1), num_samples=100)
    assert torch.equal(both, below)
    aliased = modal_bank(freq, torch.ones(1, 2, 1), num_samples=100, alias=True)
    folded = torch.sin(1.1 * math.pi * torch.arange(1, 101, dtype=torch.float64))
    assert torch.allclose((aliased - below)[0].double(), folded, atol=1e-5)


def crossing(generator, frames):
    """Modes that go up across Nyquist, down, through both ends of the band, or stay within it."""
    freq, amp, phase = tracks(generator, modes=6, frames=frames)
    freq = freq * torch.tensor([1, 2.3, 2.6, 3, 4, 0.5])[:, None]
    freq[:, 3] = (freq[:, 3] - 6).abs()
    freq[:, 4] -= 6
    return freq, amp, phase


@pytest.mark.parametrize("align", ["center", "hop"])
@pytest.mark.parametrize(
    "num_frames, num_samples", [(9, 400), (9, 5), (2, 300), (40, 41), (64, 64), (3, 2000)]
)
def test_between_frames_a_mode_is_silent_in_the_samples_above_nyquist(
    num_frames, num_samples, align, generator
):
    inputs = crossing(generator, num_frames)
    weight = torch.randn(2, num_samples, generator=generator)
    settings = {"num_samples": num_samples, "align": align}

    def by_formula(freq, amp, phase):
        amp = torch.where(freq.abs() < math.pi, amp, 0)
        freq, amp = (interpolate_frames(track, num_samples, align=align) for track in (freq, amp))
        sines = (freq.cumsum(dim=-1) + phase[..., :1]).sin()
        return torch.where(freq.abs() < math.pi, amp * sines, 0).sum(dim=1)

    exact = with_gradients(by_formula, inputs, weight.double())
    plain = with_gradients(lambda *given: modal_bank(*given, **settings), inputs, weight.double())
    fused = with_gradients(lambda *given: modal_bank(*given, **settings), inputs, weight)
    assert max(relative_errors(plain, exact)) < 1e-9
    assert max(relative_errors(fused, exact)) < 3e-6


def test_published_partials_that_cross_nyquist(golden):
    case = golden("pitch", "synth_03_inharmonic_linear")
    freq_hz, amp = (case[f"in_{name}"].requires_grad_() for name in ("frequencies", "amplitudes"))
    freq_rad = freq_hz.mT * (2 * torch.pi / case.config["init"]["sample_rate"])
    audio = modal_bank(freq_rad, amp.mT, num_samples=case.config["init"]["n_samples"])
    audio.backward(case["cot_audio"])
    case.check("out_audio", audio)
    case.check("grad_frequencies", freq_hz.grad)
    case.check("grad_amplitudes", amp.grad)


def test_held_controls_are_repeated(generator):
    freq, amp, _ = tracks(generator)
    held = modal_bank(freq[..., :1], amp, num_samples=200)
    assert torch.equal(held, modal_bank(freq[..., :1].expand_as(amp), amp, num_samples=200))


def test_float64_gradients_match_finite_differences(generator):
    inputs = [value.double().requires_grad_() for value in tracks(generator, batch=1, modes=3, frames=4)]
    torch.autograd.gradcheck(lambda *x: modal_bank(*x, num_samples=13), inputs)
    torch.autograd.gradcheck(lambda *x: modal_bank(*x, num_samples=3, align="hop"), inputs)


def test_phase_is_kept_over_a_minute():
    freq = torch.tensor(2.0).reshape(1, 1, 1)
    audio = modal_bank(freq, torch.ones(1, 1, 1), num_samples=60 * 48000)
    exact = torch.sin(2.0 * torch.arange(1, 60 * 48000 + 1, dtype=torch.float64))
    assert (audio[0].double() - exact).abs().max() < 1e-6


def test_nan_in_one_sound_stays_there(generator):
    freq, amp, phase = tracks(generator)
    freq[0, 0, 4] = float("nan")
    audio = modal_bank(freq, amp, phase, num_samples=400)
    assert audio[0].isnan().any() and audio[1].isfinite().all()


def test_result_does_not_depend_on_the_number_of_threads(generator):
    inputs = tracks(generator, batch=3)
    before = torch.get_num_threads()
    try:
        torch.set_num_threads(1)
        one = modal_bank(*inputs, num_samples=1000)
        torch.set_num_threads(3)
        assert torch.equal(modal_bank(*inputs, num_samples=1000), one)
    finally:
        torch.set_num_threads(before)


def test_training_works_after_inference_mode(generator):
    freq, amp, _ = tracks(generator, frames=7)
    with torch.inference_mode():
        heard = modal_bank(freq, amp, num_samples=371)
    amp.requires_grad_()
    audio = modal_bank(freq, amp, num_samples=371)
    audio.sum().backward()
    assert torch.equal(audio, heard) and amp.grad.abs().max() > 0


def test_dsp_stays_in_float32_under_bfloat16_autocast(generator):
    freq, amp, phase = tracks(generator)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        audio = modal_bank(freq, amp, phase, num_samples=500)
        ringing = damped_sines(
            freq[..., 0] * 1000, amp[..., 0] + 0.1, amp[..., 0], num_samples=500, sample_rate=RATE
        )
        raised = modal_bank(freq.bfloat16(), amp.bfloat16(), num_samples=500)
    assert torch.equal(audio, modal_bank(freq, amp, phase, num_samples=500))
    assert ringing.dtype == raised.dtype == torch.float32
    plain = damped_sines(
        freq[..., 0] * 1000, amp[..., 0] + 0.1, amp[..., 0], num_samples=500, sample_rate=RATE
    )
    assert torch.equal(ringing, plain)
    assert torch.equal(raised, modal_bank(freq.bfloat16().float(), amp.bfloat16().float(), num_samples=500))


@pytest.mark.parametrize(
    "freq, amp, phase, message",
    [
        ((1, 2, 3), (1, 2, 4), None, r"\(1, 2, 3\) and \(1, 2, 4\)"),
        ((1, 2, 0), (1, 2, 0), None, "empty axis"),
        ((1, 0, 3), (1, 0, 3), None, "empty axis"),
        ((1, 2, 3), (1, 2, 3), (1, 3, 3), r"phase_rad of shape \(1, 3, 3\)"),
        ((1, 2, 3), (1, 2, 3), (1, 2, 0), "phase_rad"),
    ],
)
def test_shapes_that_do_not_fit_are_refused(freq, amp, phase, message):
    as_users_call_it = inspect.unwrap(modal_bank)  # without the shape checks of the test suite
    with pytest.raises(ValueError, match=message):
        as_users_call_it(
            torch.zeros(freq), torch.zeros(amp), None if phase is None else torch.zeros(phase), num_samples=5
        )


def test_rejects_an_empty_output():
    with pytest.raises(ValueError, match="num_samples=0"):
        modal_bank(torch.zeros(1, 1, 1), torch.zeros(1, 1, 1), num_samples=0)


@pytest.mark.parametrize("name", ["phase", "nophase", "downsample", "one_frame", "long"])
def test_published_numbers(golden, name):
    case = golden("drums", f"modal_synth_{name}")
    inputs = [case[key].requires_grad_() for key in ("in_freqs", "in_amps", "in_phase") if key in case]
    audio = modal_bank(*inputs, num_samples=case.config["call"]["num_samples"])
    case.check("out_audio", audio)
    if "in_ct_audio" in case:
        audio.backward(case["in_ct_audio"])
        grads = [key for key in ("grad_freqs", "grad_amps", "grad_phase") if key in case]
        for key, value in zip(grads, inputs, strict=True):
            case.check(key, value.grad)


@pytest.mark.parametrize("name", ["01", "02_unsummed_angular"])
def test_a_frame_for_each_sample_is_the_published_bank_of_the_pitch_system(golden, name):
    case = golden("pitch", f"oscillator_bank_{name}")
    freq_hz, amp = (case[f"in_{kind}_envelopes"].requires_grad_() for kind in ("frequency", "amplitude"))
    modes = freq_hz.mT * (2 * torch.pi / case.config["call"]["sample_rate"]), amp.mT
    if case.config["call"].get("sum_sinusoids", True):
        audio = modal_bank(*modes, num_samples=freq_hz.shape[1])
    else:
        rows = [tensor.flatten(0, 1)[:, None] for tensor in modes]
        audio = modal_bank(*rows, num_samples=freq_hz.shape[1]).unflatten(0, (-1, freq_hz.shape[2])).mT
    case.check("out_audio", audio)
    audio.backward(case["cot_audio"])
    case.check("grad_frequency_envelopes", freq_hz.grad)
    case.check("grad_amplitude_envelopes", amp.grad)


def ring(freq_hz, t60_s, amp=1.0, num_samples=RATE):
    controls = (torch.tensor([[float(value)]], dtype=torch.float64) for value in (freq_hz, t60_s, amp))
    return damped_sines(*controls, num_samples=num_samples, sample_rate=RATE)[0]


def test_falls_sixty_decibels_in_t60():
    y = ring(freq_hz=RATE / 4, t60_s=0.5)  # at a quarter of the rate, odd samples are peaks
    assert 20 * torch.log10((y[4001] / y[1]).abs()) == pytest.approx(-60, abs=1e-6)


@pytest.mark.parametrize("num_samples", [1, 2, 3, 100, 101, 5000])
def test_damped_sines_equal_their_definition(num_samples, generator):
    freq_hz = torch.rand(2, 3, generator=generator, dtype=torch.float64) * 3900
    t60_s = torch.rand(2, 3, generator=generator, dtype=torch.float64) + 0.05
    amp = torch.randn(2, 3, generator=generator, dtype=torch.float64)
    time_s = torch.arange(num_samples, dtype=torch.float64) / RATE
    fade = 1000 ** (-time_s / t60_s[..., None])
    exact = (amp[..., None] * fade * torch.sin(2 * math.pi * freq_hz[..., None] * time_s)).sum(dim=1)
    found = damped_sines(freq_hz, t60_s, amp, num_samples=num_samples, sample_rate=RATE)
    assert torch.allclose(found, exact, atol=1e-10)
    single = damped_sines(
        freq_hz.float(), t60_s.float(), amp.float(), num_samples=num_samples, sample_rate=RATE
    )
    rounded = damped_sines(
        freq_hz.float().double(), t60_s.float().double(), amp, num_samples=num_samples, sample_rate=RATE
    )
    assert torch.allclose(single.double(), rounded, atol=1e-5)


def test_damped_modes_at_nyquist_are_silent():
    assert ring(freq_hz=RATE / 2 + 1, t60_s=1).abs().max() == 0


def test_gradients_of_damped_sines_match_finite_differences():
    controls = torch.linspace(0.1, 1, 24).double().reshape(3, 2, 4).requires_grad_()
    torch.autograd.gradcheck(
        lambda c: damped_sines(100 * c[0], c[1], c[2], num_samples=8, sample_rate=RATE), controls
    )


def test_a_mode_that_is_gone_at_once_has_finite_gradients():
    controls = [torch.tensor([[value]], requires_grad=True) for value in (1000.0, 1e-4, 1.0)]
    audio = damped_sines(*controls, num_samples=RATE, sample_rate=RATE)
    audio.sum().backward()
    assert audio.isfinite().all() and all(control.grad.isfinite().all() for control in controls)


def test_a_sine_keeps_its_phase():
    audio = sine(torch.tensor([1000.0, 440.0]), num_samples=480000, sample_rate=48000)
    exact = torch.sin(2 * math.pi * (torch.arange(480000) * 440 % 48000).double() / 48000)
    assert (audio[1].double() - exact).abs().max() < 1e-6
    assert audio[:, 0].abs().max() == 0


def test_the_phase_does_not_drift_where_no_kernel_serves():
    freq_rad, amp = torch.full((1, 1, 10), 0.1234), torch.ones(1, 1, 10, dtype=torch.float64)  # in two types
    exact = modal_bank(freq_rad.double(), amp, num_samples=96000)
    assert torch.allclose(modal_bank(freq_rad, amp, num_samples=96000), exact, atol=1e-9)


def test_the_phase_is_the_published_running_sum(golden):
    """Summed in chunks and wrapped there, it is our phase but for whole turns."""
    case = golden("pitch", "angular_cumsum")
    freq_rad = case["in_angular_frequency"][0].T[:, None]
    for quarter, part in ((0.0, torch.sin), (torch.pi / 2, torch.cos)):
        start = torch.full((len(freq_rad), 1, 1), quarter)
        samples = freq_rad.shape[-1]
        found = modal_bank(freq_rad, torch.ones(1, 1, 1), start, num_samples=samples, alias=True)
        off = (found.T - part(case["ref64_out_phase"][0])).abs().max()  # of which float32 has drifted away
        assert off < case.number("out_phase")
