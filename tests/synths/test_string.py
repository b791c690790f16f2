import copy
import logging
import math

import pytest
import torch
from references import reference

from drumblender.controllers import LinearHead
from drumblender.dsp.units import Range
from drumblender.synths import StringSynth
from drumblender.synths.string_stream import StringStream


def draw(synth, generator, batch=1, f0_hz=220.0):
    """Controls of a string that rings on."""
    controls = {
        name: 0.2 + 0.6 * torch.rand(batch, synth.control_frames.get(name, 1), size, generator=generator)
        for name, size in synth.control_sizes.items()
    }
    controls["f0_hz"] = torch.full((batch, 1, 1), f0_hz)
    controls["loop_gain"] = 0.99 + 0.009 * controls["loop_gain"]
    return {name: value.double() for name, value in controls.items()}


def small(**settings):
    """A string whose seconds are short: quick to render."""
    return StringSynth(**{"sample_rate": 800, "internal_rate": 2050, "min_f0_hz": 60.0} | settings)


@pytest.mark.parametrize("f0_hz", [83.0, 220.0, 659.3, 1318.5])
def test_plays_in_tune_within_a_cent(f0_hz, generator):
    synth = StringSynth(excitation="burst", onset_s=(0.0,))
    audio = synth(draw(synth, generator, f0_hz=f0_hz), 16000)[0]
    beat = audio * torch.exp(-2j * math.pi * f0_hz * torch.arange(16000, dtype=torch.float64) / 16000)
    window = torch.hann_window(8000, dtype=torch.float64)
    turn = ((beat[4000:12000] * window).sum() / (beat[2000:10000] * window).sum()).angle()
    heard_hz = f0_hz + turn.item() / (2 * math.pi * 2000 / 16000)
    assert abs(1200 * math.log2(heard_hz / f0_hz)) < 0.05


def test_the_pitch_follows_its_frames(generator):
    synth = StringSynth(excitation="burst", onset_s=(0.0,))
    controls = draw(synth, generator) | {"f0_hz": torch.tensor([220.0, 220, 440, 440]).reshape(1, 4, 1)}
    end = synth(controls, 16000)[0, -4096:] * torch.hann_window(4096)
    loudest_hz = torch.fft.rfft(end).abs().argmax().item() * 16000 / 4096
    assert loudest_hz % 440 == pytest.approx(0, abs=8) or loudest_hz % 440 == pytest.approx(440, abs=8)


def test_resynthesis_of_its_own_sound_is_that_sound(generator):
    """The inverse loop finds the excitation in the windows again, and there is nothing outside of them."""
    synth = small(internal_rate=800)
    controls = draw(synth, generator, f0_hz=100.0)
    source = torch.randn(1, 3200, generator=generator, dtype=torch.float64)
    played = small(internal_rate=800, excitation="source")(controls, 3200, source)
    again = synth.play(controls, 3200, played)
    assert torch.allclose(again.audio, played, atol=1e-12)
    outside = torch.ones(3200, dtype=torch.bool)
    outside[0:20] = outside[2400:2420] = False
    assert (again.excitation[:, outside] == 0).all() and (again.excitation[:, :20] != 0).any()


def test_the_filter_pair_of_resynthesis_cancels(generator):
    """Filtered by the inverse and then by the filter, the windows are as they were."""
    synth = small()
    controls = draw(synth, generator, f0_hz=100.0)
    poles = controls["excitation_taps"].requires_grad_()
    signals = synth.play(controls, 3200, torch.randn(1, 3200, generator=generator), with_residual=True)
    signals.audio.square().sum().backward()
    assert (poles.grad == 0).all()
    assert signals.residual.abs().sum() > 0


def test_audio_trains_every_control_of_a_burst(generator):
    synth = small(excitation="burst")
    controls = draw(synth, generator, f0_hz=100.0)
    target = synth(draw(synth, generator, f0_hz=100.0), 3200)
    leaves = {name: value.clone().requires_grad_() for name, value in controls.items()}
    (synth(leaves, 3200) - target).square().sum().backward()
    for name, leaf in leaves.items():
        assert leaf.grad.isfinite().all() and leaf.grad.abs().max() > 0, name


