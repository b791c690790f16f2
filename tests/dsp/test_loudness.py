import pytest
import torch

from drumblender.dsp.loudness import a_weight, a_weighting_fir


@pytest.mark.parametrize("rate", [16000, 44100, 48000])
def test_a_weighting_equals_the_published_filter(golden, rate):
    numbers = golden("strings", "loudness")
    numbers.check(f"out_fir_{rate}", a_weighting_fir(rate, numbers.config["init"]["ntaps"]))


@pytest.mark.parametrize("freq_hz, gain_db", [(500, -3.2), (1000, 0.0), (2000, 1.2), (4000, 1.0)])
def test_a_weighting_follows_the_table_of_the_standard(freq_hz, gain_db):
    rate = 48000
    response = torch.fft.rfft(a_weighting_fir(rate, 1001).double(), n=rate).abs()
    assert 20 * torch.log10(response[freq_hz]).item() == pytest.approx(gain_db, abs=0.4)


def test_a_weighting_does_not_delay():
    click = torch.zeros(1, 301)
    click[0, 150] = 1
    weighted = a_weight(click, 48000)
    assert weighted.shape == click.shape
    assert weighted.abs().argmax() == 150
    assert torch.allclose(weighted, weighted.flip(1), atol=1e-7)


@pytest.mark.parametrize("rate, taps", [(0, 101), (16000, 100), (16000, 1)])
def test_a_filter_without_a_middle_or_a_rate_is_refused(rate, taps):
    with pytest.raises(ValueError, match=f"{taps}|{rate}"):
        a_weighting_fir(rate, taps)
