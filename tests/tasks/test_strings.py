import pytest
import torch
from made_up import StringBatches

from drumblender.controllers import AnalysedControls, Controller, HeardControls
from drumblender.dsp.units import Range
from drumblender.encoders import BandEncoder, MFCCEncoder, NoteEncoder
from drumblender.features import MissingGains
from drumblender.losses import ControlLoss, MultiResolutionSTFTLoss
from drumblender.synths import BandEqualiser, NoiseSynth, StringSynth
from drumblender.tasks import StringTask, Voice, Voices
from drumblender.tasks.measures import measured


def task(mode="audio", excitation="resynthesis", **settings):
    encoder = NoteEncoder(8, MFCCEncoder(rnn_channels=6, z_dims=4))
    synth = StringSynth(internal_rate=16000, excitation=excitation, onset_s=(0.0, 0.3))
    loss = MultiResolutionSTFTLoss() if mode == "audio" else ControlLoss()
    return StringTask(HeardControls(encoder), synth, loss, mode=mode, **settings)


@pytest.fixture
def batch():
    return next(iter(StringBatches().train_dataloader()))


def quiet(string_task, monkeypatch):
    monkeypatch.setattr(string_task, "log", lambda *args, **kwargs: None)
    return string_task


@pytest.mark.parametrize("excitation", ["resynthesis", "burst"])
def test_a_step_on_audio_trains_every_weight(excitation, batch, monkeypatch):
    torch.manual_seed(0)
    strings = quiet(task(excitation=excitation), monkeypatch)
    step = strings.training_step(batch, 0)
    step["loss"].backward()
    assert step["prediction"].shape == step["target"].shape == batch["audio"].shape
    for name, parameter in strings.named_parameters():
        assert parameter.grad is not None, name
        silent = excitation == "resynthesis" and "excitation" in name  # the filter pair cancels
        assert (parameter.grad.abs().max() == 0) == silent, name


def test_a_step_on_parameters_trains_without_making_a_sound(batch, monkeypatch):
    strings = quiet(task("parameters"), monkeypatch)
    monkeypatch.setattr(strings.voices["string"].synth, "forward", lambda *args: pytest.fail("rendered"))
    step = strings.training_step(batch, 0)
    step["loss"].backward()
    assert set(step) == {"loss"}
    assert strings.voices["string"].controls.head.layers["excitation_taps"].weight.grad.abs().max() > 0


def test_validation_on_parameters_can_be_heard(batch, monkeypatch):
    step = quiet(task("parameters"), monkeypatch).validation_step(batch, 0)
    assert step["prediction"].shape == batch["audio"].shape


def test_parameters_need_strings_that_are_known(batch, monkeypatch):
    del batch["loop_coefficients"]
    with pytest.raises(ValueError, match="loop_coefficients.*SyntheticStringsDataModule"):
        quiet(task("parameters"), monkeypatch).training_step(batch, 0)


def test_what_learned_from_known_strings_is_tested_on_recordings_by_their_sound(batch, monkeypatch):
    for name in ("loop_coefficients", "excitation_coefficients"):
        del batch[name]
    step = quiet(task("parameters"), monkeypatch).test_step(batch, 0)
    assert step["prediction"].shape == batch["audio"].shape and "loss" not in step


def test_two_sample_rates_are_refused():
    with pytest.raises(ValueError, match="renders at 16000 Hz"):
        task(sample_rate=48000)


def test_half_precision_leaves_the_loop_its_gain(batch):
    """bfloat16 has no number between 0.996 and 1, where the gains of strings lie."""
    strings = task()
    with torch.no_grad(), torch.autocast("cpu", torch.bfloat16):
        strings.voices["string"].controls.head.layers["loop_gain"].bias.fill_(6.0)
        controls = strings.voices["string"].controls(batch)
        audio = strings(batch)
    assert controls["loop_gain"].dtype == torch.float32
    assert ((controls["loop_gain"] > 0.996) & (controls["loop_gain"] < 0.999)).any()
    assert audio.dtype == torch.float32 and audio.isfinite().all()


def with_body(excitation="resynthesis"):
    bands = {"sample_rate": 16000, "num_bands": 12, "n_fft": 512, "hop_length": 128}
    gains = AnalysedControls(MissingGains(**bands), BandEncoder(24), {"gain_db": Range(-12, 12)})
    body = Voice(BandEqualiser(**bands), gains, combine="replace")
    return task(excitation=excitation, voices={"body": body})


@pytest.mark.parametrize("excitation", ["resynthesis", "burst"])
def test_a_body_brings_the_string_nearer_and_hears_what_the_string_plays(excitation, batch):
    torch.manual_seed(0)
    strings = with_body(excitation)
    with torch.no_grad():
        stems, sound, controls = strings.stems(batch), strings(batch), strings.voice_controls(batch)
        played = strings.render(batch, controls)
    assert torch.equal(stems["body"], sound) and torch.equal(played, sound)
    told = strings.voices["body"].controls(batch | {"mix": stems["string"]})
    assert torch.equal(told["gain_db"], controls["body"]["gain_db"])
    far, near = (measured(stem, batch["audio"], 16000)["bld_db"] for stem in stems.values())
    assert (near < far).all()


def test_a_step_with_a_body_trains_every_weight_of_both(batch, monkeypatch):
    torch.manual_seed(0)
    strings = quiet(with_body("burst"), monkeypatch)
    strings.training_step(batch, 0)["loss"].backward()
    unheard = [name for name, weight in strings.named_parameters() if weight.grad is None]
    assert not unheard
    last = strings.voices["body"].controls.layers["gain_db"]
    assert last.weight.grad.abs().max() > 0


def test_a_body_cannot_be_the_string_nor_come_first():
    body = with_body().voices["body"]
    with pytest.raises(ValueError, match="name others otherwise"):
        task(voices={"string": body})
    with pytest.raises(ValueError, match="cannot be the first"):
        Voices({"body": Voice(NoiseSynth(num_bands=12, win_length=64), Told())}, sample_rate=16000)


class Told(Controller):
    """Plays what it hears before it, whatever that is."""

    hears_mix = True

    def forward(self, batch):
        return {"magnitude": batch["mix"][:, None, :12]}
