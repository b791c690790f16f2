"""Integrated loudness, by the signals that EBU Tech 3341 prescribes, in one channel of two: 3.01 LU less."""

import math

import pytest
import torch

from drumblender.features.integrated_loudness import IntegratedLoudness, _k_weights

CASES = {  # decibels of a sine of 1 kHz and seconds of each part, and what the two channels have
    "1": ([(-23, 20)], -23),
    "2": ([(-33, 20)], -33),
    "3": ([(-36, 10), (-23, 60), (-36, 10)], -23),
    "4": ([(-72, 10), (-36, 10), (-23, 60), (-36, 10), (-72, 10)], -23),
    "5": ([(-26, 20), (-20, 20.1), (-26, 20)], -23),
}


@pytest.mark.parametrize("rate", [16000, 44100, 48000])
@pytest.mark.parametrize("case", CASES)
def test_signals_of_the_standard_have_its_values(case, rate):
    parts, expected = CASES[case]
    level = torch.cat([torch.full((round(rate * seconds),), 10 ** (db / 20)) for db, seconds in parts])
    sound = level * torch.sin(2 * torch.pi * 1000 / rate * torch.arange(len(level), dtype=torch.float64))
    meter = IntegratedLoudness(rate)
    for block in sound.split(12345):
        meter.push(block)
    assert meter.lufs() == pytest.approx(expected - 3.01, abs=0.1)


def test_the_weights_at_48_khz_are_those_that_the_standard_prints():
    shelf = [1.53512485958697, -2.69169618940638, 1.19839281085285, 1, -1.69065929318241, 0.73248077421585]
    high_pass = [1, -2, 1, 1, -1.99004745483398, 0.99007225036621]
    assert _k_weights(48000).tolist() == [pytest.approx(stage, abs=1e-9) for stage in (shelf, high_pass)]


def test_what_is_short_is_one_block_and_silence_has_no_loudness():
    meter = IntegratedLoudness(16000)
    assert meter.lufs() == -math.inf
    meter.push(0.1 * torch.sin(2 * torch.pi * 1000 / 16000 * torch.arange(1000)))
    assert meter.lufs() == pytest.approx(-23.0, abs=0.3)
    meter = IntegratedLoudness(16000)
    meter.push(torch.zeros(16000))
    assert meter.lufs() == -math.inf
    with pytest.raises(ValueError, match="3000"):
        IntegratedLoudness(3000)
