import csv
import json

import pytest
import soundfile
import torch

from drumblender.cli import run
from drumblender.dsp.units import Range
from drumblender.features.pitch import guess_f0
from drumblender.losses.spectral import MultiResolutionSTFTLoss
from drumblender.matching.command import command
from drumblender.matching.genetic import GeneticSettings
from drumblender.matching.match import match
from drumblender.matching.space import SearchSpace
from drumblender.synths.harmonic import HarmonicSynth
from drumblender.synths.mix import MixSynth
from drumblender.synths.modal import DampedModalSynth
from drumblender.synths.noise import NoiseSynth
from drumblender.synths.snare808 import Snare808
from drumblender.synths.string import StringSynth

RATE = 8000
SMALL = MultiResolutionSTFTLoss([256, 512], [64, 128], [256, 512])


def modes(count=2):
    return DampedModalSynth(count, RATE, Range(100, 2000, log=True), Range(0.05, 0.5, log=True))


def struck(synth, *values):
    controls = {
        name: torch.tensor(value).reshape(1, 1, -1)
        for name, value in zip(synth.control_sizes, values, strict=True)
    }
    return controls, synth(controls, 2000)[0]


@pytest.mark.parametrize("method", ["gradient", "genetic", "hybrid", "newton"])
def test_a_search_finds_the_sound_of_its_own_synth(method):
    synth = modes(1)
    truth, target = struck(synth, [0.4], [0.6], [0.7])
    renders = 800 if method == "hybrid" else 400  # half of them only find where the gradient begins
    found = match(
        target,
        synth,
        SMALL,
        method,
        renders=renders,
        restarts=8,
        patience=400,
        analyse=False,
        match_level=False,
    )
    start = found.history[0].loss
    assert found.loss < 0.2 * start
    assert found.loss == pytest.approx(min(row.best for row in found.history))
    tolerance = 0.1 if method == "genetic" else 0.02
    for name, value in truth.items():
        assert found.controls[name].item() == pytest.approx(value.item(), abs=tolerance), name
    assert found.units["freq_hz"].item() == pytest.approx(
        synth.to_units(truth)["freq_hz"].item(), rel=0.3 if method == "genetic" else 0.05
    )


def test_what_is_reported_is_what_was_heard():
    synth = MixSynth({"modal": modes(), "noise": NoiseSynth(5, 64, seed=0)})
    target = torch.randn(1000, generator=torch.Generator().manual_seed(1)) * torch.linspace(1, 0, 1000)
    found = match(target, synth, SMALL, "hybrid", renders=100, frames=4)
    with torch.no_grad():
        again = synth(found.controls, len(target))
    assert torch.allclose(again[0], found.audio, atol=1e-5)
    assert SMALL(again, target[None]).item() == pytest.approx(found.loss, rel=1e-4)
    assert found.units.keys() == synth.to_units(found.controls).keys()


def test_every_method_has_the_same_budget():
    synth = modes()
    _, target = struck(synth, [0.3, 0.6], [0.5, 0.5], [0.5, 0.5])
    for method in ("gradient", "genetic", "hybrid"):
        found = match(target, synth, SMALL, method, renders=120, restarts=4, patience=1000)
        assert 100 < found.renders <= 120, method
        assert found.history[-1].renders == found.renders


@pytest.mark.parametrize("method", ["gradient", "hybrid"])
def test_a_seed_repeats_a_search_and_another_does_not(method):
    synth = MixSynth(
        {"modal": modes(), "noise": NoiseSynth(5, 64)}
    )  # its noise comes from the global generator
    target = torch.sin(torch.arange(1000) * 0.3)
    settings = {"renders": 80, "frames": 2}
    first, again, other = (match(target, synth, SMALL, method, seed=seed, **settings) for seed in (1, 1, 2))
    assert torch.equal(first.audio, again.audio)
    assert [row.loss for row in first.history] == [row.loss for row in again.history]
    assert not torch.equal(first.audio, other.audio)


def test_a_search_goes_on_from_controls():
    synth = modes()
    _, target = struck(synth, [0.3, 0.6], [0.5, 0.5], [0.5, 0.5])
    first = match(target, synth, SMALL, "gradient", renders=80, match_level=False)
    for method in ("gradient", "genetic"):
        second = match(target, synth, SMALL, method, renders=40, init=first.controls)
        assert second.history[0].best <= first.loss * 1.001


