"""What a note says about its loop: on strings whose loop is known, and on what is none."""

import pytest
import torch

from drumblender.data import random_strings
from drumblender.dsp.units import Range
from drumblender.features import StringLoop
from drumblender.synths import StringSynth


def note(sound, f0_hz=220.0):
    return {"audio": sound, "f0_hz": torch.full((len(sound), 125), f0_hz)}


def test_coefficients_of_random_strings_are_nearer_than_half_of_what_their_mean_is():
    """Four seconds of sixteen strings from 82 to 1319 Hz, whose loops move."""
    synth = StringSynth(min_f0_hz=72.41, excitation="source")
    batch = random_strings(synth, 16, generator=torch.Generator().manual_seed(3))
    units = synth.coefficients(
        StringLoop(excitation_gain=0.998)(batch).controls | {"f0_hz": batch["f0_hz"][..., None]}
    )
    loop, known = units["loop_coefficients"] * units["loop_gain"], batch["loop_coefficients"]
    excitation = units["excitation_coefficients"] - batch["excitation_coefficients"]
    by_mean = (known - known.mean(dim=(0, 1))).abs().mean()
    assert (loop - known).abs().mean() < 0.25 * by_mean
    assert (loop - known).abs().mean() + excitation.abs().mean() < 0.5 * (by_mean + excitation.abs().mean())


def test_features_are_the_levels_of_the_burst():
    """A dark burst has less at high frequencies, whatever rings after it."""
    synth = StringSynth(excitation="source", onset_s=(0.0,), loop_gain=Range(0.9, 1.0))
    dark, bright = torch.randn(2, 400, generator=torch.Generator().manual_seed(0))
    for _ in range(3):
        dark = (dark + dark.roll(1)) / 2
    source = torch.nn.functional.pad(torch.stack([dark, bright]), (0, 31600))
    units = {"f0_hz": 220.0, "loop_taps": 0.5, "loop_gain": 0.99}
    sound = synth(synth.from_units(units | {"excitation_taps": 0.5, "excitation_gain": 0.01}), 32000, source)
    levels = StringLoop(onset_s=(0.0,))(note(sound)).features
    assert levels.shape == (2, 25, 32)
    tilt = levels[..., -4:].mean(dim=(1, 2)) - levels[..., 4:8].mean(dim=(1, 2))
    assert tilt[0] < tilt[1] - 20


def test_silence_and_noise_have_controls_inside_their_range():
    sounds = torch.stack([torch.zeros(16000), torch.randn(16000, generator=torch.Generator().manual_seed(0))])
    found = StringLoop(loop_gain=Range(0.9, 1.0))(note(sounds))
    for value in (*found.controls.values(), found.features):
        assert value.isfinite().all()
    for value in found.controls.values():
        assert value.min() > 0 and value.max() < 1


@pytest.mark.parametrize("samples", [160, 500, 4000])
def test_short_notes_and_no_pitch(samples):
    sound = torch.randn(1, samples, generator=torch.Generator().manual_seed(0))
    for pitch in (220.0, 0.0, float("nan"), 20000.0):
        found = StringLoop()(note(sound, pitch))
        assert all(value.isfinite().all() for value in found.controls.values())


@pytest.mark.parametrize(
    "wrong", [{"loop_order": 0}, {"onset_s": ()}, {"excitation_gain": 1.0}, {"num_bands": 0}]
)
def test_wrong_sizes_are_refused(wrong):
    with pytest.raises(ValueError, match=next(iter(wrong))):
        StringLoop(**wrong)


def test_wrong_sounds_are_refused():
    with pytest.raises(ValueError, match="too few"):
        StringLoop()(note(torch.zeros(1, 100)))
    with pytest.raises(ValueError, match="NaN"):
        StringLoop()(note(torch.full((1, 16000), float("nan"))))
