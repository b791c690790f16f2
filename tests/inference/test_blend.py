import numpy as np
import pytest
import soundfile

from drumblender.cli import run
from drumblender.inference.blend import named_recordings
from drumblender.options import playing

RATE = 48000


def hit(path, seconds, freq_hz=180.0):
    time_s = np.arange(round(seconds * RATE)) / RATE
    soundfile.write(path, 0.5 * np.exp(-12 * time_s) * np.cos(2 * np.pi * freq_hz * time_s), RATE)
    return str(path)


def blend(*arguments):
    return run(["blend", *map(str, arguments)])


def test_a_blend_is_as_long_as_its_longest_recording(tmp_path):
    kick, snare = hit(tmp_path / "kick.wav", 0.5), hit(tmp_path / "snare.wav", 0.2, 300.0)
    out = tmp_path / "out.wav"
    for extra in ((), ("--morph", "0.5")):
        assert blend("checkpoints/quickstart", out, "--modal", kick, "--noise", snare, *extra) == 0
        assert soundfile.info(out).frames == 8000  # half a second at the model's rate


def test_two_recordings_of_one_voice_are_refused(tmp_path, capsys):
    out = tmp_path / "out.wav"
    for pairs in (
        ("--modal", "a.wav", "--modal", "b.wav"),
        ("--modal", "a.wav", "--voice", "modal", "b.wav"),
        ("--voice", "modal", "a.wav", "--voice", "modal", "b.wav"),
    ):
        assert blend("checkpoints/quickstart", out, *pairs) == 2
        told = capsys.readouterr().err
        assert "The voice modal has two recordings, a.wav and b.wav" in told and "--morph" in told
    given = playing.blend().parse_args(["a.ckpt", "o.wav", "--noise", "b.wav", "--voice", "body", "c.wav"])
    assert {voice: str(path) for voice, path in named_recordings(given).items()} == {
        "noise": "b.wav",
        "body": "c.wav",
    }


@pytest.mark.parametrize("without", ["string", "body"])
def test_a_recording_without_a_pitch_is_named(tmp_path, capsys, without):
    files = {
        "string": hit(tmp_path / "string.wav", 1.0, 220.0),
        "body": hit(tmp_path / "body.wav", 1.0, 330.0),
    }
    noise = np.random.default_rng(0).normal(size=RATE)
    soundfile.write(files[without], 0.1 * noise, RATE)
    named = [part for voice, path in files.items() for part in ("--voice", voice, path)]
    assert blend("checkpoints/strings", tmp_path / "out.wav", *named) == 1
    told = capsys.readouterr().err
    assert f"{without}.wav: has no pitch in any frame" in told and "give another one" in told
