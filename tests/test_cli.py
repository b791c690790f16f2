"""The command line as users meet it: a whole run from training to a resynthesised file, and its errors."""

import json
import os
import signal
import subprocess
import sys
import threading
from pathlib import Path

import pytest
import soundfile
import torch

from drumblender.cli import run

TINY = str(Path(__file__).with_name("tiny.yaml"))


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """A folder in which the tiny model was trained for two epochs."""
    folder = tmp_path_factory.mktemp("trained")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        assert run(["fit", "-c", TINY, "--trainer.max_epochs", "2"]) == 0
    return folder


@pytest.fixture
def here(trained, monkeypatch):
    monkeypatch.chdir(trained)
    return trained


HIT = (0.5 * torch.sin(torch.arange(9000) * 0.3) * torch.linspace(1, 0, 9000)).numpy()
CHECKPOINT = "logs/tiny/version_0/checkpoints/best.ckpt"


def complaint(capfd, *args, status=1):
    """The one line that a wrong command ends with."""
    capfd.readouterr()
    assert run(list(args)) == status
    lines = [line for line in capfd.readouterr().err.splitlines() if line.startswith("drumblender: ")]
    assert len(lines) == 1
    return lines[0]


@pytest.mark.parametrize(
    "args, told",
    [
        (["--help"], "quickstart"),
        (["synth", "--help"], "--stems"),
        (["remap", "--help"], "--choke"),
        (["export", "--help"], "--center"),
        (["import", "--help"], "original code bases"),
        (["fit", "--help"], "--resume"),
        (["match", "--help"], "--renders"),
    ],
)
def test_help_costs_no_torch(args, told):
    code = f"""
import sys
from drumblender.cli import run
try:
    run({args})
except SystemExit:
    pass
sys.exit("torch" in sys.modules)
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == 0 and told in done.stdout


def test_what_is_wrong_inside_a_part_is_told_without_its_configuration(tmp_path, capfd):
    preset = json.loads(Path("cfg/presets/808_snare_1.json").read_text())
    preset["preset"]["osc1.freq"] = 99999
    (tmp_path / "far.json").write_text(json.dumps(preset))
    args = ["fit", "-c", "cfg/remap.yaml", "--model.controls.preset", str(tmp_path / "far.json")]
    told = complaint(capfd, *args)
    assert "osc1.freq is 99999; it goes from 20 to 2000" in told and len(told) < 250


def test_a_missing_argument_is_told_in_one_line(capfd):
    assert "output. See drumblender synth --help" in complaint(capfd, "synth", "a.ckpt", "in.wav", status=2)


def test_a_run_leaves_checkpoints_its_configuration_and_a_log(here):
    run_folder = here / "logs/tiny/version_0"
    assert {path.name for path in (run_folder / "checkpoints").iterdir()} == {"best.ckpt", "last.ckpt"}
    assert (run_folder / "config.yaml").is_file()
    assert list(run_folder.glob("events.out.tfevents.*"))


def test_a_checkpoint_carries_all_that_a_recording_needs(here):
    soundfile.write(
        "in.wav", torch.randn(30000, 2, generator=torch.Generator().manual_seed(0)).numpy() * 0.1, 44100
    )
    assert run(["synth", CHECKPOINT, "in.wav", "out.wav", "--stems"]) == 0
    sound, rate = soundfile.read("out.wav")
    assert rate == 16000 and len(sound) == -(-30000 * 160 // 441)
    assert run(["synth", CHECKPOINT, "in.wav", "kept.wav", "--keep-rate"]) == 0
    assert soundfile.info("kept.wav").frames == 30000 and soundfile.info("kept.wav").samplerate == 44100
    stems = [soundfile.read(f"out.{name}.wav")[0] for name in ("modal", "noise")]
    assert abs(sum(stems) - sound).max() < 1e-6 < abs(sound).max()


def test_synthesis_repeats_with_its_seed(here):
    soundfile.write("hit.flac", HIT, 16000)
    for output, seed in (("a.wav", "1"), ("b.wav", "1"), ("c.wav", "2")):
        assert run(["synth", CHECKPOINT, "hit.flac", output, "--seed", seed]) == 0
    first, again, other = (soundfile.read(f"{name}.wav")[0] for name in "abc")
    assert (first == again).all() and (first != other).any()


def test_silence_before_the_onset_stays_before_it(here):
    soundfile.write("late.wav", torch.cat([torch.zeros(5120), torch.from_numpy(HIT)]).numpy(), 16000)
    assert run(["synth", CHECKPOINT, "late.wav", "late_out.wav"]) == 0
    sound, _ = soundfile.read("late_out.wav")
    assert len(sound) == 14120 and abs(sound[:5120]).max() == 0 < abs(sound[5120:6000]).max()


def test_a_folder_is_resynthesised_and_bad_files_are_listed(here, caplog):
    folder = Path("folder")
    folder.mkdir()
    soundfile.write(folder / "good.wav", HIT, 16000)
    soundfile.write(folder / "silent.wav", torch.zeros(9000).numpy(), 16000)
    (folder / "noise.wav").write_bytes(b"no audio at all")
    assert run(["synth", CHECKPOINT, str(folder), "resynthesised"]) == 0
    assert [path.name for path in Path("resynthesised").iterdir()] == ["good.wav"]
    assert "Wrote 1 of 3 recordings to resynthesised; 2 left out." in caplog.text


def test_sounds_of_a_folder_are_rendered_together_and_sound_as_each_alone(here, monkeypatch):
    from drumblender.inference import synth

    counts, render = [], synth.resynthesise_all
    monkeypatch.setattr(
        synth,
        "resynthesise_all",
        lambda loaded, heard, *rest: counts.append(len(heard)) or render(loaded, heard, *rest),
    )
    folder = Path("several")
    folder.mkdir()
    for name, gain, length in (("a", 1.0, 9000), ("b", 0.5, 7000), ("c", 0.2, 6000)):
        soundfile.write(folder / f"{name}.wav", gain * HIT[:length], 16000)
    (folder / "bad.wav").write_bytes(b"no audio at all")
    assert run(["synth", CHECKPOINT, str(folder), "together", "--stems"]) == 0
    assert sorted(counts) == [1, 2]  # the longest is longer than a training item
    for name in "abc":
        assert run(["synth", CHECKPOINT, str(folder / f"{name}.wav"), "alone.wav", "--stems"]) == 0
        for voice in ("", ".modal", ".noise"):
            sounds = [soundfile.read(f"{path}{voice}.wav")[0] for path in (f"together/{name}", "alone")]
            assert abs(sounds[0]).max() > 0.01 and abs(sounds[0] - sounds[1]).max() < 1e-6


def test_a_checkpoint_is_tested_with_its_own_configuration_and_its_run_reported(here, capfd):
    assert run(["test", CHECKPOINT]) == 0
    told = capfd.readouterr().err
    assert "next  drumblender report logs/tiny-test/version_0" in told
    assert run(["report", "logs/tiny/version_0"]) == 0
    assert Path("logs/tiny/version_0/report/index.html").is_file()


def test_resume_goes_on_in_the_same_folder(here):
    before = sorted(path.name for path in Path("logs/tiny").iterdir() if path.is_dir())
    assert run(["fit", "-c", TINY, "--trainer.max_epochs", "3", "--resume"]) == 0
    assert sorted(path.name for path in Path("logs/tiny").iterdir() if path.is_dir()) == before
    last = torch.load("logs/tiny/version_0/checkpoints/last.ckpt", weights_only=True)
    assert last["epoch"] == 2


@pytest.mark.parametrize(
    "option, value", [("data.batch_size", "1"), ("optimizer.lr", "0.5"), ("data.data_dir", "other_drums")]
)
def test_resume_goes_on_with_no_other_settings(here, capfd, option, value):
    config = Path("logs/tiny/version_0/config.yaml").read_bytes()
    told = complaint(capfd, "fit", "-c", TINY, f"--{option}", value, "--resume")
    where, name = option.split(".")
    assert f"version_0 had {where}.init_args.{name}: " in told and f", now {value}. Repeat them" in told
    assert Path("logs/tiny/version_0/config.yaml").read_bytes() == config


@pytest.fixture
def interrupted():
    """Presses Ctrl+C, once a file is there, in this process: another costs as much as all of these tests."""
    over, usual = threading.Event(), signal.signal(signal.SIGINT, signal.default_int_handler)

    def press(path):
        while not (over.wait(0.05) or path.exists()):
            pass
        if not over.is_set():
            os.kill(os.getpid(), signal.SIGINT)

    def by(path):
        threading.Thread(target=press, args=[path], daemon=True).start()

    yield by
    over.set()
    signal.signal(signal.SIGINT, usual)


def test_an_interrupted_run_is_saved_and_can_go_on(here, tmp_path, monkeypatch, capfd, interrupted):
    monkeypatch.chdir(tmp_path)
    last = tmp_path / "logs/tiny/version_0/checkpoints/last.ckpt"
    interrupted(last)
    data = ["--data.data_dir", str(here / "drums")]
    assert run(["fit", "-c", TINY, "--trainer.max_epochs", "1000", *data]) == 130
    error = capfd.readouterr().err
    assert "Traceback" not in error and "--resume" in error
    assert torch.load(last, weights_only=True)["drumblender"]["sample_rate"] == 16000


def test_a_wrong_verb_names_the_right_one(capfd):
    assert "did you mean 'fit'" in complaint(capfd, "fut", status=2)


def test_a_misspelt_key_is_named(capfd, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path("wrong.yaml").write_text("trainer:\n  max_epocks: 3\n")
    assert "max_epocks" in complaint(capfd, "fit", "-c", TINY, "-c", "wrong.yaml", status=2)
    Path("wrong.yaml").write_text("model:\n  init_args:\n    voicez: 3\n")
    assert "voicez" in complaint(capfd, "fit", "-c", TINY, "-c", "wrong.yaml", status=2)


def test_a_setting_of_a_voice_names_the_voice(capfd, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    told = complaint(
        capfd, "fit", "-c", "cfg/quickstart.yaml", "--model.voices.nois.synth.seed", "1", status=2
    )
    assert "--model.voices.nois.synth.seed: there is no voice 'nois', only modal, equaliser, noise." in told
    part = ("--model.voices.noise.controls", "MappedControls")
    told = complaint(capfd, "fit", "-c", "cfg/quickstart.yaml", *part, status=2)
    assert "model.voices.noise.controls" in told and "model.voices.controls" not in told
    told = complaint(capfd, "fit", "-c", "cfg/quickstart.yaml", "--model.voices.noise.synth.foo=1", status=2)
    assert "model.voices.noise.synth: Option 'foo' is not accepted" in told


def test_a_run_that_never_began_leaves_no_folder(here, capfd):
    before = sorted(Path("logs").rglob("*"))
    told = complaint(capfd, "fit", "-c", TINY, "--data.split.types=[brass]")
    assert "brass" in told and sorted(Path("logs").rglob("*")) == before


_NOISE = "--model.voices.noise.controls"


@pytest.mark.parametrize(
    "option, value, told",
    [
        (
            f"{_NOISE}.encoder",
            "cfg/encoders/note.yaml",
            "NoteEncoder hears audio, f0_hz, loudness_db: take BandE",
        ),
        (f"{_NOISE}.encoder", "cfg/encoders/soundstream.yaml", "hears audio: take BandEncoder"),
        (
            f"{_NOISE}.analysis.sample_rate",
            "22050",
            "(ResidualBands) works at 22050 Hz, the task at 48000 Hz",
        ),
        ("--model.loss", "cfg/losses/guitar.yaml", "(BandLoss) works at 16000 Hz, the task at 48000 Hz"),
        ("--model.loss", "cfg/synths/noise.yaml", "A NoiseSynth is no loss"),
        (
            "--model.voices.controls",
            "cfg/controllers/none.yaml",
            "which voice? As --model.voices.modal.controls",
        ),
    ],
)
def test_parts_that_do_not_fit_are_told(capfd, tmp_path, monkeypatch, option, value, told):
    monkeypatch.chdir(tmp_path)
    status = 2 if "which voice" in told else 1
    assert told in complaint(capfd, "fit", "-c", "cfg/drums/small.yaml", option, value, status=status)


def test_a_pipe_is_no_file(capfd, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    os.mkfifo("pipe.yaml")
    for args, status in (
        (["fit", "-c", "pipe.yaml"], 2),
        (["fit", "-c", TINY, "--data", "pipe.yaml"], 2),
        (["synth", "pipe.yaml", TINY, "out.wav"], 1),
        (["synth", TINY, "/dev/zero", "out.wav"], 1),
    ):
        assert "is no regular file" in complaint(capfd, *args, status=status)


def test_a_missing_configuration_is_named(capfd):
    assert "nowhere.yaml" in complaint(capfd, "fit", "-c", "nowhere.yaml", status=2)


def test_resuming_nothing_is_refused(capfd, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert "No run to resume" in complaint(capfd, "fit", "-c", TINY, "--resume")


def test_a_checkpoint_of_another_model_names_the_keys(here, capfd):
    Path("other.yaml").write_text("""
