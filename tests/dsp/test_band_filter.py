import pytest
import torch

from drumblender.dsp.band_filter import filter_bands, filter_bands_plain
from drumblender.dsp.bands import band_powers, bin_blends

BANDS = {"sample_rate": 48000, "low_hz": 40.0, "high_hz": 23000.0}
SETTINGS = {"n_fft": 1024, "hop_length": 256, **BANDS}


@pytest.mark.parametrize("num_samples", [1, 100, 5000, 5120])
def test_no_gain_gives_the_sound_back(num_samples, generator):
    sound = torch.randn(2, num_samples, generator=generator)
    for frames in (1, 1 + num_samples // 256, 70):
        assert torch.allclose(filter_bands(sound, torch.zeros(2, frames, 16), **SETTINGS), sound, atol=1e-5)


@pytest.mark.parametrize("num_samples, bands, hop", [(5000, 64, 256), (5120, 64, 512), (3001, 16, 100)])
def test_the_kernel_is_the_formula(num_samples, bands, hop, generator):
    sound = torch.randn(2, num_samples, generator=generator).requires_grad_()
    gain_db = (20 * torch.randn(2, 1 + num_samples // hop, bands, generator=generator)).requires_grad_()
    exact = [value.detach().double().requires_grad_() for value in (sound, gain_db)]
    fast = filter_bands(sound, gain_db, n_fft=1024, hop_length=hop, **BANDS)
    plain = filter_bands_plain(*exact, bin_blends(1024, 48000, bands, 40.0, 23000.0), 1024, hop)
    weight = torch.randn(fast.shape, generator=generator)
    (fast * weight).sum().backward()
    (plain * weight.double()).sum().backward()
    pairs = ((fast, plain), (sound.grad, exact[0].grad), (gain_db.grad, exact[1].grad))
    for found, expected in pairs:
        assert (found - expected).abs().max() < 2e-6 * expected.abs().max()


def test_gradients_match_finite_differences(generator):
    sound = torch.randn(1, 40, generator=generator, dtype=torch.float64, requires_grad=True)
    gain_db = torch.randn(1, 6, 3, generator=generator, dtype=torch.float64, requires_grad=True)
    settings = {"n_fft": 16, "hop_length": 8, "sample_rate": 8000, "low_hz": 300.0, "high_hz": 3500.0}
    torch.autograd.gradcheck(lambda x, g: filter_bands(x, g, **settings), (sound, gain_db))


def test_noise_gets_the_levels_that_an_analysis_then_finds(generator):
    gain_db = torch.linspace(-10, -50, 32).expand(1, 900, 32)
    audio = filter_bands(torch.randn(1, 900 * 256 - 256, generator=generator), gain_db, **SETTINGS)
    powers = band_powers(audio, num_bands=32, **SETTINGS)[0, 4:-4].mean(dim=0)
    # Below 300 Hz a band is narrower than a bin, and the windows smear a slope.
    assert (10 * torch.log10(powers) - gain_db[0, 0])[8:-1].abs().max() < 1.5


def test_half_precision_is_filtered_in_full(generator):
    sound, gain_db = torch.randn(1, 3000, generator=generator), torch.zeros(1, 4, 8).bfloat16()
    with torch.autocast("cpu", dtype=torch.bfloat16):
        audio = filter_bands(sound, gain_db, **SETTINGS)
    assert audio.dtype == torch.float32 and torch.allclose(audio, sound, atol=1e-5)


def test_what_does_not_fit_is_refused(unchecked):
    with pytest.raises(ValueError, match="hop_length=513"):
        filter_bands(torch.zeros(1, 3000), torch.zeros(1, 2, 8), n_fft=1024, hop_length=513, **BANDS)
    with pytest.raises(ValueError, match="each of 2 sounds"):
        filter_bands(torch.zeros(2, 3000), torch.zeros(1, 2, 8), **SETTINGS)