def test_the_pitch_of_a_tone_is_tracked_and_refined():
    synth = HarmonicSynth(4, RATE, level_db=Range(-60, 0))
    levels = torch.tensor([0.9, 0.8, 0.6, 0.7]).expand(1, 3, 4)
    target = synth({"f0_hz": torch.full((1, 1, 1), 221.0), "level": levels}, 4000)[0]
    assert guess_f0(target, RATE).item() == pytest.approx(221, rel=0.01)
    found = match(target, synth, SMALL, "gradient", renders=200, restarts=2, frames=3)
    assert found.units["f0_hz"].item() == pytest.approx(221, rel=0.002)
    assert torch.allclose(found.units["level_db"], synth.level_db.denormalize(levels), atol=6)


def test_a_gliding_pitch_gets_frames():
    synth = HarmonicSynth(3, RATE, level_db=Range(-60, 0))
    glide = torch.tensor([200.0, 400.0]).reshape(1, 2, 1)
    target = synth({"f0_hz": glide, "level": torch.full((1, 1, 3), 0.8)}, 8000)[0]
    guess = guess_f0(target, RATE, 5).flatten()
    assert torch.allclose(guess[1:4], torch.tensor([250.0, 300.0, 350.0]), rtol=0.03)


def test_a_string_hears_its_target():
    string = StringSynth(sample_rate=RATE, internal_rate=RATE, loop_frames=2, excitation_frames=2)
    time = torch.arange(3000) / RATE
    target = sum(torch.sin(2 * torch.pi * 200 * k * time) / k for k in range(1, 8)) * torch.exp(-5 * time)
    fixed = {"f0_hz": torch.full((1, 1, 1), 200.0)}
    with pytest.raises(ValueError, match="--source target"):
        match(target, string, SMALL, fixed=fixed)
    found = match(target, string, SMALL, "gradient", renders=40, fixed=fixed, source=target)
    assert found.loss < found.history[0].loss


@pytest.mark.parametrize(
    "target, settings, message",
    [
        (torch.zeros(1000), {}, "silent"),
        (torch.full((1000,), torch.nan), {}, "finite"),
        (torch.zeros(0), {}, "The target is samples in a row, got shape"),
        (torch.ones(1000), {"method": "luck"}, "'luck'"),
        (torch.ones(1000), {"renders": 3, "restarts": 4}, "4 renders"),
        (torch.ones(1000), {"renders": 39, "method": "hybrid"}, "40 renders"),
        (torch.ones(1000), {"restarts": 0}, "restarts=0"),
        (torch.ones(1000), {"lr": 0.0}, "lr=0"),
        (torch.ones(1000), {"init": {"freq": torch.ones(1, 1, 2)}}, "t60"),
    ],
)
def test_what_cannot_be_matched_is_refused(target, settings, message, unchecked):
    with pytest.raises(ValueError, match=message):
        match(target, modes(), SMALL, **settings)


@pytest.fixture
def note(tmp_path):
    """A stereo recording at another rate than the synth's, with silence in front."""
    time = torch.arange(11025) / 22050
    tone = torch.sin(2 * torch.pi * 330 * time) * torch.exp(-6 * time)
    path = tmp_path / "note.flac"
    sound = torch.cat([torch.zeros(2048), 0.5 * tone])
    soundfile.write(path, torch.stack([sound, sound], dim=1).numpy(), 22050)
    return path


LOSS = ["--loss.fft_sizes=[256]", "--loss.hop_sizes=[64]", "--loss.win_lengths=[256]"]
MODES = """
class_path: drumblender.synths.DampedModalSynth
init_args:
  {num_modes: 2, sample_rate: 8000, freq_hz: {low: 100, high: 2000, log: true}, t60_s: {low: 0.05, high: 1}}
"""


@pytest.fixture
def synth_yaml(tmp_path):
    path = tmp_path / "modes.yaml"
    path.write_text(MODES)
    return path


