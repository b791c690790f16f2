import math

import librosa
import numpy as np
import pytest
import torch

from drumblender.dsp.a_weighting import (
    a_curve_fir,
    a_curve_weight,
    a_weighted_power_db,
    a_weighting_db,
    bandpass_weight,
)
from drumblender.dsp.units import Range
from drumblender.features import AWeightedPower

# IEC 61672-1:2013, table 3: nominal frequency in Hz, A-weighting in dB.
TABLE = {
    10: -70.4, 12.5: -63.4, 16: -56.7, 20: -50.5, 25: -44.7, 31.5: -39.4, 40: -34.6, 50: -30.2, 63: -26.2,
    80: -22.5, 100: -19.1, 125: -16.1, 160: -13.4, 200: -10.9, 250: -8.6, 315: -6.6, 400: -4.8, 500: -3.2,
    630: -1.9, 800: -0.8, 1000: 0.0, 1250: 0.6, 1600: 1.0, 2000: 1.2, 2500: 1.3, 3150: 1.2, 4000: 1.0,
    5000: 0.5, 6300: -0.1, 8000: -1.1, 10000: -2.5, 12500: -4.3, 16000: -6.6, 20000: -9.3,
}  # fmt: skip


def exact(nominal):
    """The frequency in tenths of a decade that the table means by a nominal one."""
    return 1000 * 10 ** (round(10 * math.log10(nominal / 1000)) / 10)


def test_follows_the_table_of_the_standard():
    measured = a_weighting_db(torch.tensor([exact(freq) for freq in TABLE], dtype=torch.float64))
    for (freq, expected), level in zip(TABLE.items(), measured.tolist(), strict=True):
        assert level == pytest.approx(expected, abs=0.051), freq


@pytest.mark.parametrize("rate", [16000, 44100])
@pytest.mark.parametrize("freq", [63, 100, 250, 1000, 5000])
def test_the_filter_follows_the_curve(rate, freq):
    sound = torch.sin(2 * math.pi * freq * torch.arange(rate, dtype=torch.float64) / rate)[None]
    middle = a_curve_weight(sound, rate)[0, rate // 4 : -rate // 4]
    level_db = 10 * math.log10(2 * middle.square().mean())
    assert level_db == pytest.approx(a_weighting_db(torch.tensor(float(freq))).item(), abs=0.1)


def test_the_filter_does_not_delay():
    click = torch.zeros(1, 8001)
    click[0, 4000] = 1
    weighted = a_curve_weight(click, 16000)[0]
    assert weighted.abs().argmax() == 4000
    assert torch.allclose(weighted, weighted.flip(0), atol=1e-7)
    assert len(a_curve_fir(16000)) % 2 == 1


def test_golden_bandpass(golden):
    case = golden("guitar", "loudness_bandpass_rms")
    filtered = bandpass_weight(case["in_audio"], case.config["init"]["sample_rate"])
    case.check("out_filtered", filtered)


def test_rates_that_cannot_be_weighted_are_refused():
    with pytest.raises(ValueError, match="sample_rate=500"):
        a_curve_fir(500)
    with pytest.raises(ValueError, match="4000"):
        bandpass_weight(torch.zeros(1, 100), 8000)


def test_weighted_power_is_the_published_one(golden):
    case = golden("pitch", "loudness_aweighted_power")
    level_db = AWeightedPower(**case.config["init"])(case["in_audio"])
    case.check("out_db", level_db)
    case.check("out_unit", Range(-50.0, 30.0).normalize(level_db))


@pytest.mark.parametrize("rate, n_fft, hop", [(16000, 512, 100), (44100, 1024, 256), (8000, 33, 16)])
def test_weighted_power_by_librosa(generator, rate, n_fft, hop):
    sound = torch.randn(2, 3000, generator=generator, dtype=torch.float64)
    sound[1] *= 1e-4 * torch.linspace(0, 1, 3000) ** 4
    spectra = librosa.stft(
        sound.numpy(), n_fft=n_fft, hop_length=hop, window="boxcar", pad_mode="reflect", dtype=np.complex128
    )
    with np.errstate(divide="ignore"):
        curve = 10 ** (librosa.A_weighting(librosa.fft_frequencies(sr=rate, n_fft=n_fft)) / 10)
    mean = (np.abs(spectra) ** 2 * curve[:, None]).mean(axis=1)
    expected = 10 * np.log10(np.maximum(mean, 1e-5))
    found = a_weighted_power_db(sound, rate, n_fft=n_fft, hop_length=hop)
    assert (found.min(), found.dtype) == (-50, torch.float64)
    torch.testing.assert_close(found, torch.from_numpy(expected))