@pytest.mark.parametrize("excitation", ["resynthesis", "source", "burst"])
@pytest.mark.parametrize("interpolate", ["logits", "coefficients"])
def test_gradients_match_finite_differences(excitation, interpolate, generator):
    synth = small(excitation=excitation, interpolate=interpolate, onset_s=(0.0, 0.1), loop_frames=3)
    synth.control_frames = dict.fromkeys(synth.control_frames, 3)
    controls = draw(synth, generator, f0_hz=101.3)
    source = torch.randn(1, 160, generator=generator, dtype=torch.float64) if synth.needs_source else None
    names = [name for name in controls if excitation != "resynthesis" or "excitation" not in name]
    held = {name: value for name, value in controls.items() if name not in names}

    def render(*values):
        return synth(held | dict(zip(names, values, strict=True)), 160, source)

    leaves = [controls[name].requires_grad_() for name in names]
    assert torch.autograd.gradcheck(render, leaves, atol=1e-5, rtol=1e-4, nondet_tol=0, fast_mode=True)


@pytest.mark.parametrize("num_samples", [1, 1000, 2417, 64001])
@pytest.mark.parametrize("excitation", ["resynthesis", "burst"])
def test_plays_any_length_and_any_number_of_notes(num_samples, excitation, generator):
    synth = small(excitation=excitation)
    controls = draw(synth, generator, batch=3, f0_hz=100.0)
    source = torch.randn(3, num_samples, generator=generator) if synth.needs_source else None
    audio = synth(controls, num_samples, source)
    assert audio.shape == (3, num_samples) and audio.isfinite().all()


def test_one_set_of_controls_serves_a_batch_of_recordings(generator):
    synth = small()
    controls, source = draw(synth, generator, f0_hz=100.0), torch.randn(2, 800, generator=generator)
    together = synth(controls, 800, source)
    assert torch.equal(together[1:], synth(controls, 800, source[1:]))
    with pytest.raises(ValueError, match="different sizes"):
        synth(draw(synth, generator, batch=3), 800, source)


def test_each_note_may_start_at_its_own_time(generator):
    synth = small(excitation="burst", internal_rate=800, onset_s=(0.0, 1.0))
    controls = draw(synth, generator, batch=2, f0_hz=100.0)
    controls["onset_s"] = torch.tensor([[[0.25, 0.5]], [[0.75, float("nan")]]])
    audio = synth(controls, 1600)
    assert (audio[0, :200] == 0).all() and audio[0, 200:210].abs().max() > 0
    assert (audio[1, :600] == 0).all() and audio[1, 600:610].abs().max() > 0


@pytest.mark.parametrize("onset_s", [0.3, 0.05678])  # the second between two samples, nearer to the later
def test_settings_and_controls_start_a_window_at_one_sample(onset_s):
    synth = small(excitation="burst", internal_rate=41000, onset_s=(onset_s,))
    said = synth.starts({"onset_s": torch.tensor([[[onset_s]]])})
    assert synth.starts({}) == said[0].tolist() == [round(onset_s * 41000)]


def test_a_burst_sounds_alike_wherever_it_stands_in_a_batch(generator):
    synth = small(excitation="burst")
    controls = {name: value.expand(2, -1, -1) for name, value in draw(synth, generator, f0_hz=100.0).items()}
    audio = synth(controls, 800)
    assert torch.equal(audio[0], audio[1])
    assert torch.equal(audio, copy.deepcopy(synth)(controls, 800))
    assert not torch.equal(audio, small(excitation="burst", seed=1)(controls, 800))


