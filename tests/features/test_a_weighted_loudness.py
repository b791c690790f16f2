import math

import pytest
import torch

from drumblender.features import AWeightedLoudness


def sine(freq_hz, seconds=1.0, rate=16000):
    return torch.sin(2 * math.pi * freq_hz * torch.arange(int(seconds * rate)) / rate)[None]


def test_a_kilohertz_passes_at_its_own_level():
    level_db = AWeightedLoudness(db=True)(sine(1000))
    assert level_db[0, 5:-5].mean().item() == pytest.approx(10 * math.log10(0.5), abs=0.3)


def test_low_sounds_are_softer_than_they_measure():
    loudness = AWeightedLoudness(db=True)
    assert loudness(sine(125))[0, 5:-5].mean() < loudness(sine(1000))[0, 5:-5].mean() - 10


def test_decibels_and_nepers_are_the_same_level():
    sound = sine(440)
    assert torch.allclose(
        AWeightedLoudness(db=True)(sound), AWeightedLoudness()(sound) * 10 / math.log(10), atol=1e-4
    )


def test_silence_is_finite_and_a_part_of_a_hop_is_dropped():
    loudness = AWeightedLoudness()(torch.zeros(2, 1000))
    assert loudness.shape == (2, 3)
    assert torch.allclose(loudness, torch.tensor(math.log(1e-8)))


@pytest.mark.parametrize("settings", [{"hop_length": 0}, {"eps": 0.0}, {"ntaps": 100}])
def test_impossible_settings_are_refused(settings):
    with pytest.raises(ValueError, match=next(iter(settings)).replace("ntaps", "num_taps")):
        AWeightedLoudness(**settings)


def test_golden_loudness(golden):
    numbers = golden("strings", "loudness")
    loudness = AWeightedLoudness(**numbers.config["init"])(numbers["in_audio"])
    numbers.check("out_loudness", loudness)
