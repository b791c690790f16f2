import pytest
import torch

from drumblender.dsp.coloured_noise import coloured_noise
from drumblender.metrics import BandLevelDistance

RATE = 16000


def test_it_has_the_level_and_colour_of_the_sound_and_none_of_its_tones(generator):
    time_s = torch.arange(RATE) / RATE
    tone = 0.3 * torch.sin(2 * torch.pi * 440 * time_s)[None] * torch.exp(-3 * time_s)
    noise = coloured_noise(tone, sample_rate=RATE, generator=generator)
    white = torch.randn(1, RATE, generator=generator) * tone.square().mean().sqrt()
    distance = BandLevelDistance(RATE)
    assert distance.per_item(noise, tone) < 0.3 * distance.per_item(white, tone)
    assert 20 * (noise.norm() / tone.norm()).log10() == pytest.approx(0, abs=2)
    peak = [torch.fft.rfft(sound[0]).abs().max() / sound.norm() for sound in (tone, noise)]
    assert peak[1] < 0.5 * peak[0]


def test_silence_stays_silent():
    assert coloured_noise(torch.zeros(2, 4000), sample_rate=RATE).abs().max() < 1e-5


def test_noise_of_another_length_is_refused(unchecked):
    with pytest.raises(ValueError, match="4000"):
        coloured_noise(torch.zeros(2, 4000), sample_rate=RATE, noise=torch.zeros(2, 10))