model:
  init_args:
    voices:
      noise:
        synth: {class_path: drumblender.synths.NoiseSynth, init_args: {num_bands: 9, win_length: 128}}
        controls: {class_path: drumblender.controllers.FreeControls}
""")
    line = complaint(capfd, "test", "-c", TINY, "-c", "other.yaml", "--ckpt_path", CHECKPOINT)
    assert "another model" in line and "voices.noise" in line


@pytest.mark.parametrize(
    "content, words",
    [(b"", "not a checkpoint"), (b"PK\x03\x04 half a zip", "not a checkpoint"), (None, "No checkpoint")],
)
def test_what_is_no_checkpoint_is_said_so(here, capfd, content, words):
    path = Path("wrong.ckpt")
    path.unlink(missing_ok=True)
    if content is not None:
        path.write_bytes(content)
    Path("any.wav").touch()
    assert words in complaint(capfd, "synth", str(path), "any.wav", "out.wav")


def test_a_pickle_from_a_stranger_is_not_executed(here, capfd):
    class Trap:
        def __reduce__(self):
            return Path.touch, (Path("sprung"),)

    torch.save({"state_dict": {}, "trap": Trap()}, "trap.ckpt")
    Path("any.wav").touch()
    assert "not loaded" in complaint(capfd, "synth", "trap.ckpt", "any.wav", "out.wav")
    assert not Path("sprung").exists()


@pytest.mark.parametrize("kind", ["missing", "empty", "text", "silent", "nan", "truncated"])
def test_an_unusable_recording_is_named_with_its_reason(here, capfd, kind):
    path = Path(f"{kind}.wav")
    if kind == "empty":
        path.write_bytes(b"")
    elif kind == "text":
        path.write_text("la la la")
    elif kind == "silent":
        soundfile.write(path, 0 * HIT, 16000)
    elif kind == "nan":
        soundfile.write(path, HIT * float("nan"), 16000, subtype="FLOAT")
    elif kind == "truncated":
        soundfile.write(path, HIT, 16000)
        path.write_bytes(path.read_bytes()[:5000])
    line = complaint(capfd, "synth", CHECKPOINT, str(path), "unusable_out.wav")
    assert path.name in line
    assert not Path("unusable_out.wav").exists()


def test_a_folder_never_loses_a_sound_to_another_or_to_itself(here, capfd):
    folder = Path("twins")
    folder.mkdir(exist_ok=True)
    for name in ("e.wav", "e.flac", "f.wav"):
        soundfile.write(folder / name, HIT, 16000)
    assert run(["synth", CHECKPOINT, "twins", "answers"]) == 0
    assert {path.name for path in Path("answers").iterdir()} == {"e.wav.wav", "e.flac.wav", "f.wav"}
    assert run(["synth", CHECKPOINT, "twins", "twins/inside"]) == 0
    assert run(["synth", CHECKPOINT, "twins", "twins/inside"]) == 0
    assert len(list(Path("twins/inside").rglob("*.wav"))) == 3
    assert "would be written over" in complaint(capfd, "synth", CHECKPOINT, "twins/f.wav", "twins/f.wav")
    assert "the recordings themselves" in complaint(capfd, "synth", CHECKPOINT, "twins", "twins")


def test_a_configuration_in_place_of_a_checkpoint_is_told(capfd):
    assert f"fit -c {TINY}" in complaint(capfd, "fit", TINY, status=2)


def test_a_run_without_logger_leaves_the_files_of_the_user_alone(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path("config.yaml").write_text("mine: 1")
    assert run(["fit", "-c", TINY, "--trainer.max_epochs", "1", "--trainer.logger", "false"]) == 0
    assert Path("config.yaml").read_text() == "mine: 1"
    assert (tmp_path / "logs" / "tiny" / "config.yaml").is_file() and not Path("checkpoints").exists()


@pytest.mark.parametrize(
    "content, words", [(b"", "nothing"), (b"a: [1", "line 1"), (b"\x80\x02", "no UTF-8")]
)
def test_what_is_no_configuration_is_named(content, words, tmp_path, capfd):
    path = tmp_path / "odd.yaml"
    path.write_bytes(content)
    told = complaint(capfd, "fit", "-c", str(path), status=2)
    assert "odd.yaml" in told and words in told


def test_a_verb_alone_asks_for_a_configuration(capfd):
    assert "Give -c cfg/NAME.yaml, or a checkpoint" in complaint(capfd, "test", status=2)


FORMS = {  # of the verbs that write, what they would read, up to the output
    "synth": ["a.ckpt", "a.wav"],
    "remap": ["a.ckpt", "a.wav"],
    "transfer": ["a.ckpt", "a.wav"],
    "pitch": ["a.wav"],
    "blend": ["a.ckpt", "--modal", "a.wav"],
    "export": ["a.ckpt"],
    "render": ["a.json"],
    "match": ["a.wav", "--synth", "auto", "--output"],
}


@pytest.mark.parametrize("verb", FORMS)
def test_an_output_that_cannot_be_written_is_told_before_anything_is_loaded(
    verb, capfd, tmp_path, monkeypatch
):
    monkeypatch.chdir(tmp_path)
    for name in ("a.ckpt", "a.wav", "a.json", "file"):
        Path(name).touch()  # would be told next, if it were read
    suffix = {"pitch": ".csv", "export": ".onnx", "match": ""}.get(verb, ".wav")
    told = complaint(capfd, verb, *FORMS[verb], f"file/inside/x{suffix}")
    assert f"file/inside/x{suffix} cannot be written: file is a file where a folder is needed" in told
    if Path("/proc/self").is_dir():  # where nobody can make files, root included
        assert f"/proc/x{suffix} cannot be written" in complaint(
            capfd, verb, *FORMS[verb], f"/proc/x{suffix}"
        )
    if verb != "match":
        assert f"so x.mp3 should be x{'.pt or x' * (verb == 'export')}{suffix}" in complaint(
            capfd, verb, *FORMS[verb], "x.mp3"
        )
    if verb in ("blend", "export", "render"):
        assert f"{tmp_path} is a folder: name the file" in complaint(capfd, verb, *FORMS[verb], str(tmp_path))
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.ckpt", "a.json", "a.wav", "file"]


@pytest.mark.parametrize("verb", ["synth", "remap", "match"])
def test_a_device_that_is_not_here_is_told_with_its_option(verb, capfd, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for name in ("a.ckpt", "a.wav"):
        Path(name).touch()
    args = [verb, *FORMS[verb], "out" if verb == "match" else "out.wav", "--device"]
    assert "--device is cpu, cuda, cuda:1 or mps, got 'foo'" in complaint(capfd, *args, "foo", status=2)
    assert "--device cuda:99: torch finds" in complaint(capfd, *args, "cuda:99", status=2)
