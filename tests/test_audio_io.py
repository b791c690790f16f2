import io
import math
import struct
import wave

import numpy as np
import pytest
import soundfile
import torch
import torchaudio

from drumblender.audio_io import BadAudioError, read_audio, resample, write_wav

RATE = 44100
TONE = (0.5 * np.sin(np.arange(RATE) / 20)).astype("float32")


def wav_bytes(bits: int) -> bytes:
    """A WAV of any number of bits: samples stand left in whole bytes, unsigned up to 8 bits."""
    size = (bits + 7) // 8
    steps = np.round(TONE * 2.0 ** (bits - 1)).astype(int) if bits > 1 else np.where(TONE > 0, 0, -1)
    left = steps << (8 * size - bits)
    data = b"".join(
        int(v + (128 if size == 1 else 0)).to_bytes(size, "little", signed=size > 1) for v in left
    )
    form = struct.pack("<HHIIHH", 1, 1, RATE, RATE * size, size, bits)
    head = b"RIFF" + struct.pack("<I", 36 + len(data)) + b"WAVEfmt " + struct.pack("<I", 16) + form
    return head + b"data" + struct.pack("<I", len(data)) + data


@pytest.mark.parametrize(
    "suffix, error", [("wav", 4e-5), ("flac", 4e-5), ("aiff", 4e-5), ("ogg", 0.02), ("mp3", 0.02)]
)
@pytest.mark.parametrize("channels", [1, 2])
def test_reads_every_common_format(tmp_path, suffix, error, channels):
    path = tmp_path / f"tone.{suffix}"
    soundfile.write(path, np.stack([TONE, -TONE], axis=1)[:, :channels], RATE)
    audio, rate = read_audio(path)
    assert rate == RATE and audio.dtype == torch.float32
    assert (audio[1000:-1000] - torch.from_numpy(TONE)[1000:-1000]).abs().max() < error


@pytest.mark.parametrize("bits", [1, 4, 8, 12, 16, 20, 24, 32])
def test_reads_any_number_of_bits(tmp_path, bits):
    path = tmp_path / "tone.wav"
    path.write_bytes(wav_bytes(bits))
    audio, _ = read_audio(path)
    expected = torch.from_numpy(TONE) if bits > 1 else torch.from_numpy(np.where(TONE > 0, 0, -1))
    assert (audio - expected).abs().max() <= 2.0 ** (1 - bits)


def test_takes_the_first_channel_or_the_mean(tmp_path):
    soundfile.write(tmp_path / "a.wav", np.stack([TONE, 0 * TONE], axis=1), RATE, subtype="FLOAT")
    assert torch.equal(read_audio(tmp_path / "a.wav")[0], torch.from_numpy(TONE))
    assert torch.equal(read_audio(tmp_path / "a.wav", channel="mean")[0], torch.from_numpy(TONE) / 2)


def test_writes_floats_exactly_and_leaves_nothing_beside(tmp_path):
    loud = torch.linspace(-3, 3, 100)
    write_wav(tmp_path / "a.wav", loud, 48000)
    audio, rate = read_audio(tmp_path / "a.wav")
    assert torch.equal(audio, loud) and rate == 48000
    assert [path.name for path in tmp_path.iterdir()] == ["a.wav"]


def float_wav(samples) -> bytes:
    file = io.BytesIO()
    soundfile.write(file, np.asarray(samples, dtype="float32"), RATE, format="WAV", subtype="FLOAT")
    return file.getvalue()


def half(suffix: str) -> bytes:
    file = io.BytesIO()
    soundfile.write(file, np.tile(TONE, 20), RATE, format={"aiff": "AIFF"}.get(suffix, suffix.upper()))
    return file.getvalue()[: len(file.getvalue()) // 2]


@pytest.mark.parametrize(
    "name, content, reason",
    [
        ("empty.wav", b"", "empty file"),
        ("text.wav", b"This is no sound. " * 50, "no audio file"),
        ("nothing.wav", float_wav([]), "no samples"),
        ("nan.wav", float_wav([0, float("nan"), 0]), "NaN"),
        ("inf.wav", float_wav([0, float("inf"), 0]), "infinite"),
        *((f"half.{suffix}", half(suffix), "truncated") for suffix in ("wav", "flac", "aiff", "ogg", "mp3")),
    ],
    ids=lambda value: "content" if isinstance(value, bytes) else value,  # libsndfile writes the time of day
)
def test_says_why_a_file_cannot_be_used(tmp_path, name, content, reason):
    (tmp_path / name).write_bytes(content)
    with pytest.raises(BadAudioError, match=reason) as raised:
        read_audio(tmp_path / name)
    assert raised.value.path == tmp_path / name


def test_says_that_a_file_is_missing(tmp_path):
    with pytest.raises(BadAudioError, match="missing"):
        read_audio(tmp_path / "gone.wav")


def test_reads_a_stream_that_never_knew_its_length(tmp_path):
    file = io.BytesIO()
    with wave.open(file, "wb") as stream:
        stream.setparams((1, 2, RATE, 0, "NONE", ""))
        stream.writeframes(b"\1\0" * 500)
    content = bytearray(file.getvalue())
    content[4:8] = content[40:44] = b"\xff\xff\xff\xff"
    (tmp_path / "stream.wav").write_bytes(content)
    assert len(read_audio(tmp_path / "stream.wav")[0]) == 500


@pytest.mark.parametrize("pair", [(44100, 48000), (48000, 44100), (22050, 48000), (96000, 16000)])
def test_resamples_as_torchaudio_does(generator, pair):
    audio = torch.randn(2, 3000, generator=generator)
    expected = torchaudio.transforms.Resample(*pair)(audio)
    assert torch.allclose(resample(audio, *pair), expected, atol=1e-6)


@pytest.mark.parametrize("pair", [(44101, 48000), (48000, 44099)])
def test_resamples_unrelated_rates_without_a_huge_table(pair):
    freq_hz = 1000.0
    before, after = (torch.arange(rate // 10) / rate for rate in pair)
    audio = resample(torch.sin(2 * math.pi * freq_hz * before)[None], *pair)[0]
    expected = torch.sin(2 * math.pi * freq_hz * after)
    count = min(len(audio), len(expected))
    assert abs(len(audio) - len(expected)) <= 1
    assert (audio[:count] - expected[:count])[100:-100].abs().max() < 2e-3


def test_the_unrelated_rates_follow_the_same_formula(generator, monkeypatch):
    audio = torch.randn(1, 3000, generator=generator)
    expected = resample(audio, 44100, 48000)
    monkeypatch.setattr("drumblender.audio_io._MAX_TABLE", 40_000 // 2)  # below 147 x 160
    assert torch.allclose(resample(audio, 44100, 48000), expected, atol=3e-5)
