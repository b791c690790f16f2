import pytest
import torch
from scipy.signal import butter, sosfilt

from drumblender.features.crepe_published import _viterbi
from drumblender.features.note_curves import pitch_of

torchcrepe = pytest.importorskip("torchcrepe")


def test_finds_what_the_original_found_without_its_dither(golden):
    case = golden("guitar", "crepe_pitch")
    f0_hz, periodicity = pitch_of(case["in_audio"], 16000, 160, "crepe-published")
    cents = 1200 * (f0_hz[0] / case["out_f0"][0, :, 0]).log2().abs()
    assert (cents < 1).float().mean() > 0.98
    case.check("out_periodicity", periodicity)


@pytest.mark.parametrize("num_samples", [100, 1599, 1600, 4000])  # shorter than two reaches of other trackers
def test_a_short_sound_is_heard_as_it_is(generator, num_samples):
    """By the published steps, written out: mean, high-pass, peak, and the network on nothing else."""
    sound = 0.1 + 0.05 * torch.randn(num_samples, generator=generator)
    levelled = sosfilt(butter(4, 80, "highpass", fs=16000, output="sos"), (sound - sound.mean()).double())
    levelled = torch.from_numpy(levelled / abs(levelled).max()).float()[None]
    settings = {"batch_size": 64, "decoder": _viterbi, "return_periodicity": True}
    f0_hz, periodicity = torchcrepe.predict(levelled, 16000, 160, 50.0, 1000.0, "tiny", **settings)
    found = pitch_of(sound[None], 16000, 160, "crepe-published")
    torch.testing.assert_close(found, (f0_hz, periodicity), atol=1e-4, rtol=1e-5)
    assert f0_hz.shape == (1, num_samples // 160 + 1)


def test_a_pitch_lies_between_50_and_1000_hz_and_draws_nothing(monkeypatch):
    monkeypatch.setattr("torchcrepe.convert.dither", None)  # which draws from numpy's global generator
    time_s = torch.arange(16000) / 16000
    sound = torch.stack([torch.sin(2 * torch.pi * f0_hz * time_s) for f0_hz in (440, 2000)])
    state = torch.random.get_rng_state()
    f0_hz, _ = pitch_of(sound, 16000, 160, "crepe-published")
    assert torch.equal(torch.random.get_rng_state(), state)
    assert f0_hz.min() > 49 and f0_hz.max() < 1010
    assert f0_hz[0].median().item() == pytest.approx(440, rel=0.006)  # a grid of 20 cents
    assert torch.equal(f0_hz, pitch_of(sound, 16000, 160, "crepe-published")[0])
