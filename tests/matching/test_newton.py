"""Damped least squares: finds what a sound tells, and leaves alone what it does not."""

import pytest
import torch

from drumblender.dsp.units import Range
from drumblender.losses import MultiResolutionSTFTLoss
from drumblender.matching.match import match
from drumblender.synths import DampedModalSynth, HarmonicSynth, StftNoiseSynth

RATE = 8000


def modes(count):
    freq_hz, t60_s = Range(100, 3000, log=True), Range(0.05, 0.5, log=True)
    return DampedModalSynth(count, RATE, freq_hz, t60_s, level_db=Range(-120, 0))


def controls(**values):
    return {name: torch.tensor(value).reshape(1, 1, -1) for name, value in values.items()}


def search(synth, target, start, **settings):
    settings = {"renders": 150, "match_level": False, "frames": 1} | settings
    loss = MultiResolutionSTFTLoss([256, 512], [64, 128], [256, 512])
    return match(target, synth, loss, "newton", init=start, **settings)


def test_a_mode_an_octave_and_more_away_is_found():
    synth = modes(1)
    known = controls(freq=[0.35], t60=[0.6], level=[0.8])
    target = synth(known, 3000)[0]
    found = search(synth, target, controls(freq=[0.6], t60=[0.4], level=[0.6]))
    for name, value in known.items():
        assert found.controls[name].item() == pytest.approx(value.item(), abs=0.01), name
    assert found.renders <= 150


def test_what_the_sound_does_not_tell_stays_where_it_was():
    synth = modes(2)
    known = controls(freq=[0.3, 0.7], t60=[0.6, 0.5], level=[0.8, 0.01])  # the second is not heard
    start = controls(freq=[0.4, 0.7], t60=[0.5, 0.2], level=[0.7, 0.01])
    found = search(synth, synth(known, 3000)[0], start)
    assert found.controls["freq"][0, 0, 0].item() == pytest.approx(0.3, abs=0.01)
    assert found.controls["t60"][0, 0, 1].item() == pytest.approx(0.2, abs=0.15)


def test_levels_of_other_noise_are_found():
    known = controls(level=[0.8, 0.3, 0.6, 0.5])
    target = StftNoiseSynth(RATE, num_bands=4, seed=1, range_db=Range(-60, 0))(known, 8000)[0]
    synth = StftNoiseSynth(RATE, num_bands=4, seed=0, range_db=Range(-60, 0))
    found = search(synth, target, controls(level=[0.5] * 4))
    assert (found.controls["level"] - known["level"]).abs().max() < 0.05


def test_a_pitch_is_found_across_the_valleys_of_its_partials():
    synth = HarmonicSynth(num_harmonics=6, sample_rate=RATE, level_db=Range(-60, 0))
    known = controls(f0_hz=[233.0], level=[0.9, 0.8, 0.7, 0.6, 0.6, 0.5])
    start = controls(f0_hz=[330.0], level=[0.7] * 6)
    regions = {"f0_hz": Range(80, 1000, log=True)}
    found = search(synth, synth(known, 4000)[0], start, regions=regions, renders=300)
    assert found.controls["f0_hz"].item() == pytest.approx(233, rel=0.01)


def test_refuses_a_budget_without_a_single_step():
    synth = modes(4)
    known = controls(freq=[0.2, 0.4, 0.6, 0.8], t60=[0.5] * 4, level=[0.8] * 4)
    with pytest.raises(ValueError, match="12 numbers needs 19 renders a step, got 18: hold the controls"):
        search(synth, synth(known, 1000)[0], known, renders=18)
