import math

import pytest
import torch

from drumblender.features import FrameLoudness


def sine(freq_hz, seconds=1.0, rate=16000):
    return torch.sin(2 * math.pi * freq_hz * torch.arange(int(seconds * rate)) / rate)[None]


def test_golden_loudness(golden):
    case = golden("guitar", "loudness_bandpass_rms")
    said = dict(case.config["init"])
    frame_size = said.pop("frame_length")
    feature = FrameLoudness(frame_size=frame_size, db=False, **said, **case.parameters)
    case.check("out_loudness", feature(case["in_audio"])[..., None])


def test_a_steady_sine_is_three_decibels_below_its_amplitude():
    level_db = FrameLoudness()(sine(1000))
    assert level_db.shape == (1, 101)
    assert torch.allclose(level_db[0, 2:-2], torch.tensor(-3.01), atol=0.02)


@pytest.mark.parametrize("freq_hz, expected", [(100, -19.1), (1000, 0.0), (5000, 0.5)])
def test_a_weighting_is_heard_and_the_bandpass_is_none(freq_hz, expected):
    def level(weighting):
        return FrameLoudness(weighting=weighting, frame_size=1024)(sine(freq_hz))[0, 40:60].mean().item()

    assert level("a") - level("none") == pytest.approx(expected, abs=0.1)
    assert level("bandpass") - level("none") == pytest.approx(0, abs=0.1)


def test_an_attack_stays_where_it_is():
    sound = torch.zeros(1, 16000)
    sound[:, 8000:] = sine(500, 0.5)
    narrow = FrameLoudness(hop_length=16)(sound)[0]
    wide = FrameLoudness(hop_length=16, frame_size=1024, window="rectangle")(sound)[0]
    half, begun = (int((narrow > -3.01 - below).nonzero()[0]) / 1000 for below in (3.01, 17.0))
    assert half == pytest.approx(0.5, abs=0.002)
    assert begun > 0.494
    assert int((wide > -3.01 - 17).nonzero()[0]) / 1000 < 0.475


def test_silence_and_single_samples_are_finite():
    assert torch.allclose(FrameLoudness()(torch.zeros(2, 500)), torch.tensor(-80.0))
    assert FrameLoudness(weighting="a")(torch.ones(1, 1)).isfinite().all()


def test_impossible_settings_are_refused(unchecked):
    with pytest.raises(ValueError, match="hop_length=0"):
        FrameLoudness(hop_length=0)
    with pytest.raises(ValueError, match="weighting='c'"):
        FrameLoudness(weighting="c")
