import pytest
import torch

from drumblender.dsp.harmonics import harmonic_bank
from drumblender.features import HarmonicNoiseAnalysis


def tone(f0_hz, level_db, seconds=0.6):
    f0 = torch.full((1, 1), f0_hz)
    amp = 10 ** (torch.tensor(level_db)[None, None] / 20)
    sound = harmonic_bank(f0, amp, num_samples=int(16000 * seconds), sample_rate=16000)
    return sound, torch.full((1, int(100 * seconds) + 1), f0_hz)


@pytest.mark.parametrize("f0_hz", [82.4, 196.0, 659.3])
def test_measures_the_harmonics_of_a_tone(f0_hz):
    levels = [-12.0, -20.0, -30.0, -24.0]
    sound, f0 = tone(f0_hz, levels)
    harmonic_db, noise_db = HarmonicNoiseAnalysis()(sound, f0)
    assert harmonic_db[0, 30, :4].tolist() == pytest.approx(levels, abs=1.0)
    assert harmonic_db[0, 30, 8:].max() < -60
    assert noise_db[0, 30].max() < -42  # the valleys are not filled
    assert (harmonic_db[0, :, int(8000 / f0_hz) + 1 :] == -120).all()


@pytest.mark.parametrize("f0_hz", [82.4, 440.0])
def test_measures_noise_under_a_tone(generator, f0_hz):
    sound, f0 = tone(f0_hz, [-12.0, -18.0, -24.0], seconds=2.0)
    sound = sound + 0.01 * torch.randn(sound.shape, generator=generator)  # -40 dB in every band
    _, noise_db = HarmonicNoiseAnalysis()(sound, f0)
    assert noise_db[0, 20:-20, 3:].mean(dim=0).tolist() == pytest.approx([-40.0] * 21, abs=1.5)


def test_silence_and_short_sounds_are_finite():
    analysis = HarmonicNoiseAnalysis()
    for size in (1, 300, 5000):
        both = analysis(torch.zeros(1, size), torch.full((1, size // 160 + 1), 110.0))
        assert all(part.isfinite().all() and part.max() < -100 for part in both)
    with pytest.raises(ValueError, match="frames of pitch"):
        analysis(torch.zeros(1, 1600), torch.full((1, 99), 110.0))