def test_a_control_head_can_play_it(generator):
    synth = small(excitation="burst")
    sizes = {name: size for name, size in synth.control_sizes.items() if name != "f0_hz"}
    head = LinearHead()
    head.build(7, sizes, synth.control_frames)
    controls = head(torch.randn(2, 5, 7, generator=generator)) | {"f0_hz": torch.full((2, 1, 1), 100.0)}
    audio = synth(controls, 800)
    assert audio.shape == (2, 800) and audio.dtype == torch.float32
    audio.square().sum().backward()
    assert all(parameter.grad.abs().max() > 0 for parameter in head.parameters())


def test_saturated_controls_stay_finite(generator):
    synth = small(excitation="burst")
    for extreme in (0.0, 1.0):
        controls = {name: torch.full_like(value, extreme) for name, value in draw(synth, generator).items()}
        controls["f0_hz"] = torch.full((1, 1, 1), 100.0)
        assert synth({name: value.float() for name, value in controls.items()}, 8000).isfinite().all()


def test_units_at_the_frames_play_the_same_where_nothing_moves(generator):
    synth = small(excitation="burst")
    controls = {name: value[:, :1] for name, value in draw(synth, generator, f0_hz=100.0).items()}
    units = synth.coefficients(controls)
    assert set(units) == {"f0_hz", "loop_coefficients", "loop_gain", "excitation_coefficients", "burst_db"}
    assert torch.allclose(units["loop_coefficients"].sum(dim=-1), torch.ones(1, 1, dtype=torch.float64))
    played = synth.play_coefficients(units, 800).audio
    assert torch.allclose(played, synth(controls, 800), atol=1e-9)


def test_the_range_of_the_loop_gain_is_kept(generator):
    synth = small(loop_gain=Range(0.9, 0.95))
    controls = draw(synth, generator)
    gain = synth.coefficients(controls)["loop_gain"]
    assert torch.allclose(gain, 0.9 + 0.05 * controls["loop_gain"])


@pytest.mark.parametrize(
    "excitation, internal_rate", [("burst", 2050), ("burst", 800), ("source", 800), ("resynthesis", 800)]
)
@pytest.mark.parametrize("block", [1, 37, 256])
def test_blocks_of_a_stream_equal_one_call(excitation, internal_rate, block, generator):
    synth = small(excitation=excitation, internal_rate=internal_rate, onset_s=(0.0, 0.3))
    controls = draw(synth, generator, batch=2, f0_hz=100.0)
    source = torch.randn(2, 400, generator=generator) if synth.needs_source else None
    whole = synth(controls, 400, source).float()
    stream, parts = StringStream(synth, controls, 400), []
    for first in range(0, 400, block):
        size = min(block, 400 - first)
        parts.append(stream.render(size, None if source is None else source[:, first : first + size]))
    settled = 400 if internal_rate == 800 else 360  # one call ends, a stream goes on
    assert torch.equal(torch.cat(parts, dim=1)[:, :settled], whole[:, :settled])


def test_a_stream_rings_on_under_the_next_pluck(generator):
    synth = small(excitation="burst", internal_rate=800, onset_s=(0.0,))
    soft = draw(synth, generator, f0_hz=100.0) | {"burst": torch.zeros(1, 25, 1)}
    loud = soft | {"burst": torch.ones(1, 25, 1)}
    stream = StringStream(synth, loud, 400)
    stream.render(400)
    stream.pluck(soft, 400)
    assert stream.render(100).abs().max() > 1e-2  # the loud note, still


def test_a_stream_plays_a_pitch_of_a_range(generator):
    synth = small(excitation="burst", internal_rate=800, onset_s=(0.0,), f0_hz=Range(60, 300, log=True))
    controls = draw(synth, generator)
    del controls["f0_hz"]
    whole = synth(controls, 400).float()
    assert torch.equal(StringStream(synth, controls, 400).render(400), whole)


