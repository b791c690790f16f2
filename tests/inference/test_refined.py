import pytest
import torch

from drumblender.controllers import AnalysedControls, FreeControls
from drumblender.dsp.mdct import mdct
from drumblender.dsp.units import Range
from drumblender.encoders import BandEncoder
from drumblender.features import Analysed, Analysis
from drumblender.inference.blend import between
from drumblender.inference.refined import refined_controls
from drumblender.losses import BandLoss
from drumblender.synths import LappedTransient, StftNoiseSynth
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


class Heard(Analysis):
    """The first samples as they are, and the level of the rest of them, wrong by 6 dB."""

    num_features = 16

    def forward(self, batch):
        level_db = torch.full((1, 8, 16), -14.0)
        return Analysed({"coefficients": mdct(batch["audio"][:, :512], 64), "level_db": level_db}, level_db)


def test_what_is_played_as_it_was_measured_stays(generator):
    noise = AnalysedControls(Heard(), BandEncoder(16, 4), {"level_db": Range(-30, 12)})
    voices = {
        "attack": Voice(LappedTransient(64), AnalysedControls(Heard())),
        "noise": Voice(StftNoiseSynth(RATE, num_bands=16, n_fft=256, hop_length=64), noise),
    }
    batch = {"audio": 0.1 * torch.randn(1, 8000, generator=generator)}
    controls, gain = refined_controls(DrumTask(voices, BandLoss(RATE), RATE).eval(), batch, steps=10)
    assert gain.after < gain.before
    assert torch.equal(controls["attack"]["coefficients"], mdct(batch["audio"][:, :512], 64))


def test_a_descent_that_leads_away_is_not_taken(generator):
    class Backwards(BandLoss):
        def forward(self, prediction, target):
            return -super().forward(prediction, target)

    task, batch = hiss(), {"audio": 0.1 * torch.randn(1, 8000, generator=generator)}
    task.loss = Backwards(RATE)
    controls, gain = refined_controls(task, batch, steps=3)
    assert gain.after == gain.before
    assert torch.equal(controls["noise"]["level_db"], torch.full((1, 8, 16), -30.0))


def test_modes_are_faded_over_and_levels_drawn_between():
    own = {"freq_rad": torch.full((1, 2, 3), 0.1), "amp": torch.ones(1, 2, 3)}
    other = {"freq_rad": torch.full((1, 2, 2), 0.2), "amp": torch.ones(1, 2, 2)}
    both = between(own, other, 0.25)
    assert both["amp"][0, 0].tolist() == [0.75, 0.75, 0.75, 0.25, 0.25]
    assert both["freq_rad"].shape == (1, 2, 5)
    pitch = between({"f0_hz": torch.full((1, 1, 1), 100.0)}, {"f0_hz": torch.full((1, 1, 1), 400.0)}, 0.5)
    assert pitch["f0_hz"].item() == pytest.approx(200)
