import math

import pytest
import torch
import torchaudio

from drumblender.dsp.resample import (
    KAISER,
    _change,
    _resample_gathered,
    hann_resample,
    kaiser_resample,
    resample_plain,
    windowed_sinc,
)


def sine(rate, seconds=0.25, freq_hz=1000):
    return torch.sin(2 * math.pi * freq_hz * torch.arange(int(rate * seconds), dtype=torch.float64) / rate)[
        None
    ]


@pytest.mark.parametrize("sr_in, sr_out", [(16000, 41000), (41000, 16000), (44100, 16000)])
def test_a_sine_keeps_its_pitch_phase_and_level(sr_in, sr_out):
    resampled, expected = kaiser_resample(sine(sr_in), sr_in, sr_out), sine(sr_out)
    inside = slice(sr_out // 50, -sr_out // 50)
    assert resampled.shape == expected.shape
    assert torch.allclose(resampled[:, inside], expected[:, inside], atol=1e-5)


def test_what_the_new_rate_cannot_hold_is_filtered_out():
    assert kaiser_resample(sine(41000, freq_hz=9000), 41000, 16000)[:, 400:-400].abs().max() < 1e-3


@pytest.mark.parametrize("num_samples, expected", [(16, 41), (1, 3), (17, 44)])
def test_the_length_is_rounded_up(num_samples, expected):
    assert kaiser_resample(torch.zeros(num_samples), 16000, 41000).shape == (expected,)


def test_equals_torchaudio(generator):
    functional = pytest.importorskip("torchaudio.functional")
    x = torch.randn(3, 500, generator=generator, dtype=torch.float64)
    expected = functional.resample(
        x,
        16000,
        41000,
        lowpass_filter_width=32,
        rolloff=0.9475937167399596,
        resampling_method="sinc_interp_kaiser",
        beta=14.0,
    )
    assert torch.allclose(kaiser_resample(x, 16000, 41000), expected, atol=1e-12)


def test_equal_rates_change_nothing(generator):
    x = torch.randn(2, 9, generator=generator)
    assert kaiser_resample(x, 16000, 16000) is x


@pytest.mark.parametrize("rates", [(0, 16000), (16000, -1)])
def test_an_impossible_rate_is_refused(rates):
    with pytest.raises(ValueError, match="whole numbers"):
        kaiser_resample(torch.zeros(1, 10), *rates)


@pytest.mark.parametrize("case", range(5))
def test_golden_resampling(case, golden):
    numbers = golden("strings", "resample")
    x = numbers[f"in_{case}_x"].requires_grad_()
    resampled = kaiser_resample(x, **numbers.config["calls"][case])
    (resampled * numbers[f"in_{case}_weight"]).sum().backward()
    numbers.check(f"out_{case}", resampled)
    numbers.check(f"grad_{case}_x", x.grad)


@pytest.mark.parametrize("pair", [(44100, 48000), (48000, 44100), (22050, 48000), (96000, 16000)])
def test_resamples_as_torchaudio_does(generator, pair):
    audio = torch.randn(2, 3000, generator=generator)
    expected = torchaudio.transforms.Resample(*pair)(audio)
    assert torch.allclose(hann_resample(audio, *pair), expected, atol=1e-6)


@pytest.mark.parametrize("pair", [(44101, 48000), (48000, 44099)])
def test_resamples_unrelated_rates_without_a_huge_table(pair):
    freq_hz = 1000.0
    before, after = (torch.arange(rate // 10) / rate for rate in pair)
    audio = hann_resample(torch.sin(2 * math.pi * freq_hz * before)[None], *pair)[0]
    expected = torch.sin(2 * math.pi * freq_hz * after)
    count = min(len(audio), len(expected))
    assert abs(len(audio) - len(expected)) <= 1
    assert (audio[:count] - expected[:count])[100:-100].abs().max() < 2e-3


@pytest.mark.parametrize(
    "pair, length",
    [
        ((441, 480), 700),
        ((480, 160), 700),
        ((16, 41), 700),
        ((44099, 16000), 700),
        ((41, 16), 1313),
        ((147, 160), 5000),
        ((441, 160), 50_000),
        ((16, 41), 20_000),
        ((3, 1), 60_000),
        ((1, 3), 20_000),
        ((31, 32), 30_000),
    ],
)
def test_loops_products_and_blocks_are_the_plain_formula(generator, pair, length):
    x = torch.randn(2, length, generator=generator, dtype=torch.float64, requires_grad=True)
    weight = torch.randn(2, -(-length * pair[1] // pair[0]), generator=generator, dtype=torch.float64)
    sinc = windowed_sinc(*pair, **KAISER)
    found = kaiser_resample(x, *pair)
    others = [_resample_gathered(x, sinc, weight.shape[1])]
    if pair[0] < 1000:  # a gigabyte of zeros else
        others.append(resample_plain(x, sinc)[:, : weight.shape[1]])
    grad = torch.autograd.grad((found * weight).sum(), x)[0]
    for other in others:
        assert torch.allclose(found, other, atol=1e-12)
        assert torch.allclose(grad, torch.autograd.grad((other * weight).sum(), x)[0], atol=1e-12)


def test_no_more_weights_are_kept_than_count():
    assert windowed_sinc(44099, 16000, **KAISER).rows.numel() < 4e6


@pytest.mark.parametrize("pair", [(8000, 6000), (44101, 48000)])
def test_a_sound_in_double_precision_stays_so(generator, pair):
    audio = torch.randn(1, 900, generator=generator, dtype=torch.float64)
    resampled = hann_resample(audio, *pair)
    assert resampled.dtype == torch.float64
    assert torch.allclose(resampled.float(), hann_resample(audio.float(), *pair), atol=1e-5)


@pytest.mark.parametrize(
    "pair, seconds, by",
    [
        ((44100, 48000), 1, "products"),
        ((16000, 48000), 1, "products"),
        ((48000, 44100), 0.1, "loops"),
        ((44101, 48000), 1, "loops"),
        ((48000, 48), 400, "loops"),  # weights of 32 outputs would be megabytes
    ],
)
def test_short_sounds_and_many_phases_go_by_loops(pair, seconds, by):
    change = _change((*pair, *KAISER.values()), int(seconds * pair[1]))
    assert (change.products is None) == (by == "loops")


def test_an_item_does_not_hear_its_neighbour(generator):
    x = torch.randn(3, 60_000, generator=generator)
    x[1] = torch.nan
    resampled = kaiser_resample(x, 48000, 16000)
    for item in (0, 2):
        assert torch.equal(resampled[item], kaiser_resample(x[item], 48000, 16000))


@pytest.mark.parametrize("num_samples", [90, 60_000])
def test_a_batch_of_none_stays_one(num_samples):
    assert kaiser_resample(torch.zeros(0, num_samples), 48000, 16000).shape == (0, num_samples // 3)


def test_what_is_cut_short_is_the_start(generator):
    x = torch.randn(1, 20_000, generator=generator)
    whole = kaiser_resample(x, 16000, 41000)
    assert torch.equal(kaiser_resample(x, 16000, 41000, num_samples=40_003), whole[:, :40_003])


def test_weights_that_change_are_heard_anew(generator):
    x, sinc = torch.randn(300, generator=generator), windowed_sinc(2, 3, width=6, rolloff=0.99)
    sinc = sinc._replace(rows=sinc.rows.clone())
    before = resample_plain(x, sinc)
    sinc.rows.mul_(2)
    assert torch.equal(resample_plain(x, sinc), 2 * before)
