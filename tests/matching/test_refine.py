import pytest
import torch

from drumblender.losses import BandLoss
from drumblender.matching.refine import refine
from drumblender.synths import StftNoiseSynth

SYNTH = StftNoiseSynth(16000, num_bands=16, n_fft=256, hop_length=64)


def play(controls):
    return SYNTH(controls, 8000)


def start(level_db: float) -> dict[str, torch.Tensor]:
    return {"level_db": torch.full((1, 1, 16), level_db), "held_db": torch.zeros(1, 1, 1)}


def test_levels_are_found_again_and_hold_for_other_noise():
    torch.manual_seed(0)
    target, loss = play(start(-20.0)), BandLoss(16000)
    found = refine(start(-26.0), play, target, loss, step_sizes={"level_db": 0.5}, steps=40)
    assert len(found.losses) == 40
    assert found.controls["level_db"].mean().item() == pytest.approx(-20, abs=1)
    torch.manual_seed(9)
    assert loss(play(found.controls), target) < 0.6 * loss(play(start(-26.0)), target)


def test_only_what_may_move_moves():
    given = start(-26.0)
    found = refine(given, play, play(start(-20.0)), BandLoss(16000), step_sizes={"level_db": 0.5}, steps=2)
    assert found.controls["held_db"] is given["held_db"]
    assert torch.equal(given["level_db"], start(-26.0)["level_db"])
    assert not found.controls["level_db"].requires_grad


def test_what_does_not_fit_is_refused():
    target, loss = torch.zeros(1, 8000), BandLoss(16000)
    with pytest.raises(ValueError, match="no control gain_db, only held_db, level_db"):
        refine(start(0), play, target, loss, step_sizes={"gain_db": 1})
    with pytest.raises(ValueError, match="steps=0"):
        refine(start(0), play, target, loss, step_sizes={"level_db": 1}, steps=0)
