import pytest
import torch

from drumblender.dsp.bands import band_centers_hz
from drumblender.dsp.units import Range
from drumblender.synths import BandEqualiser, StftNoiseSynth


def noise_synth(**options) -> StftNoiseSynth:
    return StftNoiseSynth(sample_rate=16000, num_bands=32, n_fft=256, hop_length=64, **options)


def test_level_is_rms_and_moves_with_the_frames():
    level_db = torch.tensor([-20.0, -20.0, -60.0, -60.0])[None, :, None].expand(1, 4, 32)
    audio = noise_synth(seed=0)({"level_db": level_db}, 48000)[0]
    rms_db = 10 * torch.log10(audio.unflatten(0, (3, -1)).square().mean(dim=1))
    assert rms_db[0] == pytest.approx(-20, abs=0.5) and rms_db[2] == pytest.approx(-60, abs=0.5)


def test_one_band_is_heard_alone():
    level_db = torch.full((1, 1, 32), -100.0)
    level_db[..., 20] = 0
    synth = noise_synth(seed=0)
    power = torch.fft.rfft(synth({"level_db": level_db}, 64000)[0]).abs().square()
    centers_hz = band_centers_hz(32, synth.settings["low_hz"], synth.settings["high_hz"])
    freq_hz = torch.linspace(0, 8000, len(power))
    inside = (freq_hz > centers_hz[19]) & (freq_hz < centers_hz[21])
    outside = (freq_hz < centers_hz[18]) | (freq_hz > centers_hz[22])
    assert 10 * torch.log10(power[outside].mean() / power[inside].mean()) < -40


def test_noise_repeats_with_a_seed_or_a_generator_or_is_given():
    controls = {"level_db": torch.zeros(2, 3, 32)}
    free, seeded = noise_synth(), noise_synth(seed=4)
    assert not torch.equal(free(controls, 500), free(controls, 500))
    assert torch.equal(seeded(controls, 500), seeded(controls, 500))
    assert torch.equal(seeded(controls, 500)[0], seeded(controls, 500)[1])
    first, again = (free(controls, 500, generator=torch.Generator().manual_seed(1)) for _ in range(2))
    assert torch.equal(first, again) and not torch.equal(first[0], first[1])
    given = torch.randn(2, 500, generator=torch.Generator().manual_seed(1))
    assert torch.equal(free(controls, 500, noise=given), first)


def test_a_range_spreads_decibels():
    ranged, plain = noise_synth(seed=0, range_db=Range(-60, 0)), noise_synth(seed=0)
    level = {"level": torch.full((1, 4, 32), 2 / 3)}
    expected = plain({"level_db": torch.full((1, 4, 32), -20.0)}, 500)
    assert torch.allclose(ranged(level, 500), expected, atol=1e-6)
    assert ranged.to_units(level)["level_db"].mean().item() == pytest.approx(-20, abs=1e-4)


def test_an_equaliser_filters_what_it_hears(generator):
    source = torch.randn(2, 4000, generator=generator)
    equaliser = BandEqualiser(16000, num_bands=8, n_fft=256, hop_length=64)
    louder = equaliser({"gain_db": torch.full((2, 1, 8), 6.0206)}, 4000, source=source)
    assert torch.allclose(louder, 2 * source, rtol=1e-3, atol=1e-4)
    with pytest.raises(ValueError, match="source of 4000 samples, got None"):
        equaliser({"gain_db": torch.zeros(2, 1, 8)}, 4000)


def test_what_does_not_fit_is_refused():
    with pytest.raises(ValueError, match=r"noise of shape \(1, 500\), got \(1, 400\)"):
        noise_synth()({"level_db": torch.zeros(1, 3, 32)}, 500, noise=torch.zeros(1, 400))
    with pytest.raises(ValueError, match=r"\(batch, frames, 32\), got \(1, 3, 31\)"):
        noise_synth()({"level_db": torch.zeros(1, 3, 31)}, 500)
    with pytest.raises(ValueError, match="num_bands=1"):
        StftNoiseSynth(16000, num_bands=1)