@pytest.mark.parametrize("option", ["--start", "--init"])
def test_the_command_writes_what_it_found(note, synth_yaml, tmp_path, capsys, option):
    out = tmp_path / "out"
    base = [str(note), "--synth", str(synth_yaml), "--synth.num_modes", "3", *LOSS, "--output"]
    assert command([*base, str(out), "--renders", "120", "--method", "gradient"]) == 0
    said = capsys.readouterr().out
    assert said.startswith("note.flac: loss ") and said.count("\n") == 1 and " renders in " in said
    for name in ("match.png", "loss.png"):
        assert (out / name).read_bytes().startswith(b"\x89PNG")
    heard, rate = soundfile.read(out / "match.wav")
    target, _ = soundfile.read(out / "target.wav")
    assert rate == 8000 and heard.shape == target.shape
    assert abs(target[:256]).max() > 0.1  # the silence in front is cut, by blocks
    rows = list(csv.DictReader((out / "loss.csv").open()))
    assert list(rows[0]) == ["renders", "seconds", "loss", "best"]
    assert 1 < int(rows[-1]["renders"]) <= 120
    assert float(rows[-1]["best"]) <= float(rows[0]["best"])
    written = json.loads((out / "controls.json").read_text())
    assert len(written["preset"]["freq_hz"]) == 3
    assert all(100 <= freq <= 2000 for freq in written["preset"]["freq_hz"])
    assert set(written["baselines"]) == {"silence", "coloured noise", "band noise"}
    for name in ("a_target.wav", "b_match.wav"):
        assert (out / name).exists()
    more = tmp_path / "more"
    assert (
        command(
            [*base, str(more), "--renders", "8", option, str(out / "controls.json")]
            + ["--method", "gradient"]
        )
        == 0
    )
    first = float(next(csv.DictReader((more / "loss.csv").open()))["best"])
    assert first == pytest.approx(written["best_loss"], rel=1e-3)


def test_the_rate_can_be_set_for_all_parts(note, synth_yaml, tmp_path):
    args = [str(note), "--synth", str(synth_yaml), *LOSS, "--loss.perceptual_weighting=true"]
    args += [
        "--sample-rate",
        "4000",
        "--seconds",
        "0.25",
        "--renders",
        "40",
        "--output",
        str(tmp_path / "out"),
    ]
    assert command(args) == 0
    heard, rate = soundfile.read(tmp_path / "out" / "match.wav")
    assert rate == 4000 and len(heard) == 1000


def test_controls_can_be_fixed_and_given_ranges(note, tmp_path):
    synth = ["--synth", "drumblender.synths.HarmonicSynth", "--synth.num_harmonics", "2"]
    synth += ["--synth.sample_rate", "8000"]
    args = [str(note), *synth, *LOSS, "--renders", "40", "--output", str(tmp_path / "out")]
    assert command([*args, "--range", "f0_hz=300:360:log", "--fix", "amp=0.5,0", "--frames", "f0_hz=2"]) == 0
    units = json.loads((tmp_path / "out" / "controls.json").read_text())["preset"]
    assert units["amp"] == [0.5, 0]
    assert len(units["f0_hz"]) == 2 and all(300 <= f0[0] <= 360 for f0 in units["f0_hz"])


@pytest.mark.parametrize("name", ["freq", "freq_hz"])
def test_a_range_is_in_the_unit_of_the_control_and_what_is_found_is_a_preset(
    note, synth_yaml, tmp_path, name
):
    args = [
        str(note),
        "--synth",
        str(synth_yaml),
        *LOSS,
        "--renders",
        "20",
        "--output",
        str(tmp_path / "out"),
    ]
    assert command([*args, "--range", f"{name}=300:400:log"]) == 0
    found = json.loads((tmp_path / "out" / "controls.json").read_text())["preset"]
    assert 300 <= torch.tensor(found["freq_hz"]).min() <= torch.tensor(found["freq_hz"]).max() <= 400
    assert run(["render", str(tmp_path / "out" / "controls.json"), str(tmp_path / "again.wav")]) == 0


