import math

import pytest
import torch

from drumblender.dsp.harmonics import harmonic_bank
from drumblender.dsp.zero_phase import slope_response, zero_phase_filter, zero_phase_kernels


@pytest.mark.parametrize("name", ["01_lti", "02_ltv", "03_valid"])
def test_filter_is_the_published_one(golden, name):
    case = golden("pitch", f"frequency_filter_{name}")
    audio, magnitudes = case["in_audio"].requires_grad_(), case["in_magnitudes"].requires_grad_()
    rows = magnitudes if magnitudes.ndim == 3 else magnitudes[:, None]
    with_tail = case.config["call"].get("padding") == "valid"
    found = zero_phase_filter(audio, rows, **case.parameters, with_tail=with_tail)
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


@pytest.mark.parametrize("size", [0, 20, 31])
def test_kernels_are_the_published_ones(golden, size):
    case = golden("pitch", f"frequency_impulse_response_w{size}")
    case.check("out_ir", zero_phase_kernels(case["in_magnitudes"], case.config["call"]["win_length"]))


def kernel_by_formula(magnitudes, size):
    """Taps and the tap of lag 0, as the original's text has them: one lag at a time."""
    bins = len(magnitudes)
    taps = 2 * (bins - 1)

    def lag(n):
        turns = [2 * magnitudes[k] * math.cos(2 * math.pi * k * n / taps) for k in range(1, bins - 1)]
        return (magnitudes[0] + magnitudes[-1] * (-1) ** n + sum(turns)) / taps

    def hann(place, length):
        return 0.5 - 0.5 * math.cos(2 * math.pi * place / length)

    if not 0 < size < taps:
        lags = range(-taps // 2, taps // 2)
        return [lag(n) * hann(n + taps // 2, taps) for n in lags], taps // 2
    half = (size + 1) // 2
    lags = range(-(half - 2), half + 1)
    return [lag(n) * hann(half + n, size) if n < size - half else 0.0 for n in lags], half - 2


@pytest.mark.parametrize(
    "bins, size", [(9, 0), (9, 3), (9, 4), (9, 7), (9, 12), (9, 15), (9, 16), (2, 0), (6, 9)]
)
@pytest.mark.parametrize("num_samples, frames", [(60, 1), (61, 4), (17, 5)])
def test_the_filter_is_a_convolution_with_its_kernels(generator, bins, size, num_samples, frames):
    audio = torch.randn(1, num_samples, generator=generator, dtype=torch.float64)
    magnitudes = torch.rand(1, frames, bins, generator=generator, dtype=torch.float64)
    block, rows = -(-num_samples // frames), []
    for row in magnitudes[0].tolist():
        kernel, lag_zero = kernel_by_formula(row, size)
        rows.append(kernel)
    torch.testing.assert_close(zero_phase_kernels(magnitudes, size)[0], torch.tensor(rows).double())
    whole = [0.0] * (num_samples + 2 * len(kernel) + 8)
    for place, value in enumerate(audio[0].tolist()):
        for tap, weight in enumerate(rows[place // block]):
            whole[place + tap] += value * weight
    for delay in (0, 2, 5):
        for with_tail in (False, True):
            found = zero_phase_filter(
                audio, magnitudes, delay_samples=delay, win_length=size, with_tail=with_tail
            )[0]
            wanted = num_samples + (len(kernel) - 1 if with_tail else 0)
            start = lag_zero - delay
            expected = ([0.0] * max(0, -start) + whole[max(0, start) :] + [0.0] * wanted)[:wanted]
            torch.testing.assert_close(found, torch.tensor(expected).double())


@pytest.mark.parametrize("size", [-1, 1, 2])
def test_a_window_without_a_middle_is_refused(size):
    with pytest.raises(ValueError, match=f"win_length={size}"):
        zero_phase_kernels(torch.ones(5), size)