def test_a_refused_pluck_leaves_the_string_as_it_was(generator):
    synth = small(excitation="source", internal_rate=800, onset_s=(0.0,))
    controls = draw(synth, generator, f0_hz=100.0)
    source = torch.randn(1, 400, generator=generator)
    streams = [StringStream(synth, controls, 400) for _ in range(2)]
    with pytest.raises(ValueError, match="lie apart"):
        streams[0].pluck(controls | {"onset_s": torch.tensor([[[0.0, 0.01]]])}, 400)
    first, second = (stream.render(400, source) for stream in streams)
    assert torch.equal(first, second)


def test_a_low_pitch_is_raised_and_said_once(generator, caplog):
    synth = small(excitation="burst")
    controls = draw(synth, generator, f0_hz=30.0)
    with caplog.at_level(logging.WARNING):
        for _ in range(3):
            synth(controls, 800)
    assert len(caplog.records) == 1 and "30.00 Hz" in caplog.text
    assert synth.clamped_frames == 3


def test_unvoiced_frames_hold_their_neighbours(generator):
    nan = float("nan")
    frames = torch.tensor([0.0, 100, nan, 120, 0]).reshape(1, 5, 1)
    held = torch.tensor([100.0, 100, 100, 120, 120]).reshape(1, 5, 1)
    synth = small(excitation="burst", unvoiced="hold")
    controls = draw(synth, generator)
    assert torch.equal(synth(controls | {"f0_hz": frames}, 800), synth(controls | {"f0_hz": held}, 800))
    with pytest.raises(ValueError, match="no frame with a pitch"):
        synth(controls | {"f0_hz": 0 * held}, 800)


@pytest.mark.parametrize("wrong", [0.0, -5.0, float("nan"), float("inf"), 1025.0])
def test_an_impossible_pitch_names_its_frame(wrong, generator):
    synth = small(excitation="burst")
    f0_hz = torch.full((2, 4, 1), 100.0)
    f0_hz[1, 2] = wrong
    with pytest.raises(ValueError, match="item 1 at frame 2"):
        synth(draw(synth, generator, batch=2) | {"f0_hz": f0_hz}, 800)


def test_wrong_calls_say_what_to_do(generator):
    synth = small()
    controls, source = draw(synth, generator), torch.zeros(1, 800)
    with pytest.raises(ValueError, match="'burst' plays without one"):
        synth(controls, 800)
    with pytest.raises(ValueError, match="Control loop_taps .* got nothing"):
        synth({name: value for name, value in controls.items() if name != "loop_taps"}, 800, source)
    with pytest.raises(ValueError, match=r"loop_taps of .* \(batch, frames, 3\), got \(1, 4, 2\)"):
        synth(controls | {"loop_taps": torch.zeros(1, 4, 2)}, 800, source)
    with pytest.raises(ValueError, match="num_samples=0"):
        synth(controls, 0, source)
    units = synth.coefficients(controls)
    with pytest.raises(ValueError, match="never fades"):
        synth.play_coefficients(units | {"loop_gain": torch.ones(1, 1, 1)}, 800, source)


@pytest.mark.parametrize(
    "settings, message",
    [
        ({"excitation_s": 0.0}, "excitation is empty"),
        ({"onset_s": ()}, "excitation is empty"),
        ({"loop_order": 0}, "loop_order"),
        ({"excitation_order": 0}, "excitation_order"),
        ({"min_f0_hz": 2000.0}, "min_f0_hz"),
        ({"loop_gain": Range(0.5, 1.1)}, "grows without end"),
    ],
)
def test_impossible_settings_are_refused(settings, message):
    with pytest.raises(ValueError, match=message):
        small(**settings)


def golden_string(numbers, excitation):
    given, call = numbers.config["init"], numbers.config["call"]
    synth = StringSynth(
        sample_rate=call["input_sr"],
        internal_rate=given["internal_sr"],
        min_f0_hz=given["min_f0_hz"],
        loop_order=given["loop_order"],
        loop_frames=given["loop_n_frames"],
        excitation_order=given["exc_order"],
        excitation_frames=given["exc_n_frames"],
        excitation_s=given["exc_length_s"],
        excitation=excitation,
    )
    raw = ("f0_frames", "loop_coefficients", "loop_gain", "exc_coefficients")
    leaves = {name: numbers[f"in_{name}"].double().requires_grad_() for name in raw}
    return synth, leaves


