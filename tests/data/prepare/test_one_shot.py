import numpy as np
import pytest
import soundfile
import torch

from drumblender.audio_io import read_audio
from drumblender.data.prepare.one_shot import (
    cut_start_silence,
    first_non_silent_sample,
    fit_length,
    one_shot,
    preprocess_audio_file,
)
from drumblender.open_sound import BadAudioError


def test_finds_the_first_loud_block():
    audio = torch.zeros(1000)
    audio[600:] = 0.01  # -40 dB
    assert first_non_silent_sample(audio) == 512
    assert first_non_silent_sample(audio, threshold_db=-30) is None
    assert first_non_silent_sample(audio, 100, 100) == 600


def test_a_short_last_block_counts_with_its_own_length():
    audio = torch.zeros(300)
    audio[-1] = 0.01  # a mean over 44 samples is above -60 dB, over 256 it is not
    assert first_non_silent_sample(audio) == 256


def test_cuts_where_the_first_channel_sounds():
    audio = torch.zeros(2, 1024)
    audio[0, 800], audio[1, 300] = 1, 1
    assert cut_start_silence(audio).shape == (2, 1024 - 256)


def test_silence_has_a_reason():
    with pytest.raises(BadAudioError, match="silent"):
        cut_start_silence(torch.zeros(1, 1000))


def test_fits_the_length_at_the_end():
    audio = torch.arange(1.0, 4.0)
    assert fit_length(audio, 2).tolist() == [1, 2]
    assert fit_length(audio, 5).tolist() == [1, 2, 3, 0, 0]


def test_a_click_is_too_short(tmp_path):
    soundfile.write(tmp_path / "click.wav", np.ones(10, "float32"), 48000)
    with pytest.raises(BadAudioError, match="10 of at least 64") as raised:
        one_shot(tmp_path / "click.wav", 48000, min_samples=64)
    assert raised.value.path == tmp_path / "click.wav"


@pytest.mark.parametrize("case", ["pad", "truncate", "resample_stereo"])
def test_prepares_as_published(golden, tmp_path, case):
    data = golden("drums", f"preprocess_{case}")
    rate = data.config["input_sample_rate"]
    soundfile.write(tmp_path / "in.wav", data["in_wav"].T.numpy(), rate, subtype="FLOAT")
    preprocess_audio_file(tmp_path / "in.wav", tmp_path / "out.wav", **data.config["call"])
    audio, _ = read_audio(tmp_path / "out.wav")
    data.check("out_wav", audio[None])
    data.check("out_first_non_silent", first_non_silent_sample(data["in_wav"][0]))


def test_finds_silence_as_published(golden):
    data = golden("drums", "first_non_silent_sample")
    for row, audio in enumerate(data["in_x"]):
        found = [first_non_silent_sample(audio, **call) for call in data.config["calls"]]
        data.check("out_index", [-1 if index is None else index for index in found], at=row)
