import pytest
import torch

from drumblender.controllers import AnalysedControls
from drumblender.controllers.analysed import within
from drumblender.dsp.units import Range
from drumblender.encoders import BandEncoder
from drumblender.features import Analysed, Analysis
from drumblender.synths import StftNoiseSynth, Synth


class Loudness(Analysis):
    """Level of every frame in all bands."""

    num_features = 4

    def forward(self, batch):
        level_db = 10 * torch.log10(batch["audio"].unflatten(1, (-1, 64)).square().mean(dim=2) + 1e-9)
        return Analysed(
            {"level_db": level_db[..., None].expand(-1, -1, 16)}, level_db[..., None].expand(-1, -1, 4)
        )


class Pluck(Synth):
    """A synth with one held control in (0, 1), one in a unit and one that only a batch brings."""

    def __init__(self):
        super().__init__()
        self.control_sizes = {"gain": 1, "pitch_hz": 1, "taps": 3}
        self.control_frames = {"gain": 1}

    def forward(self, controls, num_samples, source=None):
        return controls["gain"][:, 0].expand(-1, num_samples)


class Decay(Analysis):
    num_features = 4

    def forward(self, batch):
        count = len(batch["audio"])
        found = {"gain": torch.full((count, 1, 1), 0.9), "pitch_hz": torch.full((count, 5, 1), 100.0)}
        return Analysed(found, torch.randn(count, 10, 4))


def noise_controls(**bounds) -> AnalysedControls:
    controls = AnalysedControls(Loudness(), BandEncoder(4, 8), bounds or {"level_db": Range(-30, 12)})
    controls.serve(StftNoiseSynth(16000, num_bands=16, n_fft=256, hop_length=64))
    return controls


def test_an_untrained_model_plays_what_was_measured(generator):
    batch = {"audio": torch.randn(2, 640, generator=generator)}
    assert torch.equal(noise_controls()(batch)["level_db"], Loudness()(batch).controls["level_db"])


def test_training_moves_it_and_never_past_the_bounds(generator):
    batch = {"audio": torch.randn(2, 640, generator=generator)}
    controls, base = noise_controls(), Loudness()(batch).controls["level_db"]
    controls(batch)["level_db"].sum().backward()
    layer = controls.layers["level_db"]
    assert (layer.weight.grad.abs() > 0).any(dim=1).all() and (layer.bias.grad > 0).all()
    for raw, bound in ((1e3, 12.0), (-1e3, -30.0)):
        torch.nn.init.constant_(layer.bias, raw)
        moved = controls(batch)["level_db"] - base
        assert torch.allclose(moved, torch.tensor(bound), atol=1e-4)


def test_a_control_in_0_1_stays_inside_and_a_held_one_has_one_frame():
    bounds = {"gain": Range(-4, 4), "pitch_hz": Range(-10, 10)}
    controls = AnalysedControls(Decay(), BandEncoder(4, 8), bounds)
    controls.serve(Pluck())
    batch = {"audio": torch.zeros(2, 100), "taps": torch.ones(2, 7, 3)}
    found = controls(batch)
    assert found["gain"].shape == (2, 1, 1) and found["gain"].flatten().tolist() == pytest.approx([0.9, 0.9])
    assert found["pitch_hz"].shape == (2, 5, 1) and found["taps"] is batch["taps"]
    with torch.no_grad():
        controls.layers["gain"].bias.fill_(100)
    assert 0.99 < controls(batch)["gain"].max() < 1


def test_what_nothing_brings_is_named():
    controls = AnalysedControls(Decay(), BandEncoder(4, 8), {})
    controls.serve(Pluck())
    with pytest.raises(ValueError, match="Pluck needs 'taps': Decay does not measure it"):
        controls({"audio": torch.zeros(2, 100)})


def test_bounds_hold_zero_and_belong_to_a_control():
    with pytest.raises(ValueError, match="below and above 0"):
        noise_controls(level_db=Range(0, 12))
    with pytest.raises(ValueError, match=r"no control \['gain_db'\], only \['level_db'\]"):
        noise_controls(gain_db=Range(-12, 12))


def test_the_bend_has_one_slope_at_zero():
    near = within(torch.tensor([-1e-3, 1e-3], dtype=torch.float64), -30, 12)
    assert near[0].item() == pytest.approx(-near[1].item(), rel=1e-4)
    raw = torch.tensor([-0.1, 0.1], dtype=torch.float64, requires_grad=True)
    torch.autograd.gradcheck(lambda x: within(x, -30, 12), raw)


def test_a_correction_can_leave_zero_where_it_begins():
    """With clamps it could not under torch 2.14, whose clamp has no gradient at its bounds."""
    raw = torch.zeros(2, requires_grad=True)
    within(raw, -30.0, 12.0).sum().backward()
    assert raw.grad.tolist() == pytest.approx([12.0, 12.0])


def test_without_bounds_nothing_is_learned_and_no_encoder_needed(generator):
    controls = AnalysedControls(Loudness())
    controls.serve(StftNoiseSynth(16000, num_bands=16, n_fft=256, hop_length=64))
    batch = {"audio": torch.randn(2, 640, generator=generator)}
    assert torch.equal(controls(batch)["level_db"], Loudness()(batch).controls["level_db"])
    assert not list(controls.parameters())
    with pytest.raises(ValueError, match="level_db need an encoder"):
        AnalysedControls(Loudness(), bounds={"level_db": Range(-30, 12)})
