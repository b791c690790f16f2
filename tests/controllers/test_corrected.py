import pytest
import torch
from made_up import SynthOf

from drumblender.controllers import (
    CorrectedSpectra,
    KernelSpectra,
    SpectrumTable,
    StiffnessTable,
    measured_frames,
)
from drumblender.dsp.units import gain_to_db
from drumblender.encoders import ControlGRU
from drumblender.synths import FilteredNoiseSynth, HarmonicSynth, MixSynth, StretchedSynth

SIZES = {"f0_hz": 1, "amp": 12, "magnitude": 17}
HEARS = ("f0_hz", "loudness_db", "age_s", "peak_db")


def curves(frames=400):
    generator = torch.Generator().manual_seed(0)
    draw = torch.rand(4, frames, generator=generator)
    return {
        "f0_hz": 100 * 4 ** draw[0],
        "loudness_db": -60 + 50 * draw[1],
        "age_s": 2 * draw[2],
        "peak_db": -10 - 10 * draw[3],
    }


def spectra_of(curves):
    """An instrument that is darker the softer it is, and whose noise fades with the age of a note."""
    tilt = 0.02 * curves["loudness_db"][..., None] * torch.arange(12)
    noise = (-30 - 10 * curves["age_s"])[..., None].expand(*tilt.shape[:-1], 6)
    return torch.cat([tilt, noise], dim=-1)


def learned(kind):
    part = SpectrumTable(12, 6) if kind == "table" else KernelSpectra(12, 6, HEARS, num_frames=400)
    known = curves()
    part.learn(known, spectra_of(known), torch.ones(400, 18, dtype=torch.bool))
    return part


def served(kind="table", **settings):
    controller = CorrectedSpectra(learned(kind), **settings)
    controller.serve(SynthOf(**SIZES))
    return controller


def batch(frames=51, loudness_db=-25.0):
    fields = {"f0_hz": 220.0, "loudness_db": loudness_db, "age_s": 0.5, "peak_db": -15.0}
    return {name: torch.full((2, frames), value) for name, value in fields.items()}


@pytest.mark.parametrize("kind", ["table", "kernel"])
def test_learns_how_the_colour_follows_the_loudness(kind):
    loud, soft = (learned(kind)(batch(1, level))[0, 0] for level in (-15.0, -55.0))
    assert (loud - soft)[11].item() == pytest.approx(0.02 * 40 * 11, rel=0.3)
    assert loud[0].item() == pytest.approx(0, abs=1e-3)


def test_the_kernel_tells_an_attack_from_a_decay_and_the_table_cannot():
    early, late = batch(1) | {"age_s": torch.zeros(2, 1)}, batch(1) | {"age_s": torch.full((2, 1), 1.5)}
    kernel, table = learned("kernel"), learned("table")
    assert (kernel(early) - kernel(late))[0, 0, -1] > 5
    assert torch.equal(table(early), table(late))


@pytest.mark.parametrize("kind", ["table", "kernel"])
def test_harmonics_and_noise_are_as_loud_as_asked(kind, generator):
    controls = served(kind)(batch(101))
    harmonic = HarmonicSynth(12, f0_upsampling="hop", amp_upsampling="hop")
    sound = harmonic(controls, 16000) + FilteredNoiseSynth(17)(controls, 16000, generator=generator)
    assert gain_to_db(sound.square().mean().sqrt()).item() == pytest.approx(-25, abs=0.2)


def test_the_correction_starts_at_nothing_and_stays_within_its_bounds():
    encoder = ControlGRU(8, inputs=HEARS, loudness="db")
    plain, corrected = served(), served(encoder=encoder, harmonic_bound_db=6.0)
    for one, other in zip(plain(batch()).values(), corrected(batch()).values(), strict=True):
        assert torch.equal(one, other)
    torch.nn.init.constant_(corrected.layer.bias, 100.0)
    features = encoder(*(batch()[name] for name in HEARS))
    raised = corrected.levels_db(features, batch())[0] - plain.levels_db(None, batch())[0]
    assert raised.max() <= 6.0001


def test_gradients_reach_the_correction():
    controller = served(encoder=ControlGRU(8, inputs=HEARS, loudness="db"))
    controller(batch())["amp"][..., 0].sum().backward()
    assert controller.layer.weight.grad.abs().max() > 0


def test_a_checkpoint_brings_the_table():
    fresh = CorrectedSpectra(SpectrumTable(12, 6))
    fresh.serve(SynthOf(**SIZES))
    with pytest.raises(ValueError, match="empty"):
        fresh(batch())
    fresh.load_state_dict(served().state_dict())
    assert torch.equal(fresh(batch())["amp"], served()(batch())["amp"])


