import pytest
import torch

from drumblender.controllers import FreeControls
from drumblender.inference.blend import between
from drumblender.inference.refined import refined_controls
from drumblender.losses import BandLoss
from drumblender.synths import StftNoiseSynth
from drumblender.tasks import DrumTask, Voice

RATE = 16000


def hiss():
    controls = FreeControls(num_frames=8, init="constant", scale=-30.0, bounded=False)
    voice = Voice(StftNoiseSynth(RATE, num_bands=16, n_fft=256, hop_length=64), controls)
    controls.hold({"level_db": 16})
    return DrumTask({"noise": voice}, BandLoss(RATE), RATE).eval()


def test_refinement_brings_levels_nearer_for_other_noise_too(generator):
    batch = {"audio": 0.1 * torch.randn(1, 8000, generator=generator)}
    controls, gain = refined_controls(hiss(), batch, steps=30, seed=7)
    assert gain.after < 0.7 * gain.before and "%" in str(gain)
    assert controls["noise"]["level_db"].mean() == pytest.approx(-21, abs=3)


def test_modes_are_faded_over_and_levels_drawn_between():
    own = {"freq_rad": torch.full((1, 2, 3), 0.1), "amp": torch.ones(1, 2, 3)}
    other = {"freq_rad": torch.full((1, 2, 2), 0.2), "amp": torch.ones(1, 2, 2)}
    both = between(own, other, 0.25)
    assert both["amp"][0, 0].tolist() == [0.75, 0.75, 0.75, 0.25, 0.25]
    assert both["freq_rad"].shape == (1, 2, 5)
    pitch = between({"f0_hz": torch.full((1, 1, 1), 100.0)}, {"f0_hz": torch.full((1, 1, 1), 400.0)}, 0.5)
    assert pitch["f0_hz"].item() == pytest.approx(200)
