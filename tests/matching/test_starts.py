import pytest
import torch

from drumblender.dsp.units import Range
from drumblender.losses import MultiResolutionSTFTLoss
from drumblender.matching.baselines import band_noise, baselines, coloured_noise
from drumblender.matching.level import level_difference_db, to_level
from drumblender.matching.match import match
from drumblender.matching.starts import analysed_start
from drumblender.synths import DampedModalSynth, HarmonicSynth, MixSynth, NoiseSynth, Snare808, StftNoiseSynth

RATE = 16000
LOSS = MultiResolutionSTFTLoss()


def modes(count=6):
    spans = Range(40, 6000, log=True), Range(0.02, 4, log=True)
    return DampedModalSynth(count, RATE, *spans, level_db=Range(-80, 0))


def hiss(span=Range(-100, 20)):  # noqa: B008 (frozen)
    return StftNoiseSynth(RATE, 32, 256, 64, range_db=span, seed=0)


def drum(generator):
    """A struck tone with a burst of noise."""
    time_s = torch.arange(8000) / RATE
    tone = 0.5 * torch.sin(2 * torch.pi * 200 * time_s) * 1000 ** (-time_s / 0.4)
    return tone + 0.1 * torch.randn(8000, generator=generator) * torch.exp(-30 * time_s)


def test_partials_are_found_with_their_decays():
    synth = modes(3)
    truth = synth.from_units(
        {
            "freq_hz": torch.tensor([[[300.0, 1234.0, 3000.0]]]),
            "t60_s": torch.tensor([[[0.8, 0.5, 0.3]]]),
            "level_db": torch.tensor([[[-6.0, -12.0, -18.0]]]),
        }
    )
    target = synth(truth, 12000)
    units = synth.to_units(analysed_start(synth, target, {}, {}, RATE))
    order = units["freq_hz"].flatten().argsort()
    assert torch.allclose(units["freq_hz"].flatten()[order], torch.tensor([300.0, 1234, 3000]), rtol=0.005)
    assert torch.allclose(units["t60_s"].flatten()[order], torch.tensor([0.8, 0.5, 0.3]), rtol=0.25)
    assert torch.allclose(units["level_db"].flatten()[order], torch.tensor([-6.0, -12, -18]), atol=3)


@pytest.mark.parametrize(
    "synth", [hiss(), NoiseSynth(16, 256, seed=0, level_db=Range(-100, 20))], ids=["stft", "linear"]
)
def test_noise_starts_at_the_level_of_noise(synth, generator):
    target = 0.1 * torch.randn(1, 16000, generator=generator)
    name = next(iter(synth.control_sizes))
    controls = analysed_start(synth, target, {name: 8}, {}, RATE)
    assert controls[name].shape[1] == 8
    assert abs(level_difference_db(synth(controls, 16000), target)) < 1.5  # its first window fades in


def test_modes_are_no_louder_than_the_target(generator):
    target = 0.1 * torch.randn(1, 8000, generator=generator)
    controls = analysed_start(modes(), target, {}, {}, RATE)
    assert level_difference_db(modes()(controls, 8000), target) < -3


def test_one_render_beats_coloured_noise(generator):
    target = drum(generator)
    found = match(target, MixSynth({"modal": modes(), "noise": hiss()}), renders=1)
    assert found.renders == 1
    assert found.loss < 0.7 * found.baselines["coloured noise"]
    drawn = match(target, MixSynth({"modal": modes(), "noise": hiss()}), renders=1, analyse=False)
    assert found.loss < 0.7 * drawn.loss


def test_harmonics_start_at_their_levels():
    synth = HarmonicSynth(4, RATE, level_db=Range(-80, 0))
    levels = {"f0_hz": torch.full((1, 1, 1), 220.0), "level": torch.tensor([[[0.9, 0.7, 0.8, 0.5]]])}
    target = synth(levels, 8000)
    start = analysed_start(synth, target, {"level": 5}, {"f0_hz": levels["f0_hz"]}, RATE)
    assert torch.allclose(start["level"][:, 2], levels["level"][:, 0], atol=0.04)


def test_the_level_is_that_of_the_target_in_the_end(generator):
    target = drum(generator)
    found = match(target, MixSynth({"modal": modes(), "noise": hiss()}), renders=12)
    assert abs(found.level_db) < 0.1
    kept = match(target, MixSynth({"modal": modes(), "noise": hiss()}), renders=12, match_level=False)
    assert kept.level_db == kept.found_db == pytest.approx(found.found_db)
    assert kept.loss == min(row.best for row in kept.history)


def test_a_level_goes_no_further_than_its_range_and_drive_is_no_level():
    synth = Snare808(RATE, noise_samples=2000)
    knobs = {name: torch.full((1, 1, 1), 0.5) for name in synth.control_sizes}
    loud = torch.ones(2000) * 100
    levelled = to_level(knobs, lambda controls: synth(controls, 2000), synth, loud)
    assert levelled.before_db < levelled.after_db < -3
    assert torch.equal(levelled.controls["tanh.in_gain"], knobs["tanh.in_gain"])
    held = to_level(knobs, lambda controls: synth(controls, 2000), synth, loud, fixed=knobs)
    assert held.after_db == held.before_db


def test_a_level_far_off_is_told(generator, caplog):
    quiet = hiss(Range(-100, -60))
    target = 0.5 * torch.randn(4000, generator=generator)
    with caplog.at_level("WARNING"):
        found = match(target, quiet, renders=2)
    assert found.level_db < -3
    assert "dB from the target's level" in caplog.text


def test_noises_have_the_level_of_the_target_and_its_colour(generator):
    target = drum(generator)[None]
    assert abs(level_difference_db(coloured_noise(target, RATE), target)) < 0.1
    assert abs(level_difference_db(band_noise(target, RATE), target)) < 4  # a tone fills its band with noise
    assert LOSS(band_noise(target, RATE), target) < LOSS(coloured_noise(target, RATE), target)
    assert LOSS(coloured_noise(target, RATE), target) < LOSS(baselines(target[0], RATE)["silence"], target)