def test_only_frames_that_sound_and_have_a_pitch_are_measured():
    item = {name: value[:40] for name, value in curves().items()}
    item |= {"periodicity": torch.ones(40), "name": "a", "audio": torch.zeros(6400)}
    item |= {"harmonic_db": torch.full((40, 12), -30.0), "noise_db": torch.full((40, 6), -60.0)}
    item["loudness_db"][:10] = -80
    item["periodicity"][10:15] = 0
    item["f0_hz"][:] = 1000.0
    fields, spectra, measured = measured_frames([item, item], 16000)
    assert len(spectra) == 50 and len(fields["f0_hz"]) == 50
    assert measured[0, :7].all() and not measured[0, 7:12].any() and measured[0, 12:].all()
    assert torch.allclose(spectra[0, 0], -30 - fields["loudness_db"][0])
    item["periodicity"][:] = 0
    with pytest.raises(ValueError, match="sure pitch"):
        measured_frames([item], 16000)


def test_refuses_what_does_not_fit():
    with pytest.raises(ValueError, match="12 harmonics"):
        CorrectedSpectra(SpectrumTable(12, 6)).serve(SynthOf(**SIZES | {"amp": 13}))
    with pytest.raises(ValueError, match="velocity"):
        KernelSpectra(hears=("velocity",))


def test_spectra_that_are_loaded_are_those_that_were_learned(generator):
    hears = ("f0_hz", "loudness_db")
    curves = {
        "f0_hz": 100 + 300 * torch.rand(40, generator=generator),
        "loudness_db": -40 * torch.rand(40, generator=generator),
    }
    learned, loaded = (KernelSpectra(2, 1, hears, num_frames=40) for _ in range(2))
    learned.learn(curves, torch.randn(40, 3, generator=generator), torch.ones(40, 3, dtype=torch.bool))
    loaded.load_state_dict(learned.state_dict())
    asked = {name: curve[None, :5] for name, curve in curves.items()}
    distance = (learned._places(asked)[:, :, None] - learned.places).square().sum(dim=-1)
    expected = (-0.5 * distance).softmax(dim=-1) @ learned.spectra
    torch.testing.assert_close(learned(asked), expected, rtol=1e-4, atol=1e-4)
    assert torch.equal(loaded(asked), learned(asked))


def strings(stiffness):
    table = StiffnessTable()
    table.learn(torch.tensor([220.0]), torch.tensor([stiffness]))
    return table


def test_stiff_strings_are_as_loud_as_asked_and_silent_above_nyquist(generator):
    controller = CorrectedSpectra(learned("table"), stiffness=strings(1e-3))
    synth = MixSynth({"tone": StretchedSynth(12), "noise": FilteredNoiseSynth(17)})
    controller.serve(synth)
    controls = controller(batch(101) | {"f0_hz": torch.full((2, 101), 640.0)})
    assert (controls["tone_stiffness"] - 1e-3).abs().max() < 1e-9
    assert controls["tone_amp"][..., :11].all() and not controls["tone_amp"][..., 11].any()  # 8214 Hz
    sound = synth(controls, 16000)
    assert gain_to_db(sound.square().mean().sqrt()).item() == pytest.approx(-25, abs=0.3)


def test_stiffness_is_for_a_synth_that_has_it():
    for stiffness, synth in ((strings(1e-4), SynthOf(**SIZES)), (None, SynthOf(**SIZES, stiffness=1))):
        with pytest.raises(ValueError, match="StiffnessTable"):
            CorrectedSpectra(learned("table"), stiffness=stiffness).serve(synth)


def test_partials_of_a_stiff_string_above_nyquist_are_not_measured():
    phrase = {name: curve[:50] for name, curve in curves().items()} | {"periodicity": torch.ones(50)}
    phrase |= {"f0_hz": torch.full((50,), 640.0), "stiffness": torch.full((50,), 1e-3)}
    phrase |= {"harmonic_db": torch.zeros(50, 12), "noise_db": torch.zeros(50, 6)}
    assert measured_frames([phrase], 16000)[2][0, :12].tolist() == [True] * 11 + [False]


@pytest.mark.parametrize("kind", ["table", "kernel"])
def test_half_precision_does_not_move_what_a_table_says(kind):
    table = learned(kind)
    with torch.autocast("cpu", torch.bfloat16):
        found = table(batch())
    assert torch.allclose(found, table(batch()), atol=1e-3)
