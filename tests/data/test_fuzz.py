"""Damaged files by the hundred: each is read, or refused in one sentence that names it.

``DRUMBLENDER_FUZZ=20000 pytest tests/data/test_fuzz.py`` tries more of each kind; the default takes seconds.
"""

import io
import json
import os
import random

import numpy as np
import pytest
import soundfile
import torch

from drumblender.audio_io import read_audio
from drumblender.data.items import load_tensors
from drumblender.data.nsynth_raw import NoteFilter, find_notes
from drumblender.data.prepare.manifest import load_manifest, load_rejected
from drumblender.data.prepare.raw import Labels, find_recordings
from drumblender.open_sound import BadAudioError

TRIES = int(os.environ.get("DRUMBLENDER_FUZZ", "40"))
FORMATS = {
    "wav": "PCM_16",
    "flac": "PCM_16",
    "ogg": "VORBIS",
    "mp3": "MPEG_LAYER_III",
    "aiff": "PCM_24",
    "w64": "FLOAT",
    "rf64": "PCM_16",
    "caf": "ALAW",
    "au": "ULAW",
    "svx": "PCM_16",
    "nist": "PCM_16",
    "voc": "PCM_16",
}


def mutated(content: bytes, rng: random.Random) -> bytes:
    """One to eight changes: bits flipped, numbers made extreme, pieces cut, doubled or replaced."""
    data = bytearray(content)
    for _ in range(rng.randint(1, 8)):
        # half of the changes hit the header
        at = rng.randrange(min(len(data), 100) if rng.random() < 0.5 else len(data)) if data else 0
        kind = rng.randrange(6)
        if kind == 0 and data:
            data[at] ^= 1 << rng.randrange(8)
        elif kind == 1:
            data[at : at + 4] = rng.choice((b"\0" * 4, b"\xff" * 4, b"\x7f\xff\xff\xff", b"\xff\xff\xff\x7f"))
        elif kind == 2:
            del data[at : at + rng.randint(1, 64)]
        elif kind == 3:
            data[at:at] = data[at : at + rng.randint(1, 64)]
        elif kind == 4:
            data[at : at + 8] = rng.randbytes(8)
        else:
            del data[at:]
    return bytes(data)


@pytest.mark.parametrize("suffix", FORMATS)
def test_damaged_sound_files_are_read_or_refused_by_name(tmp_path, suffix):
    tone = 0.5 * np.sin(np.arange(4000) / 20)
    file = io.BytesIO()
    soundfile.write(file, tone, 16000, format=suffix.upper(), subtype=FORMATS[suffix])
    rng, path = random.Random(suffix), tmp_path / f"damaged.{suffix}"
    refused = 0
    for _ in range(TRIES):
        path.write_bytes(mutated(file.getvalue(), rng))
        try:
            audio, rate = read_audio(path, longest_s=20.0)
            assert audio.ndim == 1 and 0 < len(audio) <= 20 * rate and audio.isfinite().all()
        except BadAudioError as error:
            refused += 1
            assert error.path == path and "\n" not in str(error)
    assert refused > TRIES / 20


def odd(rng: random.Random) -> object:
    """A value where another was expected."""
    return rng.choice(
        (None, True, -1, 1e400, "", "x", "../x", "/x", [], {}, [1], {"a": None}, "\udce9", 10**30)
    )


def changed(value: object, rng: random.Random) -> object:
    """A JSON value with something in it exchanged or left out."""
    if rng.random() < 0.2 or not isinstance(value, dict | list) or not value:
        return odd(rng)
    copy = dict(value) if isinstance(value, dict) else dict(enumerate(value))
    key = rng.choice(list(copy))
    if rng.random() < 0.2:
        del copy[key]
    elif rng.random() < 0.1 and isinstance(value, dict):
        copy[rng.choice(("", "..", "/etc/x", "a\0b"))] = copy.pop(key)
    else:
        copy[key] = changed(copy[key], rng)
    return copy if isinstance(value, dict) else list(copy.values())


NOTE = {
    "pitch": 60,
    "velocity": 9,
    "instrument_family_str": "guitar",
    "instrument_source_str": "acoustic",
    "qualities": [0] * 10,
}
ITEM = {"filename": "audio/1.wav", "type": "a", "sample_rate": 8000, "num_samples": 9, "instrument": "kick"}
PACK = {"type": "acoustic", "folders": {"f": {"path": "kicks", "instrument": "kick"}}}
JSON_FILES = {
    "manifest.json": ({"1": ITEM, "2": ITEM}, lambda folder: load_manifest(folder / "manifest.json")),
    "rejected.json": ([{"source": "a.wav", "reason": "is silent"}] * 2, load_rejected),
    "examples.json": ({"a-1": NOTE, "a-2": NOTE}, lambda folder: find_notes(folder, NoteFilter())),
    "packs.json": ({"p": PACK, "q": PACK}, lambda folder: find_recordings(folder, "packs.json", Labels())),
}


@pytest.mark.parametrize("name", JSON_FILES)
def test_damaged_json_is_read_or_refused_in_a_sentence(tmp_path, name):
    value, read = JSON_FILES[name]
    (tmp_path / "kicks").mkdir()
    (tmp_path / "kicks/a.wav").touch()
    rng, refused = random.Random(name), 0
    for number in range(TRIES * 2):
        if number % 2:
            text = json.dumps(changed(value, rng)).encode()
        else:
            text = mutated(json.dumps(value).encode(), rng)
        (tmp_path / name).write_bytes(text)
        try:
            read(tmp_path)
        except ValueError as error:
            refused += 1
            assert (name in str(error) or tmp_path.name in str(error)) and "\n" not in str(error), error
    assert refused > TRIES / 4


def test_damaged_tables_are_read_or_refused_in_a_sentence(tmp_path):
    rng = random.Random(0)
    content = b'file,kit,label\nkick/a.wav,tr808,"bass, drum"\nb.wav,,snare\nc.wav,x,y\n' * 3
    labels = Labels(csv="t.csv", columns={"sample_pack_key": "kit", "instrument": "label"})
    for _ in range(TRIES * 2):
        (tmp_path / "t.csv").write_bytes(mutated(content, rng))
        try:
            assert find_recordings(tmp_path, "m.json", labels)
        except ValueError as error:
            assert str(tmp_path / "t.csv") in str(error) or "holds no recordings" in str(error), error


@pytest.mark.filterwarnings("ignore:Detected pickle protocol", "ignore:TypedStorage")
def test_damaged_tensor_files_are_read_or_refused(tmp_path):
    file = io.BytesIO()
    torch.save({"f0_hz": torch.ones(20), "loudness_db": torch.zeros(20)}, file)
    rng = random.Random(0)
    for _ in range(TRIES * 2):
        (tmp_path / "a.pt").write_bytes(mutated(file.getvalue(), rng))
        try:
            load_tensors(tmp_path / "a.pt")
        except ValueError as error:
            assert "is no tensor file" in str(error)
