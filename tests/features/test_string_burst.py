import pytest
import torch

from drumblender.controllers import AnalysedControls
from drumblender.dsp.units import Range
from drumblender.encoders import BandEncoder
from drumblender.features import StringBurst, StringDecay
from drumblender.synths import StringSynth

RATE, SAMPLES = 16000, 32000
ONSETS = (0.0, 1.5)


def string() -> StringSynth:
    return StringSynth(RATE, excitation="burst", loop_gain=Range(0.9, 1.0), onset_s=ONSETS)


def controls_of(sound: torch.Tensor, f0_hz: float) -> dict[str, torch.Tensor]:
    batch = {"audio": sound, "f0_hz": torch.full((1, 125), f0_hz)}
    return StringBurst(StringDecay(RATE), ONSETS)(batch).controls


def level_db(sound: torch.Tensor) -> float:
    return 10 * sound.square().mean().log10().item()


def note(f0_hz: float) -> torch.Tensor:
    synth, taps = string(), torch.tensor([0.1, 0.8, 0.1]).expand(1, 16, 3)
    units = {"f0_hz": f0_hz, "loop_taps": taps, "loop_gain": 0.985, "burst_db": -20.0}
    return synth(synth.from_units(units | {"excitation_taps": 0.5, "excitation_gain": 0.1}), SAMPLES)


@pytest.mark.parametrize("f0_hz", [110.0, 440.0])
def test_a_note_is_played_at_its_own_level(f0_hz):
    target = note(f0_hz)
    found = controls_of(target, f0_hz)
    played = string()(found | {"f0_hz": torch.full((1, 1, 1), f0_hz)}, SAMPLES)
    assert level_db(played) == pytest.approx(level_db(target), abs=3)


def test_a_louder_note_has_louder_bursts():
    quiet, loud = (controls_of(gain * note(110.0), 110.0)["burst"] for gain in (1, 2))
    assert 80 * (loud - quiet).mean().item() == pytest.approx(6.02, abs=0.1)


def test_silence_has_a_level():
    found = controls_of(torch.zeros(1, SAMPLES), 220.0)
    assert found["burst"].isfinite().all() and found["burst"].max() < 0.1


def test_an_untrained_string_plays_what_was_measured():
    controller = AnalysedControls(
        StringBurst(StringDecay(RATE), ONSETS), BandEncoder(32), {"burst": Range(-1, 1)}
    )
    controller.serve(string())
    batch = {"audio": torch.randn(1, SAMPLES), "f0_hz": torch.full((1, 125), 220.0)}
    assert torch.allclose(controller(batch)["burst"], controls_of(batch["audio"], 220.0)["burst"], atol=1e-5)


def test_no_window_is_refused():
    with pytest.raises(ValueError, match="empty"):
        StringBurst(StringDecay(), ())
