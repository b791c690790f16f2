"""Each metric of percussion is 0 between a sound and itself, and grows as the sound gets worse."""

import math

import pytest
import torch

from drumblender.metrics import (
    AttackTimeError,
    EnvelopeDistance,
    ModeDecayError,
    ModeFrequencyError,
    OnsetStrengthDistance,
    WeightedMFCCError,
)

RATE = 48000
METRICS = {
    "attack": AttackTimeError(RATE),
    "envelope": EnvelopeDistance(),
    "onset": OnsetStrengthDistance(),
    "freq": ModeFrequencyError(RATE),
    "decay": ModeDecayError(RATE),
    "mfcc": WeightedMFCCError(RATE),
}


def bell(cents=0.0, longer=1.0, attack_s=0.001, start_s=0.02, noise=0.0):
    """Three modes, with a straight attack."""
    time = (torch.arange(RATE) / RATE).double() - start_s
    sound = torch.zeros(RATE, dtype=torch.float64)
    for freq_hz, t60_s, amp in ((310.0, 0.9, 0.5), (760.0, 0.6, 0.3), (1490.0, 0.35, 0.2)):
        phase = 2 * math.pi * freq_hz * 2 ** (cents / 1200) * time
        sound += amp * phase.sin() * 1000 ** (-time.clamp(min=0) / (t60_s * longer))
    sound = sound * (time / attack_s).clamp(0, 1)
    draws = torch.randn(RATE, generator=torch.Generator().manual_seed(0))
    return (sound.float() + noise * draws)[None]


@pytest.mark.parametrize("name", METRICS)
def test_a_sound_and_itself_are_nothing_apart(name, generator):
    metric = METRICS[name]
    for sound in (bell(), torch.randn(1, 9000, generator=generator), torch.zeros(1, 9000)):
        assert metric.per_item(sound, sound).item() == pytest.approx(0, abs=1e-6)


@pytest.mark.parametrize("name", METRICS)
def test_silence_is_finite_either_way(name):
    silence = torch.zeros_like(bell())
    for pair in ((silence, bell()), (bell(), silence)):
        assert METRICS[name].per_item(*pair).isfinite().all()


@pytest.mark.parametrize(
    "name, worse",
    [
        ("attack", [{"attack_s": s} for s in (0.002, 0.005, 0.02, 0.05)]),
        ("envelope", [{"longer": x} for x in (1.1, 1.4, 2.0, 4.0)]),
        ("envelope", [{"start_s": s} for s in (0.03, 0.05, 0.1, 0.2)]),
        ("onset", [{"attack_s": s} for s in (0.005, 0.02, 0.05, 0.1)]),
        ("freq", [{"cents": c} for c in (5, 15, 40, 90)]),
        ("decay", [{"longer": x} for x in (1.1, 1.4, 2.0, 4.0)]),
        ("mfcc", [{"noise": x} for x in (0.001, 0.01, 0.05, 0.3)]),
        ("mfcc", [{"cents": c} for c in (20, 100, 400, 1200)]),
    ],
)
def test_grows_with_a_degradation(name, worse):
    values = [METRICS[name].per_item(bell(**settings), bell()).item() for settings in worse]
    assert values[0] > 0 and all(a < b for a, b in zip(values, values[1:], strict=False)), values


def test_modes_are_off_by_what_they_were_moved_by():
    for cents in (-60, 10, 35):
        assert METRICS["freq"].per_item(bell(cents=cents), bell()).item() == pytest.approx(abs(cents), abs=3)


def test_a_missing_mode_counts_as_the_reach():
    noise = 0.1 * torch.sin(2 * torch.pi * 5000 * torch.arange(RATE) / RATE)[None]
    assert METRICS["freq"].per_item(noise, bell()).item() == pytest.approx(100)


def test_decays_are_apart_by_octaves():
    for longer in (0.5, 2.0):
        assert METRICS["decay"].per_item(bell(longer=longer), bell()).item() == pytest.approx(1, abs=0.1)


def test_an_attack_is_measured_in_milliseconds():
    slow, fast = bell(attack_s=0.05), bell(attack_s=0.01)
    assert METRICS["attack"].per_item(slow, fast).item() == pytest.approx(0.8 * 40, abs=4)


@pytest.mark.parametrize("name", ["attack", "envelope", "onset", "freq", "decay"])
def test_level_alone_is_no_error(name):
    assert METRICS[name].per_item(0.1 * bell(), bell()).item() == pytest.approx(0, abs=1e-3)


def test_the_silence_after_a_hit_has_no_say_in_the_weighted_distance():
    worse = bell(noise=0.01) * (bell().abs() > 0)
    pairs = [[torch.nn.functional.pad(s, (0, n)) for s in (worse, bell())] for n in (0, RATE)]
    short, long = (METRICS["mfcc"].per_item(*pair).item() for pair in pairs)
    assert long == pytest.approx(short, rel=0.02)


def test_the_mean_is_over_all_items():
    metric = ModeFrequencyError(RATE)
    metric.update(torch.cat([bell(cents=20), bell()]), torch.cat([bell(), bell()]))
    metric.update(bell(), bell())
    assert metric.compute().item() == pytest.approx(20 / 3, abs=1)


@pytest.mark.parametrize(
    "build, message",
    [
        (lambda: AttackTimeError(48000, start=0.9, stop=0.1), "start=0.9"),
        (lambda: EnvelopeDistance(0), "frame_size=0"),
        (lambda: OnsetStrengthDistance(hop_length=0), "hop_length=0"),
        (lambda: ModeFrequencyError(48000, floor_db=0), "floor_db=0"),
        (lambda: ModeDecayError(48000, longest=0), "got 0"),
        (lambda: WeightedMFCCError(n_mfcc=2, skip=2), "skip=2"),
    ],
)
def test_refuses_settings_without_sense(build, message):
    with pytest.raises(ValueError, match=message):
        build()


@pytest.mark.parametrize("name", ["freq", "decay"])
def test_a_target_without_modes_gives_its_zero_where_the_sounds_are(name):
    sounds = torch.cat([bell(), torch.zeros(1, RATE)]).double()  # which torch itself transforms
    with torch.device("meta"):  # where all would lie that is not made beside the sounds
        assert METRICS[name].per_item(sounds, sounds).tolist() == [0, 0]


def test_the_envelope_of_silence_has_a_finite_slope():
    silence = torch.zeros_like(bell()).requires_grad_()
    METRICS["envelope"].per_item(silence, bell()).sum().backward()
    assert silence.grad.isfinite().all()