def squashed(leaves):
    """The raw numbers of the original as controls."""
    return {
        "f0_hz": leaves["f0_frames"][..., None],
        "loop_taps": leaves["loop_coefficients"].sigmoid(),
        "loop_gain": leaves["loop_gain"].sigmoid(),
        "excitation_gain": leaves["exc_coefficients"][..., :1].sigmoid(),
        "excitation_taps": leaves["exc_coefficients"][..., 1:].sigmoid(),
    }


@pytest.mark.parametrize(
    "name, excitation",
    [
        ("synth_direct", "source"),
        ("synth_inverse", "resynthesis"),
        ("synth_unconstrained", "source"),
        ("synth_static", "source"),
    ],
)
def test_golden_strings(name, excitation, golden):
    numbers = golden("strings", name)
    synth, leaves = golden_string(numbers, excitation)
    source = numbers["in_input"].double().requires_grad_()
    if numbers.config["call"].get("constrain_coefficients", True):
        signals = synth.play(squashed(leaves), source.shape[1], source, with_residual=True)
    else:
        units = {
            "f0_hz": leaves["f0_frames"][..., None],
            "loop_coefficients": leaves["loop_coefficients"],
            "loop_gain": leaves["loop_gain"],
            "excitation_coefficients": leaves["exc_coefficients"],
        }
        signals = synth.play_coefficients(units, source.shape[1], source)
    (signals.audio * numbers["in_weight"]).sum().backward()
    numbers.check("out_audio", signals.audio)
    numbers.check("out_excitation", signals.excitation)
    if signals.residual is not None:
        numbers.check("out_inverse_excitation", signals.residual)
    numbers.check("grad_input", source.grad)
    for key, leaf in leaves.items():
        if excitation == "resynthesis" and key == "exc_coefficients":
            assert leaf.grad.abs().max() < numbers.number("unused")
        else:
            numbers.check(f"grad_{key}", leaf.grad)


def test_golden_string_at_the_published_size(golden):
    numbers = golden("strings", "synth_published")
    synth, leaves = golden_string(numbers, "resynthesis")
    source = (numbers["in_input_int16"].double() / 32768).requires_grad_()
    signals = synth.play(squashed(leaves), 64000, source, with_residual=True)
    (signals.audio * numbers["in_weight"]).sum().backward()
    numbers.check("out_audio_decimated8", signals.audio[:, ::8])
    for window, first_s in enumerate((0, 3)):
        first = first_s * numbers.config["init"]["internal_sr"]
        span = slice(first, first + numbers[f"out_excitation_win{window}"].shape[1])
        numbers.check(f"out_excitation_win{window}", signals.excitation[:, span])
        numbers.check(f"out_inverse_excitation_win{window}", signals.residual[:, span])
    numbers.check("grad_input_decimated8", source.grad[:, ::8])
    for key in ("f0_frames", "loop_coefficients", "loop_gain"):
        numbers.check(f"grad_{key}", leaves[key].grad)
    assert leaves["exc_coefficients"].grad.abs().max() < numbers.number("unused")


@pytest.mark.parametrize("excitation", ["source", "burst"])
@pytest.mark.parametrize("kernel", ["plain", "torchlpc"])
def test_who_computes_the_recursions_is_not_heard(kernel, excitation, generator, unchecked):
    if kernel == "torchlpc":
        reference("torchlpc")
    synth = small(excitation=excitation)
    controls = draw(synth, generator, f0_hz=100.0)
    source = torch.randn(1, 200, generator=generator, dtype=torch.float64)
    played = small(excitation=excitation, kernel=kernel)(controls, 200, source)
    assert torch.allclose(played, synth(controls, 200, source), atol=1e-10)
    with pytest.raises(ValueError, match="kernel is one of"):
        small(kernel="fast")
