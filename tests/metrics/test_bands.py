import pytest
import torch

from drumblender.metrics import BandLevelDistance, LoudSpectralDistance


def fading(generator, num_samples=24000):
    return torch.randn(1, num_samples, generator=generator) * torch.linspace(0, -5, num_samples).exp()


@pytest.mark.parametrize("metric", [BandLevelDistance(48000), LoudSpectralDistance()])
def test_level_shows_in_decibels(metric, generator):
    sound = fading(generator)
    assert metric.per_item(sound, sound).item() == 0
    assert metric.per_item(2 * sound, sound).item() == pytest.approx(6.02, abs=0.05)


def test_the_draw_of_a_noise_hardly_counts_in_bands(generator):
    one, other = fading(generator), fading(generator)
    assert BandLevelDistance(48000).per_item(one, other) < 2
    assert LoudSpectralDistance().per_item(one, other) > 6


@pytest.mark.parametrize("metric", [BandLevelDistance(48000), LoudSpectralDistance()])
def test_what_nobody_hears_does_not_count(metric, generator):
    sound = torch.nn.functional.pad(fading(generator), (0, 24000))
    faint = sound + 1e-6 * torch.randn(sound.shape, generator=generator)
    assert metric.per_item(faint, sound) < 0.1


@pytest.mark.parametrize("metric", [BandLevelDistance(48000), LoudSpectralDistance()])
def test_silence_is_finite(metric, generator):
    sound, silence = fading(generator), torch.zeros(1, 24000)
    assert metric.per_item(silence, silence).item() == 0
    assert 10 < metric.per_item(silence, sound).item() < 80
    assert metric.per_item(sound, silence).isfinite()


def test_bands_end_below_nyquist(generator):
    assert BandLevelDistance(16000).per_item(*(fading(generator) for _ in range(2))) < 3
    with pytest.raises(ValueError, match="sample_rate=0"):
        BandLevelDistance(0)
    with pytest.raises(ValueError, match="floor_db=0"):
        LoudSpectralDistance(floor_db=0)
