"""The three drum machines: published sound, gradients, presets, and what they refuse."""

import json
from pathlib import Path

import pytest
import torch
from golden_case import ENTRIES
from golden_parts import check_features, published_features

from drumblender.controllers import FreeControls, LinearHead
from drumblender.synths import FMDrumSynth, SimpleDrumSynth, Snare808
from drumblender.synths.preset import load_controls, load_preset, save_preset

RATE = 44100
SYNTHS = {"Snare808": Snare808, "SimpleDrumSynth": SimpleDrumSynth, "FMDrumSynth": FMDrumSynth}

# name: largest absolute error of the audio, and of the gradient relative to its largest entry
NAMES = [name for name in ENTRIES["remap"] if name.startswith("synth_")]


@pytest.mark.parametrize("name", NAMES)
def test_sound_and_gradients_are_the_published_ones(golden, name):
    numbers = golden("remap", name)
    init = numbers.config["init"]
    synth = SYNTHS[numbers.config["callable"].rsplit(".", 1)[-1]](init["sample_rate"], init["buffer_size"])
    synth.load_state_dict({"noise": numbers["in_noise"]})
    params = numbers["in_params"].requires_grad_()
    audio = synth.play(params, numbers.config["call"].get("num_samples", init["num_samples"]))
    every, key = (8, "out_audio_every8") if "out_audio_every8" in numbers else (1, "out_audio")
    numbers.check(key, audio[:, ::every])
    (audio * numbers["in_w"]).sum().backward()
    numbers.check("grad_params", params.grad)


@pytest.mark.parametrize("name", ["snare_1", "snare_2", "snare_3", "open_snare", "noisy_snare", "tom_1"])
def test_presets_hold_the_published_sounds(golden, name):
    numbers = golden("remap", "presets_reference")
    init = numbers.config["init"]
    synth = Snare808(init["sample_rate"], init["buffer_size"])
    synth.load_state_dict({"noise": numbers["in_noise"]})
    preset = load_preset(f"cfg/presets/808_{name}.json", synth)
    numbers.check(f"out_preset_808_{name}", preset.values)
    numbers.check(f"out_damping_808_{name}", preset.damping)
    audio = synth.play(preset.values, init["num_samples"])
    numbers.check(f"out_audio_head_808_{name}", audio[:, :512])
    check_features(numbers, f"out_reference_808_{name}", published_features()(audio))


@pytest.mark.parametrize("kind", SYNTHS.values())
def test_free_controls_and_heads_play_it(kind, generator):
    synth = kind(8000, noise_samples=100)
    free = FreeControls(bounded=False, generator=generator).hold(synth.control_sizes, synth.control_frames)
    audio = synth(free.values(2), 100)
    audio.square().sum().backward()
    assert audio.shape == (2, 100)
    assert all(value.grad is not None and value.grad.isfinite().all() for value in free.parameters())
    head = LinearHead()
    head.build(5, synth.control_sizes, synth.control_frames)
    assert synth(head(torch.randn(3, 7, 5, generator=generator)), 100).shape == (3, 100)
    copy = FreeControls(bounded=False).hold(synth.control_sizes, synth.control_frames)
    copy.load_state_dict(free.state_dict())
    assert torch.equal(synth(copy.values(2), 100), audio)


@pytest.mark.parametrize("kind", SYNTHS.values())
def test_gradients_match_finite_differences(kind, generator):
    synth = kind(8000, noise_samples=60)
    params = torch.rand(2, synth.num_params, generator=generator, dtype=torch.float64) * 0.8 + 0.1
    torch.autograd.gradcheck(lambda p: synth.play(p, 60), params.requires_grad_())


