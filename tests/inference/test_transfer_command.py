import re

import numpy as np
import pytest
import soundfile
import torch

from drumblender.console import UsageError
from drumblender.features import note_curves
from drumblender.inference import transfer_command
from drumblender.inference.transfer import Transferred
from drumblender.inference.transfer_command import command
from drumblender.options import playing
from drumblender.originals.guitar import convert
from drumblender.originals.imported import save_imported


@pytest.fixture
def checkpoint(tmp_path, monkeypatch):
    """A published size with few units, and a tracker that hears 220 Hz everywhere."""

    def made_up(audio, sample_rate, hop_length, name):
        assert name == "crepe-published"  # the tracker that the checkpoint was trained with
        shape = len(audio), audio.shape[-1] // hop_length + 1
        return torch.full(shape, 220.0), torch.ones(shape)

    monkeypatch.setattr(note_curves, "pitch_of", made_up)
    shapes = {"gru.weight_ih_l0": (12, 2), "gru.weight_hh_l0": (12, 4), "mlp.weight": (166, 4)}
    shapes |= {"gru.bias_ih_l0": (12,), "gru.bias_hh_l0": (12,), "mlp.bias": (166,)}
    generator = torch.Generator().manual_seed(0)
    state = {name: 0.1 * torch.randn(shape, generator=generator) for name, shape in shapes.items()}
    path = tmp_path / "model.ckpt"
    save_imported(convert(None, state), path)
    return str(path)


def sing(path, rate=8000):
    path.parent.mkdir(exist_ok=True)
    soundfile.write(path, 0.2 * np.sin(2 * np.pi * 220 * np.arange(rate) / rate), rate)
    return str(path)


def transfer(*arguments):
    return command(playing.transfer().parse_args([str(argument) for argument in arguments]))


def test_a_folder_of_voices_becomes_a_folder_of_the_same_rates_and_lengths(checkpoint, tmp_path):
    sing(tmp_path / "voices" / "one.wav")
    sing(tmp_path / "voices" / "two.wav", 16000)
    (tmp_path / "voices" / "broken.wav").write_text("no sound")
    assert transfer(checkpoint, tmp_path / "voices", tmp_path / "out", "--pluck", "--octave", "1") == 0
    for name, rate in (("one", 8000), ("two", 16000)):
        played, played_rate = soundfile.read(tmp_path / "out" / f"{name}.wav")
        assert played_rate == rate and len(played) == rate and np.abs(played).max() > 0.1
    assert not (tmp_path / "out" / "broken.wav").exists()


def test_what_becomes_silence_is_told(checkpoint, tmp_path, monkeypatch, caplog):
    voice = sing(tmp_path / "voices" / "one.wav")
    assert transfer(checkpoint, voice, tmp_path / "out.wav") == 0 and "becomes silence" not in caplog.text
    for surest, options, why in (
        (None, (), "nothing in it is louder than -60 dB"),
        (0.5, ("--unvoiced", "0.95"), "no pitch in it is surer than 0.50, and what is below 0.95 does not"),
        (1.0, ("--gain", "-40"), "--gain -40 is too low for it"),
    ):
        caplog.clear()
        told = Transferred(1.0, 0.0, surest)
        monkeypatch.setattr(transfer_command, "transfer_file", lambda *given, told=told: told)
        assert transfer(checkpoint, voice, tmp_path / "out.wav", *options) == 0
        assert f"one.wav becomes silence: {why}" in caplog.text


def test_what_cannot_be_is_one_line(checkpoint, tmp_path):
    voice = sing(tmp_path / "voices" / "one.wav")
    for output, message in ((voice, "would be written over"), (tmp_path / "out.mp3", "out.wav")):
        with pytest.raises(ValueError, match=message):
            transfer(checkpoint, voice, output)


@pytest.mark.parametrize(
    "option, value, told",
    [
        ("octave", "half", "auto or a whole number is needed, got 'half'"),
        ("octave", "9", "goes from -4 to 4 octaves, got 9"),
        ("gain", "200", "goes from -40 to 40 dB, got 200"),
        ("gain", "nan", "goes from -40 to 40 dB, got nan"),
        ("transpose", "-50", "goes from -48 to 48 semitones, got -50"),
        ("unvoiced", "2", "goes from 0 to 1, got 2"),
        ("vibrato", "-3", "goes from 0 to 10, got -3"),
        ("glide", "-1", "goes from 0 to 10 s, got -1"),
        ("glide", "slow", "a number is needed, got 'slow'"),
        ("seed", "99999999999999999999", "goes from -2^63 to 2^64 - 1, got 99999999999999999999"),
    ],
)
def test_an_option_beyond_its_limits_is_named_alone(option, value, told):
    with pytest.raises(UsageError, match=re.escape(f"argument --{option}: {told}. See")):
        transfer("model.ckpt", "voice.wav", "out.wav", f"--{option}", value)


def test_dry_says_where_there_is_no_room(checkpoint, tmp_path, caplog):
    voice = sing(tmp_path / "voices" / "one.wav")
    assert transfer(checkpoint, voice, tmp_path / "out.wav") == 0 and "--dry" not in caplog.text
    assert transfer(checkpoint, voice, tmp_path / "out.wav", "--dry") == 0
    assert caplog.text.count("--dry changes nothing") == 1
