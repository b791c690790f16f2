import math

import pytest
import torch

from drumblender.dsp.units import Range
from drumblender.synths import DampedModalSynth, ModalSynth

RATE = 16000


@pytest.fixture
def bell():
    return DampedModalSynth(
        num_modes=3, sample_rate=RATE, freq_hz=Range(100, 10000, log=True), t60_s=Range(0.05, 2.0, log=True)
    )


def test_tracks_are_played_frame_by_frame():
    controls = {"freq_rad": torch.full((1, 2, 1), 0.3), "amp": torch.tensor([1.0, 3.0]).reshape(1, 2, 1)}
    audio = ModalSynth(num_modes=1, align="hop")(controls, 200)
    fade = 1 + 2 * torch.arange(200) / 200
    assert torch.allclose(audio[0], fade * torch.sin(0.3 * torch.arange(1, 201)), atol=1e-5)


def test_a_control_of_one_frame_is_held(generator):
    freq = torch.rand(2, 1, 4, generator=generator)
    amp = torch.rand(2, 10, 4, generator=generator)
    phase = torch.rand(2, 1, 4, generator=generator)
    synth = ModalSynth(num_modes=4)
    held = synth({"freq_rad": freq, "amp": amp, "phase_rad": phase}, 300)
    repeated = synth({"freq_rad": freq.expand_as(amp), "amp": amp, "phase_rad": phase.expand_as(amp)}, 300)
    assert torch.equal(held, repeated)


def test_phase_is_a_control_only_when_wanted():
    assert set(ModalSynth(3).control_sizes) == {"freq_rad", "amp", "phase_rad"}
    assert ModalSynth(3, with_phase=False).control_sizes == {"freq_rad": 3, "amp": 3}


@pytest.mark.parametrize("name", ["2params", "3params"])
def test_published_numbers(golden, name):
    case = golden("drums", f"ModalSynth_{name}")
    params = case["in_params"].requires_grad_()
    controls = dict(zip(("freq_rad", "amp", "phase_rad"), params.mT.unbind(1), strict=False))
    synth = ModalSynth(num_modes=params.shape[2], with_phase=params.shape[1] == 3)
    audio = synth(controls, case.config["call"]["num_samples"])
    case.check("out_audio", audio[:, None])
    audio.backward(case["in_ct_audio"].squeeze(1))
    case.check("grad_params", params.grad)


def test_struck_modes_ring_at_their_frequencies_and_fade_in_their_time(bell):
    frequencies, t60_s = torch.tensor([400.0, 1000.0, 3000.0]), 0.5
    controls = {
        "freq": bell.ranges["freq"].normalize(frequencies).reshape(1, 1, 3),
        "t60": bell.ranges["t60"].normalize(torch.tensor(t60_s)).expand(1, 1, 3),
        "amp": torch.tensor([1.0, 0.5, 0.25]).reshape(1, 1, 3),
    }
    audio = bell(controls, RATE)[0]
    spectrum = torch.fft.rfft(audio).abs()
    for frequency in frequencies.int():
        assert spectrum[frequency - 50 : frequency + 51].argmax() == 50
    early, late = audio[:1600].square().mean(), audio[8000:9600].square().mean()
    assert 10 * torch.log10(late / early) == pytest.approx(-60, abs=0.1)


def test_controls_of_struck_modes_come_in_real_units(bell):
    controls = {name: torch.full((1, 1, 3), 0.5) for name in bell.control_sizes}
    units = bell.to_units(controls)
    assert set(units) == {"freq_hz", "t60_s", "amp"}
    assert torch.allclose(units["freq_hz"], torch.tensor(1000.0))
    assert torch.allclose(units["t60_s"], torch.tensor(math.sqrt(0.1)))
    assert bell.control_frames == {"freq": 1, "t60": 1, "amp": 1}


def test_every_control_of_struck_modes_learns(bell, generator):
    controls = {name: torch.rand(2, 1, 3, generator=generator) for name in bell.control_sizes}
    for control in controls.values():
        control.requires_grad_()
    bell(controls, 2000).square().sum().backward()
    assert all((control.grad.abs() > 0).all() for control in controls.values())


def test_struck_modes_stay_in_float32_under_bfloat16_autocast(bell, generator):
    controls = {name: torch.rand(1, 1, 3, generator=generator) for name in bell.control_sizes}
    halves = {name: control.bfloat16() for name, control in controls.items()}
    exact = bell({name: control.float() for name, control in halves.items()}, 4000)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        assert torch.equal(bell(halves, 4000), exact)


def test_struck_modes_do_not_move(bell):
    controls = {name: torch.full((1, 2, 3), 0.5) for name in bell.control_sizes}
    with pytest.raises(ValueError, match=r"\(batch, 1, 3\), got \(1, 2, 3\)"):
        bell(controls, 100)


def test_settings_without_sense_are_refused():
    with pytest.raises(ValueError, match="num_modes=0"):
        ModalSynth(num_modes=0)
    with pytest.raises(ValueError, match="t60_s.low=0"):
        DampedModalSynth(num_modes=1, sample_rate=RATE, freq_hz=Range(20, 2000), t60_s=Range(0, 1))


def test_a_range_spreads_decibels():
    ranges = {"freq_hz": Range(100, 400), "t60_s": Range(0.1, 0.5)}
    leveled = DampedModalSynth(2, 8000, **ranges, level_db=Range(-40, 0))
    plain = DampedModalSynth(2, 8000, **ranges)
    shared = {"freq": torch.tensor([[[0.2, 0.7]]]), "t60": torch.tensor([[[0.5, 0.5]]])}
    sound = leveled({**shared, "level": torch.tensor([[[1.0, 0.5]]])}, 800)
    assert torch.allclose(sound, plain({**shared, "amp": torch.tensor([[[1.0, 0.1]]])}, 800), atol=1e-6)


def test_a_quadrature_amplitude_turns_the_phase(generator):
    freq_rad, phase_rad = torch.full((1, 5, 1), 0.1), torch.full((1, 1, 1), 0.3)
    turned = ModalSynth(1, align="hop")(
        {"freq_rad": freq_rad, "amp": torch.full((1, 5, 1), 2.0), "phase_rad": phase_rad + math.pi / 6}, 400
    )
    amp = {"amp": torch.full((1, 5, 1), 3**0.5), "quadrature": torch.full((1, 5, 1), 1.0)}
    synth = ModalSynth(1, align="hop", quadrature=True)
    both = synth({"freq_rad": freq_rad, "phase_rad": phase_rad, **amp}, 400)
    assert synth.control_sizes["quadrature"] == 1
    assert torch.allclose(both, turned, atol=1e-5)
    bare = ModalSynth(1, with_phase=False, quadrature=True)({"freq_rad": freq_rad, **amp}, 400)
    assert bare[0, 0] == pytest.approx(3**0.5 * math.sin(0.1) + math.cos(0.1), abs=1e-5)
