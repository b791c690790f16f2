import pytest
import torch

from drumblender.dsp.partials import partials_hz
from drumblender.features import HarmonicNoiseAnalysis
from drumblender.features.stiffness import stiffness_of

RATE, HOP = 16000, 160


def note(f0_hz, stiffness, seconds=0.5, partials=30):
    places = partials_hz(torch.tensor([f0_hz]), torch.tensor([stiffness]), partials)[0]
    time_s = torch.arange(int(seconds * RATE)) / RATE
    return (0.1 * torch.sin(2 * torch.pi * places[places < RATE / 2, None] * time_s)).sum(dim=0)


def curves(sound, f0_hz):
    frames = len(sound) // HOP + 1
    return torch.full((1, frames), f0_hz), torch.arange(frames)[None] * HOP / RATE


@pytest.mark.parametrize("f0_hz", [110.0, 247.0, 660.0])
@pytest.mark.parametrize("stiffness", [3e-5, 2e-4])
@pytest.mark.parametrize("error", [0.997, 1.003])
def test_finds_the_stiffness_of_a_string_though_the_pitch_is_off_by_cents(f0_hz, stiffness, error):
    sound = note(f0_hz, stiffness)
    found = stiffness_of(sound[None], *curves(sound, f0_hz * error), RATE, HOP)
    assert found.unique().item() == pytest.approx(stiffness, rel=0.15)


def test_each_note_has_its_own():
    sound = torch.cat([note(220.0, 1e-4), note(440.0, 4e-5)])
    f0_hz, age_s = curves(sound, 220.0)
    f0_hz[:, 50:], age_s[:, 50:] = 440.0, age_s[:, 50:] - age_s[0, 50]
    found = stiffness_of(sound[None], f0_hz, age_s, RATE, HOP)
    assert found[0, 49].item() == pytest.approx(1e-4, rel=0.1)
    assert found[0, 50].item() == pytest.approx(4e-5, rel=0.1)


def test_noise_and_silence_are_not_sure(generator):
    noise = torch.randn(8000, generator=generator)
    for sound in (noise, torch.zeros(8000)):
        assert not stiffness_of(sound[None], *curves(sound, 220.0), RATE, HOP).any()


def test_partials_of_a_stiff_string_are_measured_where_they_are():
    sound, analysis = note(220.0, 2e-4), HarmonicNoiseAnalysis(num_harmonics=30, num_bands=24)
    f0_hz, _ = curves(sound, 220.0)
    harmonic_db, noise_db = analysis(sound[None], f0_hz, torch.full_like(f0_hz, 2e-4))
    _, taken_for_noise_db = analysis(sound[None], f0_hz)
    assert (harmonic_db[0, 25, :28] + 20).abs().max() < 1
    assert noise_db[0, 25].max() < -75 and taken_for_noise_db[0, 25].max() > -60