@pytest.mark.parametrize(
    "extra, message",
    [
        (["--synth", "nope"], "--synth nope is no file, no class, and none of .*modal_noise"),
        (["--loss=nope"], "--loss nope is no file, no class, and none of .*mrstft"),
        (["--fix", "330"], "NAME=VALUE"),
        (["--frames", "level=many"], "--frames level=many"),
        (["--range", "freq=1:2:linear"], "LOW:HIGH:log"),
        (["--range", "freq=50:500"], "freq_hz is to be looked for from 50 to 500; it goes from 100 to 2000"),
        (["--range", "freq=200:300", "--range", "freq=300:400"], "--range names freq twice"),
        (["--fix", "freq_hz=300,decay=1"], "give --fix again for each"),
        (["--seconds", "0"], "--seconds"),
        (["--start", "nowhere.json"], "nowhere.json"),
        (["--fix", "freq_hz=5"], "--fix: freq is 5, 5; it goes from 100 to 2000"),
        (["--fix", "pitch=5"], "--fix names pitch"),
        (["--sample-rate", "5"], "between 1000"),
    ],
)
def test_wrong_options_are_named(note, synth_yaml, tmp_path, extra, message):
    args = [str(note), "--synth", str(synth_yaml), "--output", str(tmp_path / "out"), *extra]
    with pytest.raises((ValueError, FileNotFoundError), match=message):
        command(args)
    assert not (tmp_path / "out").exists()


def test_a_region_with_and_without_unit_is_one_too_many():
    with pytest.raises(ValueError, match="named twice, with and without its unit: freq, freq_hz"):
        SearchSpace(modes(), regions={"freq": Range(200, 300), "freq_hz": Range(300, 400)})


def test_what_wins_without_a_search_is_named(note, tmp_path, capsys):
    hats = tmp_path / "hat.wav"
    sound = torch.randn(4000, generator=torch.Generator().manual_seed(0)) * torch.linspace(1, 0, 4000)
    soundfile.write(hats, 0.2 * sound, 8000)
    synth = ["--synth", "drumblender.synths.HarmonicSynth", "--synth.num_harmonics", "2"]
    synth += ["--synth.sample_rate", "8000", "--fix", "f0_hz=200"]
    assert command([str(hats), *synth, *LOSS, "--renders", "10", "--output", str(tmp_path / "out")]) == 0
    said = capsys.readouterr().out
    assert "does NOT beat" in said and "coloured noise" in said.rpartition("NOT beat")[2]


def test_auto_leaves_out_what_lacks_a_named_control(note, tmp_path, caplog):
    args = [str(note), "--synth", "auto", *LOSS, "--renders", "30", "--output", str(tmp_path / "out")]
    with caplog.at_level("INFO"):
        assert command([*args, "--fix", "modal_freq_hz=440"]) == 0
    assert "is left out: it has no modal_freq_hz" in caplog.text
    with pytest.raises(ValueError, match="None of .* has all of nothing"):
        command([*args, "--fix", "nothing=1"])
    with pytest.raises(ValueError, match="--start x.json is for one synth"):
        command([*args, "--start", "x.json"])


def test_a_silent_recording_is_refused(tmp_path, synth_yaml):
    soundfile.write(tmp_path / "silence.wav", torch.zeros(8000).numpy(), 8000)
    args = [str(tmp_path / "silence.wav"), "--synth", str(synth_yaml), "--output", str(tmp_path / "out")]
    with pytest.raises(ValueError, match="silence.wav: is silent"):
        command(args)


def test_a_search_needs_a_synth(note, tmp_path):
    with pytest.raises(ValueError, match="--synth"):
        command([str(note), "--output", str(tmp_path / "out")])


def test_interrupted_it_keeps_the_best_until_then():
    synth = modes()

    class Impatient(MultiResolutionSTFTLoss):
        calls = 0

        def forward(self, prediction, target):
            self.calls += 1
            if self.calls == 51:
                raise KeyboardInterrupt
            return super().forward(prediction, target)

    _, target = struck(synth, [0.3, 0.6], [0.5, 0.5], [0.5, 0.5])
    found = match(target, synth, Impatient([256], [64], [256]), "gradient", renders=400)
    assert found.interrupted and found.renders == 50
    assert found.audio.shape == target.shape


def test_a_population_may_be_any_size():
    synth = modes()
    _, target = struck(synth, [0.3, 0.6], [0.5, 0.5], [0.5, 0.5])
    found = match(target, synth, SMALL, "genetic", renders=30, genetic=GeneticSettings(6, 3))
    assert found.history[0].renders == 6


def test_controls_with_parts_in_their_names_are_found():
    synth = Snare808(RATE, noise_samples=2000)
    knobs = torch.full((1, synth.num_params), 0.5)
    target = synth.play(knobs, 2000)[0]
    for method in ("gradient", "genetic"):
        found = match(target, synth, SMALL, method, renders=24, match_level=False)
        assert set(found.controls) == set(synth.control_sizes)
        assert found.loss <= found.history[0].best
