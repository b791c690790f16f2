import io
import os
import struct
import wave

import numpy as np
import pytest
import soundfile
import torch

from drumblender.audio_io import read_audio, read_blocks, read_recording, write_wav
from drumblender.open_sound import BadAudioError

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
    assert sum(len(block) for block in read_blocks(path)) == len(audio)
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
    assert torch.equal(read_audio(tmp_path / "a.wav", channel="first")[0], torch.from_numpy(TONE))
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
    if reason != "no samples":  # where it streams by, there are none
        with pytest.raises(BadAudioError, match=reason):
            list(read_blocks(tmp_path / name))


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


def announcing_2_to_36(suffix: str) -> bytes:
    """A small file whose header says that it lasts for weeks."""
    file = io.BytesIO()
    soundfile.write(file, TONE[:8000], 16000, format=suffix.upper())
    content = bytearray(file.getvalue())
    if suffix == "flac":  # the low 36 bits of eight bytes behind magic, block header and six sizes
        content[21] |= 0x0F
        content[22:26] = b"\xff" * 4
    else:
        tag = max(content.find(b"Xing"), content.find(b"Info"))
        content[tag + 8 : tag + 12] = b"\x7f\xff\xff\xff"  # frames of 576 samples
    return bytes(content)


@pytest.mark.parametrize("suffix", ["flac", "mp3"])
def test_a_header_that_lies_about_the_length_costs_no_memory(tmp_path, suffix):
    path = tmp_path / f"liar.{suffix}"
    path.write_bytes(announcing_2_to_36(suffix))
    assert soundfile.info(path).frames > 1e10
    with pytest.raises(BadAudioError, match="truncated") as raised:
        read_audio(path)
    assert raised.value.path == path


def test_no_more_is_read_than_was_asked_for(tmp_path, monkeypatch):
    path, minutes = tmp_path / "long.flac", 3
    with soundfile.SoundFile(path, "w", 8000, 1, "PCM_16") as file:
        for _ in range(minutes):
            file.write(np.zeros(60 * 8000, "int16"))
    monkeypatch.setattr("drumblender.audio_io._BLOCK", 1 << 15)
    recorded = read_recording(path, longest_s=7.5)
    assert len(recorded.audio) == 60000 and not recorded.whole
    with pytest.raises(BadAudioError, match="longer than 7.5 s"):
        read_audio(path, longest_s=7.5)
    assert len(read_audio(path)[0]) == minutes * 60 * 8000


def test_blocks_are_joined_without_a_seam(tmp_path, monkeypatch):
    for suffix in ("wav", "flac", "ogg"):
        soundfile.write(tmp_path / f"a.{suffix}", np.stack([TONE, -TONE / 2], axis=1), RATE)
    whole = [read_audio(tmp_path / f"a.{suffix}", channel="mean")[0] for suffix in ("wav", "flac", "ogg")]
    monkeypatch.setattr("drumblender.audio_io._BLOCK", 5000)
    for before, suffix in zip(whole, ("wav", "flac", "ogg"), strict=True):
        assert torch.equal(read_audio(tmp_path / f"a.{suffix}", channel="mean")[0], before)


@pytest.mark.parametrize(
    "form, subtype",
    [("W64", "PCM_16"), ("RF64", "PCM_16"), ("AIFF", "PCM_24"), ("CAF", "PCM_16"), ("AU", "PCM_16")]
    + [("SVX", "PCM_16"), ("VOC", "PCM_16"), ("WAV", "MS_ADPCM"), ("MAT4", "PCM_16"), ("AVR", "PCM_16")],
)
def test_half_a_file_is_truncated_in_every_format(tmp_path, form, subtype):
    path = tmp_path / f"tone.{form.lower()}"
    soundfile.write(path, TONE, RATE, format=form, subtype=subtype)
    assert sum(len(block) for block in read_blocks(path)) == len(read_audio(path)[0])
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    with pytest.raises(BadAudioError, match="truncated"):
        read_audio(path)
    with pytest.raises(BadAudioError, match="truncated"):
        list(read_blocks(path))


@pytest.mark.parametrize("rate", [1, 999, 2_000_000_000])
def test_a_rate_that_no_sound_has_is_the_reason(tmp_path, rate):
    soundfile.write(tmp_path / "a.wav", TONE, RATE)
    content = bytearray((tmp_path / "a.wav").read_bytes())
    content[24:28] = struct.pack("<I", rate)
    (tmp_path / "a.wav").write_bytes(content)
    with pytest.raises(BadAudioError, match=f"sample rate of {rate} Hz"):
        read_audio(tmp_path / "a.wav")


@pytest.mark.parametrize(
    "left, right, heard, words",
    [
        (1.0, 0.0, 1.0, "the first channel"),
        (0.0, 1.0, 0.5, "the mean of 2 channels"),
        (1.0, -1.0, 1.0, "the first channel"),
        (0.5, 1.0, 0.75, "the mean of 2 channels"),
        (1.0, 1.0, 1.0, "the first channel"),
    ],
)
def test_the_louder_of_first_and_mean_is_heard(tmp_path, left, right, heard, words):
    soundfile.write(tmp_path / "a.wav", np.stack([left * TONE, right * TONE], axis=1), RATE, subtype="FLOAT")
    recorded = read_recording(tmp_path / "a.wav")
    assert torch.allclose(recorded.audio, heard * torch.from_numpy(TONE)) and recorded.channel == words


def test_an_offset_does_not_make_a_channel_louder(tmp_path):
    soundfile.write(tmp_path / "a.wav", np.stack([0 * TONE + 0.9, TONE], axis=1), RATE, subtype="FLOAT")
    assert read_recording(tmp_path / "a.wav").channel == "the mean of 2 channels"


@pytest.mark.parametrize("suffix", ["m4a", "wma", "raw"])
def test_what_is_not_read_says_what_to_do(tmp_path, suffix):
    (tmp_path / f"a.{suffix}").write_bytes(bytes(2000))
    with pytest.raises(BadAudioError, match="convert it to WAV|save it as WAV"):
        read_audio(tmp_path / f"a.{suffix}")


def test_what_is_no_file_is_not_waited_for(tmp_path):
    os.mkfifo(tmp_path / "pipe.wav")
    (tmp_path / "link.wav").symlink_to("nowhere.wav")
    (tmp_path / "self.wav").symlink_to("self.wav")
    (tmp_path / "folder.wav").mkdir()
    reasons = {"pipe": "is no regular file", "link": "is a link to nothing", "folder": "is a folder"}
    for name, reason in (reasons | {"self": "cannot be read", "x" * 300: "cannot be read"}).items():
        with pytest.raises(BadAudioError, match=reason):
            read_audio(tmp_path / f"{name}.wav")


def test_names_that_are_no_unicode_are_read_and_told(tmp_path):
    path = tmp_path / os.fsdecode(b"caf\xe9.wav")
    write_wav(path, torch.from_numpy(TONE), RATE)
    assert len(read_audio(path)[0]) == RATE
    path.write_bytes(b"no sound" * 99)
    with pytest.raises(BadAudioError, match=r"caf\\xe9.wav: is no audio file") as raised:
        read_audio(path)
    str(raised.value).encode()


def test_too_little_memory_is_the_reason(tmp_path, monkeypatch):
    soundfile.write(tmp_path / "a.wav", TONE, RATE)

    def no_memory(*arrays):
        raise MemoryError

    monkeypatch.setattr("drumblender.audio_io.np.concatenate", no_memory)
    with pytest.raises(BadAudioError, match="a.wav: needs more memory"):
        read_audio(tmp_path / "a.wav")
