import lightning as L
import pytest
import torch
from torch.utils.data import DataLoader

from drumblender.controllers import CorrectedSpectra, HarmonicControls, SpectrumTable, StiffnessTable
from drumblender.encoders import ControlGRU
from drumblender.synths import FilteredNoiseSynth, HarmonicSynth, MixSynth, Room, StretchedSynth
from drumblender.tasks import GuitarTask, Voice

HEARS = ("f0_hz", "loudness_db", "age_s", "peak_db")


def task(controls=None, room=False, **settings):
    torch.manual_seed(0)
    harmonic = HarmonicSynth(12, f0_upsampling="hop", amp_upsampling="hop")
    synth = MixSynth({"harmonic": harmonic, "noise": FilteredNoiseSynth(17)})
    encoder = ControlGRU(8, inputs=HEARS, loudness="db")
    controls = controls or CorrectedSpectra(SpectrumTable(12, 6), encoder)
    voices = {"guitar": Voice(synth, controls)}
    if room:
        voices["room"] = Voice(Room(length_s=0.05), combine="replace")
    made = GuitarTask(voices, torch.nn.L1Loss(), **settings)
    made.log = lambda *args, **kwargs: None
    return made


def phrase(frames=101):
    """A tone of falling level whose harmonics fall by 6 dB from one to the next."""
    level_db = torch.linspace(-20, -50, frames)
    return {
        "audio": 0.1 * torch.sin(torch.arange(160 * (frames - 1)) * 0.0864),
        "f0_hz": torch.full((frames,), 220.0),
        "loudness_db": level_db,
        "periodicity": torch.ones(frames),
        "age_s": 0.01 * torch.arange(frames),
        "peak_db": torch.full((frames,), -20.0),
        "harmonic_db": level_db[:, None] - 6.0 * torch.arange(12),
        "noise_db": level_db[:, None].expand(-1, 6) - 50,
    }


def batch():
    return {name: field[None] for name, field in phrase().items()}


def test_the_table_says_what_was_measured_before_a_step_is_trained():
    made = task()
    made.learn_from([phrase()])
    assert made.player.error_db(batch()) < 2.0  # the total is scaled to the loudness
    assert made.range_f0_hz[50] == 220.0 and made.range_loudness_db[0] < made.range_loudness_db[100]


def test_strings_are_as_stiff_as_was_measured():
    synth = MixSynth({"harmonic": StretchedSynth(12), "noise": FilteredNoiseSynth(17)})
    controls = CorrectedSpectra(SpectrumTable(12, 6), stiffness=StiffnessTable())
    made = GuitarTask({"guitar": Voice(synth, controls)}, torch.nn.L1Loss())
    with pytest.raises(ValueError, match="data.stiff"):
        made.learn_from([phrase()])
    made.learn_from([phrase() | {"stiffness": torch.full((101,), 2e-4)}])
    assert controls.stiffness(torch.tensor([220.0])).item() == pytest.approx(2e-4)
    assert made(batch()).isfinite().all()  # whose own stiffness nobody measured


class Phrases(L.LightningDataModule):
    """One phrase at a pitch of one's choice."""

    def __init__(self, f0_hz):
        super().__init__()
        self.phrase = phrase() | {"f0_hz": torch.full((101,), f0_hz)}

    def training_phrases(self):
        return [self.phrase]

    def train_dataloader(self):
        return DataLoader([self.phrase])


def fitted(made, f0_hz, tmp_path, ckpt_path=None, max_epochs=1):
    made.configure_optimizers = lambda: torch.optim.Adam(made.parameters())
    trainer = L.Trainer(
        default_root_dir=tmp_path,
        max_epochs=max_epochs,
        accelerator="cpu",
        logger=False,
        enable_progress_bar=False,
        enable_model_summary=False,
    )
    trainer.fit(made, datamodule=Phrases(f0_hz), ckpt_path=ckpt_path)
    trainer.save_checkpoint(tmp_path / "made.ckpt")
    return made


def test_a_training_learns_its_own_instrument_and_a_resumed_one_keeps_it(tmp_path, caplog):
    made, fresh = fitted(task(), 110.0, tmp_path), task()
    assert (made.range_f0_hz == 110).all()
    with caplog.at_level("INFO", "drumblender"):
        fitted(resumed := task(), 660.0, tmp_path, tmp_path / "made.ckpt", max_epochs=2)
    assert (resumed.range_f0_hz == 110).all() and "anew" not in caplog.text
    fresh.learn_from(Phrases(660.0).training_phrases())
    with caplog.at_level("INFO", "drumblender"):
        fitted(made, 660.0, tmp_path)  # as with --init-from: the weights of another training
    assert (made.range_f0_hz == 660).all() and "learned anew" in caplog.text
    assert torch.equal(made.player.base.values, fresh.player.base.values)


def test_first_steps_learn_levels_and_later_ones_the_sound():
    made = task(supervised_steps=1)
    made.learn_from([phrase()])
    step = made.training_step(batch(), 0)  # no trainer: step 0
    step["loss"].backward()
    assert step["loss"].item() == pytest.approx(made.player.error_db(batch()).item())
    assert made.player.layer.weight.grad.abs().max() > 0
    made.supervised_steps = 0
    assert made.training_step(batch(), 0)["prediction"].abs().max() > 0


def test_an_untrained_room_is_none_and_warm_up_is_left_out_of_the_loss():
    with_room, dry = task(room=True), task()
    for made in (with_room, dry):
        made.learn_from([phrase()])
    sounds = []
    for made in (with_room, dry):
        torch.manual_seed(0)
        sounds.append(made(batch()))
    assert torch.allclose(*sounds, atol=1e-6)
    late = task(warmup_samples=8000)
    late.learn_from([phrase()])
    torch.manual_seed(0)
    expected = (late(batch()) - batch()["audio"])[:, 8000:].abs().mean()
    torch.manual_seed(0)
    assert late.training_step(batch(), 0)["loss"].item() == pytest.approx(expected.item(), rel=1e-5)


def test_the_sawtooth_beside_it_is_as_loud_as_the_phrase_says():
    saw = task().baselines(batch())["sawtooth"]
    first_db = 20 * torch.log10(saw[:, :1600].square().mean().sqrt())
    assert first_db.item() == pytest.approx(-21.5, abs=0.7)


def test_levels_need_controls_that_were_measured():
    with pytest.raises(ValueError, match="supervised_steps is for CorrectedSpectra"):
        task(HarmonicControls(ControlGRU(8)), supervised_steps=3)


def test_a_step_that_is_no_number_stops_with_the_name_of_what_is_not():
    made = task()
    made.learn_from([phrase()])
    bad = batch()
    bad["loudness_db"][0, 3] = torch.nan
    with pytest.raises(ValueError, match="step 0: loudness_db of the batch is not finite"):
        made.training_step(bad, 0)
    torch.nn.init.constant_(made.player.layer.bias, torch.nan)
    with pytest.raises(ValueError, match="the weights .*layer.bias is not finite"):
        made.training_step(batch(), 0)


def test_validation_tells_how_far_pitch_and_level_are_from_what_was_given():
    made, logged = task(), {}
    made.learn_from([phrase()])
    made.log = lambda name, value, **settings: logged.update({name: float(torch.as_tensor(value).detach())})
    made.validation_step(batch(), 0)
    assert logged["validation/f0_cents"] < 10 and logged["validation/loudness_db"] < 2
    made.validation_step(batch() | {"f0_hz": torch.full((1, 101), 233.08)}, 0)
    assert logged["validation/f0_cents"] < 10  # it plays what it is given
