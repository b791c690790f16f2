"""The distance of sets grows when sounds get worse."""

import pytest
import torch

from drumblender.evaluation.embeddings import MFCCStatistics
from experiments.evaluation import sanity
from experiments.evaluation.sanity import STEPS, degrade, grows, made_up_drums, measure, table


def test_kad_grows_with_each_degradation():
    rows = measure(made_up_drums(24, "snares"), made_up_drums(24, "kicks"), MFCCStatistics())
    assert rows.keys() == STEPS.keys()
    for kind, row in rows.items():
        assert grows(row), (kind, row)
    assert table("drums", rows).count("| yes |") == 5


def test_a_row_that_falls_is_told():
    assert not grows([1.0, 3.0, 2.0]) and not grows([1.0, float("nan")])
    assert "**no**" in table("drums", {"gain": [0.0, 1.0, 2.0, 1.0, 3.0]})


def test_degradations_do_what_they_say(generator):
    sound = torch.randn(sanity.RATE, generator=generator)
    noise = degrade("noise", 20, sound, generator) - sound
    assert 20 * torch.log10(sound.norm() / noise.norm()) == pytest.approx(20, abs=0.1)
    assert torch.allclose(degrade("gain", -6.0206, sound, generator), sound / 2, rtol=1e-4)
    dull = torch.fft.rfft(degrade("low-pass", 1000, sound, generator)).abs().square()
    assert dull[:500].mean() > 100 * dull[8000:].mean()
    click = torch.zeros(sanity.RATE)
    click[0] = 1
    energy = degrade("smear", 100, click, generator).square()
    assert energy[: sanity.RATE // 10].sum() > 0.9 * energy.sum() > 0.8
    with pytest.raises(ValueError, match="No degradation 'odd'"):
        degrade("odd", 1, sound, generator)
