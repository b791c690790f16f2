import pytest
import torch

from drumblender.features.note_curves import pitch_of

pytest.importorskip("torchcrepe")


def test_finds_what_the_original_found_without_its_dither(golden):
    case = golden("guitar", "crepe_pitch")
    f0_hz, periodicity = pitch_of(case["in_audio"], 16000, 160, "crepe-published")
    cents = 1200 * (f0_hz[0] / case["out_f0"][0, :, 0]).log2().abs()
    assert (cents < 1).float().mean() > 0.98
    inside = slice(0, -4)  # frames that hear no sample behind the end
    case.check("out_periodicity", periodicity[:, inside], at=(slice(None), inside))


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
