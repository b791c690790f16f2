import math

import pytest
import torch

from drumblender.dsp.spectral_transport import FLOOR
from drumblender.dsp.units import Range, cents_between, db_to_gain, gain_to_db, hz_to_midi, midi_to_hz


def test_a4_is_note_69():
    assert hz_to_midi(torch.tensor(440.0)) == 69
    assert midi_to_hz(torch.tensor(60.0)).item() == pytest.approx(261.6256, abs=1e-4)


def test_units_are_converted_as_published(golden):
    case = golden("pitch", "unit_maps")
    audible = case["in_hz"] > 0  # below it the published code gives a note of its own, ours none
    case.check("out_hz_to_midi", hz_to_midi(case["in_hz"][audible]), at=audible)
    case.check("out_midi_to_hz", midi_to_hz(case["in_midi"]))
    heard = Range(case.config["hz_min"], case.config["hz_max"], log=True)
    case.check("out_unit_to_hz", heard.denormalize(case["in_unit"]))


def test_an_octave_is_1200_cents():
    assert cents_between(torch.tensor(880.0), torch.tensor(440.0)) == pytest.approx(1200)


def test_decibels_return_to_the_gain_they_came_from():
    gain = torch.tensor([1e-4, 0.5, 2.0])
    assert torch.allclose(db_to_gain(gain_to_db(gain)), gain)
    assert gain_to_db(torch.tensor(0.0)) == pytest.approx(-120)


@pytest.mark.parametrize("log", [False, True])
def test_a_range_maps_its_limits_and_returns(log):
    span = Range(20.0, 2000.0, log=log)
    unit = torch.linspace(0, 1, 11, dtype=torch.float64)
    value = span.denormalize(unit)
    assert value[0] == pytest.approx(20) and value[-1] == pytest.approx(2000)
    assert value[5] == pytest.approx(200 if log else 1010)
    assert torch.allclose(span.normalize(value), unit)


@pytest.mark.parametrize(
    "low, high, log", [(1, 1, False), (2, 1, False), (0, 1, True), (float("nan"), 1, False)]
)
def test_a_range_without_width_is_refused(low, high, log):
    with pytest.raises(ValueError, match="low="):
        Range(low, high, log=log)


def test_logarithms_and_quotients_are_kept_from_0_as_published(golden):
    """``safe_log10`` is a level above -100 dB; a quotient has the floor of what is normalised by a sum."""
    case = golden("pitch", "safe_ops")
    positive = case["in_denominator"] >= 0  # what is negative has a level, too
    levels = gain_to_db(case["in_denominator"][positive], floor_db=-100) / 20
    case.check("out_log10", levels, at=positive)
    case.check("out_log", levels * math.log(10), at=positive)
    case.check("out_divide", case["in_numerator"] / case["in_denominator"].clamp(min=FLOOR))
