import math

import pytest
import torch

from drumblender.dsp.harmonics import harmonic_bank
from drumblender.dsp.zero_phase import slope_response, zero_phase_filter


@pytest.mark.parametrize("name", ["01_lti", "02_ltv"])
def test_filter_is_the_published_one(golden, name):
    case = golden("pitch", f"frequency_filter_{name}")
    audio, magnitudes = case["in_audio"].requires_grad_(), case["in_magnitudes"].requires_grad_()
    rows = magnitudes if magnitudes.ndim == 3 else magnitudes[:, None]
    found = zero_phase_filter(audio, rows, **case.parameters)
    found.backward(case["cot_audio"])
    case.check("out_audio", found)
    case.check("grad_audio", audio.grad)
    case.check("grad_magnitudes", magnitudes.grad)


def test_slope_is_the_published_one(golden):
    case = golden("pitch", "slope_frequency_response")
    corner_hz = float(case.config["call"]["f_ref"])
    found = slope_response(case["in_decay_per_octave_db"][..., 0], corner_hz=corner_hz)
    case.check("out_response", found)


def test_a_flat_response_leaves_the_sound_where_it_is(generator):
    audio = torch.randn(2, 300, generator=generator, dtype=torch.float64)
    flat = torch.ones(2, 3, 17, dtype=torch.float64)
    torch.testing.assert_close(zero_phase_filter(audio, flat), audio)
    delayed = zero_phase_filter(audio, flat, delay_samples=5)
    torch.testing.assert_close(delayed[:, 5:], audio[:, :-5])


def test_phase_stays_exact_over_minutes():
    """Five minutes of a steady tone in float32: under 1e-4 of a turn off the phase of exact arithmetic."""
    rate, freq_hz, seconds = 16000, 437.3, 300
    num_samples = rate * seconds
    audio = harmonic_bank(
        torch.tensor([[freq_hz]]), torch.ones(1, 1, 1), num_samples=num_samples, sample_rate=rate
    )[0, -rate:]
    exact_hz = torch.tensor(freq_hz).double().item()  # what float32 holds
    count = torch.arange(num_samples - rate, num_samples, dtype=torch.float64) + 1
    phase = 2 * math.pi * ((exact_hz / rate * count) % 1)
    error = (audio.double() - phase.sin()).abs().max().item()
    assert error < 1e-4 * 2 * math.pi


@pytest.mark.parametrize("bins, frames, delay", [(1, 1, 0), (5, 0, 0), (5, 11, 0), (5, 1, -1)])
def test_rejects(bins, frames, delay):
    with pytest.raises(ValueError, match="Need 2 bins"):
        zero_phase_filter(torch.ones(1, 10), torch.ones(1, frames, bins), delay_samples=delay)
