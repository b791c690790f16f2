import pytest
import torch

from drumblender.dsp.bands import band_centers_hz, band_powers, band_weights, bin_blends, smoothed

SETTINGS = {"n_fft": 1024, "hop_length": 256, "sample_rate": 48000, "low_hz": 40.0, "high_hz": 23000.0}


def test_centers_lie_at_even_steps_of_the_scale():
    centers_hz = band_centers_hz(64, 40, 23000)
    erb_rate = 21.4 * torch.log10(1 + 0.00437 * centers_hz)  # Glasberg and Moore, with rounded numbers
    assert torch.allclose(erb_rate.diff(), erb_rate.diff().mean(), rtol=1e-3)
    assert centers_hz[[0, -1]].tolist() == pytest.approx([40, 23000])
    mel = 2595 * torch.log10(1 + band_centers_hz(20, 50, 8000, "mel") / 700)
    assert torch.allclose(mel.diff(), mel.diff().mean(), rtol=1e-6)


@pytest.mark.parametrize("scale", ["erb", "mel"])
def test_white_noise_has_its_variance_in_every_band(scale, generator):
    noise = 0.3 * torch.randn(1, 48000 * 8, generator=generator)
    powers = band_powers(noise, num_bands=64, scale=scale, **SETTINGS)[0, 4:-4].mean(dim=0)
    assert torch.allclose(powers, torch.tensor(0.09), rtol=0.15)
    assert powers.mean() == pytest.approx(0.09, rel=0.02)


def test_no_band_is_empty_however_narrow():
    weights = band_weights(256, 48000, 64, 40.0, 23000.0)
    assert weights.shape == (129, 64) and weights.isfinite().all()
    assert torch.allclose(weights.sum(dim=0), torch.ones(64))


def test_bins_blend_the_bands_around_them():
    left, blend = bin_blends(1024, 48000, 16, 40.0, 23000.0)
    centers_hz = band_centers_hz(16, 40.0, 23000.0)
    place = torch.lerp(centers_hz[left], centers_hz[left + 1], blend.double())
    freq_hz = torch.arange(513) * (48000 / 1024)
    assert torch.allclose(place, freq_hz.double().clamp(40, 23000), rtol=1e-4)


def test_a_mean_over_frames_takes_those_that_there_are():
    values = torch.tensor([1.0, 2.0, 6.0, 0.0])[None, :, None]
    assert smoothed(values, 3).flatten().tolist() == pytest.approx([1.5, 3, 8 / 3, 3])
    assert smoothed(values, 1) is values
    with pytest.raises(ValueError, match="odd"):
        smoothed(values, 2)


def test_what_does_not_fit_is_refused(unchecked):
    with pytest.raises(ValueError, match="num_bands=1"):
        band_centers_hz(1, 40, 100)
    with pytest.raises(ValueError, match="low_hz=0"):
        band_centers_hz(4, 0, 100)
    with pytest.raises(ValueError, match="'bark'"):
        band_centers_hz(4, 40, 100, "bark")


def test_an_export_leaves_nothing_behind():
    class Blends(torch.nn.Module):
        def forward(self, x):
            return x * bin_blends(64, 8000, 5, 123.0, 3000.0)[1]

    torch.export.export(Blends(), (torch.ones(33),))  # makes the table that the next call finds
    assert type(Blends()(torch.ones(33))) is torch.Tensor


def test_bands_above_nyquist_are_refused():
    with pytest.raises(ValueError, match="Nyquist, 8000 Hz.*high_hz=12000"):
        band_weights(512, 16000, 64, 100.0, 12000.0)
    assert band_weights(511, 16000, 8, 100.0, 8000.0).isfinite().all()
