import numpy as np
import pytest
import soundfile
import torch

from drumblender.features import note_curves
from drumblender.inference import transfer_command
from drumblender.inference.transfer_command import command
from drumblender.options import playing
from drumblender.originals.guitar import convert
from drumblender.originals.imported import save_imported


@pytest.fixture
def checkpoint(tmp_path, monkeypatch):
    """A published size with few units, and a tracker that hears 220 Hz everywhere."""

    def made_up(audio, sample_rate, hop_length, name):
        assert name == "crepe"  # the tracker that the checkpoint was trained with
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
    monkeypatch.setattr(transfer_command, "transfer_file", lambda *given: {"seconds": 1.0, "peak": 0.0})
    assert transfer(checkpoint, voice, tmp_path / "out.wav") == 0
    assert "one.wav becomes silence" in caplog.text


def test_what_cannot_be_is_one_line(checkpoint, tmp_path):
    voice = sing(tmp_path / "voices" / "one.wav")
    for output, extra, message in (
        (voice, (), "recording itself"),
        (tmp_path / "out.mp3", (), "out.wav"),
        (tmp_path / "out.wav", ("--octave", "half"), "--octave"),
        (tmp_path / "out.wav", ("--vibrato", "-1"), "vibrato"),
    ):
        with pytest.raises(ValueError, match=message):
            transfer(checkpoint, voice, output, *extra)
