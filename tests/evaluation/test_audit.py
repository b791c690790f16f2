import csv

import pytest
import torch

from drumblender.dsp.units import Range
from drumblender.evaluation.audit import Knob, audit_pairs, descend, gradient_accuracy, slopes, synth_knob
from drumblender.evaluation.audit_cases import cases
from drumblender.losses import MultiScaleSpectralLoss, SpectralTransportLoss
from drumblender.synths import HarmonicSynth
from experiments.pitch import descent


def ramp(values: torch.Tensor) -> torch.Tensor:
    """A sound that is the value itself."""
    return values[:, None].expand(-1, 4)


def distance(prediction: torch.Tensor, target: torch.Tensor) -> torch.Tensor:
    return (prediction - target).abs().mean()


def test_a_loss_that_measures_the_control_is_always_right_and_its_opposite_never():
    knob = Knob(ramp, 100.0, 1600.0)
    for sign, share in ((1, 1.0), (-1, 0.0)):
        audit = audit_pairs(lambda p, t, sign=sign: sign * distance(p, t), knob, steps=6)
        assert [audit.share(which) for which in ("all", "far")] == [share, share]
    found = gradient_accuracy(distance, knob, ramp(torch.tensor([400.0])), 400.0, steps=33)
    assert found == {"coarse": 1.0, "fine": 1.0}


def test_only_pairs_within_half_an_octave_are_near():
    knob = Knob(ramp, 100.0, 1600.0)  # four octaves

    def short_sighted(prediction, target):
        """Points at the target within half an octave and away from it beyond."""
        apart = (prediction / target).log2().abs().mean()
        return torch.where(apart < 0.5, apart, -apart)

    audit = audit_pairs(short_sighted, knob, steps=13)  # a third of an octave a step
    assert audit.share("near") == 1.0 and audit.share("far") == 0.0


def test_slopes_are_those_of_each_start_alone():
    knob = Knob(ramp, 0.0, 2.0, log=False)
    values, slope = slopes(distance, knob, torch.tensor([0.1, 0.9]).double(), torch.ones(1, 4))
    torch.testing.assert_close(values, torch.tensor([0.8, 0.8]).double(), atol=1e-6, rtol=0)
    assert slope.tolist() == pytest.approx([-2, 2])


def test_descent_ends_on_the_target():
    knob = Knob(ramp, 100.0, 1600.0)
    targets = torch.tensor([150.0, 1500.0], dtype=torch.float64)
    ends = descend(distance, knob, torch.tensor([300.0, 900.0]).double(), targets)
    assert (1200 * (ends / targets).log2()).abs().max() < 20


def test_turns_a_control_of_any_synth():
    synth = HarmonicSynth(4, 16000, f0_hz=Range(50, 2000, log=True))
    knob = synth_knob(synth, {"amp": torch.ones(1, 1, 4)}, "f0", 0.1, 0.9, num_samples=4096, log=False)
    audit = audit_pairs(SpectralTransportLoss(), knob, steps=4)
    assert audit.share() > 0.9
    with pytest.raises(ValueError, match="not 'pitch'"):
        synth_knob(synth, {}, "pitch", 0, 1, num_samples=10)


@pytest.mark.parametrize(
    "name, least", [("sine", 0.95), ("missing fundamental", 0.8), ("square", 0.8), ("vowel", 0.6)]
)
def test_transport_on_full_frames_points_at_the_pitch_of(name, least):
    knob, f0_hz = cases()[name]
    found = gradient_accuracy(SpectralTransportLoss(), knob, cases()[name].target(), f0_hz, steps=24)
    assert found["coarse"] > least


@pytest.mark.parametrize("name", ["sine", "missing fundamental", "square", "vowel"])
def test_the_lowest_power_points_at_the_pitch_of(name):
    loss = SpectralTransportLoss(scale="log", share=0.03, balanced=True, cutoff=None)
    knob, f0_hz = cases()[name]
    found = gradient_accuracy(loss, knob, cases()[name].target(), f0_hz, steps=60)
    assert found["coarse"] > 0.95 and found["fine"] > 0.75


def test_descent_with_transport_finds_pitches_that_others_do_not(monkeypatch):
    monkeypatch.setattr(descent, "NUM_TONES", 12)
    monkeypatch.setattr(descent, "PACES", (0.12,))
    losses = descent.losses()
    found = {
        name: descent.descent_row(name, losses[name])["raw pitch accuracy, 0.12"]
        for name in ("multi-scale", "transport, as published", "transport of shapes, octaves")
    }
    assert found["transport of shapes, octaves"] > 0.8
    assert max(found["multi-scale"], found["transport, as published"]) < 0.4


def test_the_committed_table_says_so_too():
    with (descent.RESULTS / "descent.csv").open() as file:
        rows = {row["loss"]: float(row["raw pitch accuracy, 0.12"]) for row in csv.DictReader(file)}
    assert rows["transport of shapes, octaves"] > 0.9 > 0.4 > rows["multi-scale"]
    assert isinstance(descent.losses()["multi-scale"], MultiScaleSpectralLoss)


@pytest.mark.parametrize("low, high, log", [(2.0, 1.0, True), (0.0, 1.0, True), (0.0, float("inf"), False)])
def test_rejects(low, high, log):
    with pytest.raises(ValueError):
        Knob(ramp, low, high, log)