def test_a_hit_longer_than_its_noise_says_how_to_have_it():
    synth = Snare808(RATE, noise_samples=RATE // 2)
    params = torch.full((1, synth.num_params), 0.5)
    with pytest.raises(ValueError, match=r"--seconds 0\.5.*noise_samples to 44100 in the synth's YAML"):
        synth.play(params, RATE)


def test_a_hit_with_its_own_noise_is_repeatable():
    synth = Snare808(RATE, noise_samples=1000)
    params = torch.full((2, 14), 0.5)
    assert torch.equal(synth.play(params, 900), synth.play(params, 900))
    drawn = Snare808(RATE)
    torch.manual_seed(0)
    first = drawn.play(params, 900)
    assert not torch.equal(first, drawn.play(params, 900))
    torch.manual_seed(0)
    assert torch.equal(first, drawn.play(params, 900))


def test_order_of_controls_means_nothing():
    synth = Snare808(RATE, noise_samples=500)
    controls = load_controls("cfg/presets/808_snare_1.json", synth)
    assert torch.equal(synth(controls, 500), synth(dict(reversed(controls.items())), 500))


def test_units_are_those_of_the_preset(tmp_path):
    synth = Snare808(RATE)
    controls = load_controls("cfg/presets/808_snare_3.json", synth)
    units = synth.to_units(controls)
    assert units["osc1.freq_hz"].item() == pytest.approx(173, rel=1e-5)
    assert units["osc2_env.decay_ms"].item() == pytest.approx(91.15, rel=1e-5)
    assert units["noise_gain.gain_db"].item() == pytest.approx(-44, rel=1e-5)
    save_preset(tmp_path / "again.json", synth, controls, damping={"osc1.freq": 0.5})
    again = load_preset(tmp_path / "again.json", synth)
    assert torch.allclose(again.values, load_preset("cfg/presets/808_snare_3.json", synth).values, atol=1e-6)
    assert again.damping[0, :2].tolist() == [0.5, 1.0]


def test_decays_fall_by_sixty_decibels_in_their_time():
    synth = SimpleDrumSynth(RATE, noise_samples=RATE)
    controls = {name: torch.full((1, 1, 1), 0.5) for name in synth.ranges}
    quiet = {
        "noise_gain.gain": 0.0,
        "tanh.in_gain": 0.0,
        "osc.mod": 1 / 3,
        "osc.freq": (441 - 20) / 1980,
        "noise_env.decay": 0.0,
    }
    controls |= {name: torch.full((1, 1, 1), value) for name, value in quiet.items()}
    controls["amp_env.decay"] = torch.full((1, 1, 1), (500 - 10) / 1990)
    audio = synth(controls, RATE)[0].abs()
    peak = audio[44:144].max()  # one period after the attack
    late = audio[44 + RATE // 2 :][:100].max()
    assert 20 * torch.log10(late / peak) == pytest.approx(-60, abs=1.5)  # the published rate is approximate


def test_noise_shorter_than_the_sound_is_refused():
    with pytest.raises(ValueError, match="noise_samples"):
        Snare808(RATE, noise_samples=100).play(torch.full((1, 14), 0.5), 101)


def test_a_missing_control_is_named():
    synth = Snare808(RATE)
    controls = load_controls("cfg/presets/808_snare_1.json", synth)
    del controls["osc2.mod"]
    with pytest.raises(ValueError, match="osc2.mod"):
        synth(controls, 100)


@pytest.mark.parametrize(
    "change, message",
    [
        ({"osc1.freq": None}, "lacks osc1.freq"),
        ({"osc3.freq": 100}, "names osc3.freq"),
        ({"osc1.freq": 5000}, r"osc1.freq is 5000; it goes from 20 to 2000"),
        ({"osc1.freq": float("nan")}, r"osc1.freq is nan"),
        ({"osc1.freq": "loud"}, r"osc1.freq needs a number, got loud"),
    ],
)
def test_a_preset_that_does_not_fit_is_refused_by_name(tmp_path, change, message):
    synth = Snare808(RATE)
    path = tmp_path / "odd.json"
    save_preset(path, synth, load_controls("cfg/presets/808_snare_1.json", synth))
    values = json.loads(path.read_text())["preset"] | change
    path.write_text(
        json.dumps({"preset": {name: value for name, value in values.items() if value is not None}})
    )
    with pytest.raises(ValueError, match=f"odd.json.*{message}"):
        load_preset(path, synth)


def test_a_file_that_is_no_preset_is_refused(tmp_path):
    (tmp_path / "list.json").write_text("[1, 2]")
    with pytest.raises(ValueError, match="list.json is no preset"):
        load_preset(tmp_path / "list.json", Snare808(RATE))
    with pytest.raises(FileNotFoundError, match="nowhere.json"):
        load_preset(tmp_path / "nowhere.json", Snare808(RATE))


def test_knobs_in_real_units_play_the_preset():
    synth = Snare808(44100)
    path = "cfg/presets/808_snare_1.json"
    values = json.loads(Path(path).read_text())["preset"]
    controls = synth.from_units(values)
    assert all(torch.allclose(controls[name], value) for name, value in load_controls(path, synth).items())
    higher = synth.from_units(values | {"osc1.freq": torch.tensor([180.0, 360.0])})
    assert synth(higher, 500).shape == (2, 500)
    with pytest.raises(ValueError, match="osc3.freq: Snare808 has osc1.freq"):
        synth.from_units(values | {"osc3.freq": 1.0})
    with pytest.raises(ValueError, match="osc1.mod"):
        synth.from_units({name: value for name, value in values.items() if name != "osc1.mod"})
