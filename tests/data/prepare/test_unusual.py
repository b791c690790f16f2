"""Recordings as people have them: odd names, links, suffixes, channels, offsets. None is lost in silence."""

import json
import os

import numpy as np
import pytest
import soundfile
import torch

from drumblender.data import AudioDataModule
from drumblender.data.prepare.manifest import load_manifest
from drumblender.data.prepare.one_shot import one_shot
from drumblender.data.prepare.raw import Labels, find_recordings

RATE = 8000
TIME = np.arange(RATE // 2) / RATE
HIT = (0.6 * np.exp(-8 * TIME) * np.sin(2 * np.pi * 180 * TIME)).astype("float32")


def write(path, sound=HIT, **settings):
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("wb") as file:
        soundfile.write(file, sound, RATE, **({"format": "WAV"} | settings))


def prepared(folder, **settings):
    """Sources of what is kept, and reasons by source of what is not."""
    data = AudioDataModule(
        str(folder / "set"), raw_dir=str(folder / "raw"), sample_rate=RATE, num_samples=4000, **settings
    )
    data.preprocess(jobs=1)
    assert data.verify() == []
    kept = sorted(item.source for item in load_manifest(data.data_dir / "manifest.json").values())
    listed = json.loads((data.data_dir / "rejected.json").read_text(encoding="utf-8"))
    return kept, {one["source"]: one["reason"] for one in listed}


def test_names_that_are_no_unicode_are_kept_or_rejected_by_name(tmp_path):
    write(tmp_path / "raw/kick/good.wav")
    write(tmp_path / "raw" / os.fsdecode(b"gro\xdfe") / os.fsdecode(b"caf\xe9.wav"))
    (tmp_path / "raw" / os.fsdecode(b"bad\xff.wav")).write_bytes(b"no sound" * 99)
    kept, rejected = prepared(tmp_path)
    assert kept == ["gro\\xdfe/caf\\xe9.wav", "kick/good.wav"]
    assert rejected == {"bad\\xff.wav": "is no audio file"}


def test_linked_folders_are_prepared_too(tmp_path):
    write(tmp_path / "raw/kick/hit.wav")
    for number in range(3):
        write(tmp_path / f"packs/snare/{number}.wav", HIT * (number + 1) / 3)
    (tmp_path / "raw/snare").symlink_to(tmp_path / "packs/snare")
    (tmp_path / "raw/kick/again").symlink_to(tmp_path / "raw")
    kept, rejected = prepared(tmp_path)
    assert kept == ["kick/hit.wav", "snare/0.wav", "snare/1.wav", "snare/2.wav"] and not rejected


def test_every_suffix_is_kept_or_listed(tmp_path):
    for name in ("a.wav", "b.wave", "c.bwf", "e.snd", "f.W64"):
        write(tmp_path / "raw" / name, format="AU" if name == "e.snd" else "WAV")
    (tmp_path / "raw/d.m4a").write_bytes(bytes(2000))
    (tmp_path / "raw/x.txt").write_text("no sound")
    write(tmp_path / "raw/__MACOSX/._a.wav")
    write(tmp_path / "raw/._b.wave")
    os.mkfifo(tmp_path / "raw/pipe.wav")
    (tmp_path / "raw/link.wav").symlink_to("nowhere.wav")
    kept, rejected = prepared(tmp_path)
    assert kept == ["a.wav", "b.wave", "c.bwf", "e.snd", "f.W64"]
    assert "convert it to WAV" in rejected.pop("d.m4a")
    assert rejected == {"pipe.wav": "is no regular file", "link.wav": "is a link to nothing"}


@pytest.mark.parametrize(
    "channel, kept, words",
    [
        ("auto", ["anti.wav", "left.wav", "right.wav"], "in the first channel"),
        ("first", ["anti.wav", "left.wav"], "in the first channel"),
        ("mean", ["left.wav", "right.wav"], "in the mean of 2 channels"),
    ],
)
def test_the_reason_for_silence_names_threshold_and_channel(tmp_path, channel, kept, words):
    write(tmp_path / "raw/left.wav", np.stack([HIT, 0 * HIT], axis=1))
    write(tmp_path / "raw/right.wav", np.stack([0 * HIT, HIT], axis=1))
    write(tmp_path / "raw/anti.wav", np.stack([HIT, -HIT], axis=1))
    write(tmp_path / "raw/none.wav", np.stack([0 * HIT, 0 * HIT], axis=1))
    write(tmp_path / "raw/mono.wav", 0 * HIT)
    found, rejected = prepared(tmp_path, channel=channel)
    assert found == kept
    assert rejected.pop("mono.wav") == "is silent (below -60 dB)"
    assert all(
        rejected[name] == f"is silent (below -60 dB {words})" for name in rejected if name != "mono.wav"
    )


@pytest.mark.parametrize("dc, start_s", [("remove", 0.0), ("keep", 1.0)])
def test_an_offset_is_no_sound_unless_it_is_kept(tmp_path, dc, start_s):
    write(tmp_path / "a.wav", np.concatenate([np.zeros(RATE), HIT]) + 0.01)
    audio = one_shot(tmp_path / "a.wav", 48000, 96000, dc=dc)
    start = (audio - audio[:64].mean()).abs().gt(0.2).float().argmax().item() / 48000
    assert start == pytest.approx(start_s, abs=0.01)


def test_an_offset_alone_is_silence(tmp_path):
    write(tmp_path / "raw/dc.wav", np.full(RATE, 0.3))
    assert prepared(tmp_path)[1] == {"dc.wav": "is silent (below -60 dB)"}


def test_a_hit_after_the_longest_that_is_read_counts_as_silent(tmp_path):
    write(tmp_path / "raw/late.wav", np.concatenate([np.zeros(3 * RATE), HIT]))
    write(tmp_path / "raw/long.wav", np.concatenate([HIT, np.zeros(3 * RATE)]))
    kept, rejected = prepared(tmp_path, longest_s=2.0)
    assert kept == ["long.wav"]
    assert rejected == {"late.wav": "is silent (below -60 dB for the first 2 s)"}


def test_more_samples_than_are_ever_read_are_refused():
    with pytest.raises(ValueError, match="num_samples=1000000000000 .*longest_s"):
        AudioDataModule("set", num_samples=10**12)


def test_a_full_disk_is_one_sentence_and_the_next_run_goes_on(tmp_path, monkeypatch):
    import errno

    from drumblender import atomic
    from drumblender.console import one_line

    for number in range(6):
        write(tmp_path / f"raw/{number}.wav", HIT * (number + 1) / 6)
    sync, done = atomic.sync, []

    def full_after_three(path):
        if path.suffix == atomic.PART and "wav" in path.name:
            done.append(path)
            if len(done) > 3:
                raise OSError(errno.ENOSPC, "No space left on device")
        sync(path)

    monkeypatch.setattr(atomic, "sync", full_after_three)
    with pytest.raises(OSError) as raised:
        prepared(tmp_path)
    assert one_line(raised.value).startswith("The disk is full (") and "make room" in one_line(raised.value)
    assert not list(tmp_path.rglob("*.part"))
    monkeypatch.setattr(atomic, "sync", sync)
    assert len(prepared(tmp_path)[0]) == 6


@pytest.mark.parametrize(
    "packs, words",
    [
        ([], "names no packs"),
        ({"p": None}, "pack 'p' needs a type"),
        ({"p": {"type": 3, "folders": []}}, "pack 'p' needs a type"),
        ({"p": {"type": "a", "folders": "kicks"}}, "no list and no object"),
        ({"p": {"type": "a", "folders": {"f": {}}}}, "folder 'f' of pack 'p' needs a path"),
        ({"p": {"type": "a", "folders": [3]}}, "needs a path"),
        ({"p": {"type": "a", "folders": ["../.."]}}, "leads out of the raw folder"),
        ({"p": {"type": "a", "folders": ["/etc"]}}, "leads out of the raw folder"),
    ],
)
def test_metadata_of_another_form_is_one_sentence(tmp_path, packs, words):
    (tmp_path / "m.json").write_text(json.dumps(packs))
    with pytest.raises(ValueError, match=f"m.json.*{words}"):
        find_recordings(tmp_path, "m.json", Labels())


@pytest.mark.parametrize(
    "table, words",
    [
        (b"", "has no column 'file'; its columns: none"),
        (b"file,kit\n\n,x\n", "line 3: 'file' names no file"),
        (b"kit,file\nx\n", "line 2: 'file' names no file"),
        (b"file\na\0b.wav\n", "line 2"),
        (b"file\ncaf\xe9.wav\n", "no UTF-8 text"),
        (b'file,kit\n"a.wav,x\n', "unexpected end of data"),
        (b"file\n" + b"a" * 200_000 + b"\n", "field larger than field limit"),
    ],
    ids=["empty", "blank", "short", "nul", "latin1", "quote", "huge"],
)
def test_a_table_of_another_form_is_one_sentence(tmp_path, table, words):
    (tmp_path / "t.csv").write_bytes(table)
    with pytest.raises(ValueError, match=f"t.csv.*{words}"):
        find_recordings(tmp_path, "m.json", Labels(csv="t.csv"))


def test_the_table_of_a_spreadsheet_is_read(tmp_path):
    (tmp_path / "t.csv").write_bytes(b'\xef\xbb\xbffile,label\r\na.wav,"bass, drum"\r\n')
    (one,) = find_recordings(tmp_path, "m.json", Labels(csv="t.csv", columns={"instrument": "label"}))
    assert one.tags == {"instrument": "bass, drum"}


def test_prepared_audio_does_not_depend_on_a_bit_of_what_is_not_asked(tmp_path):
    """What published configurations ask for is what the first version did: first channel, offset kept."""
    write(tmp_path / "a.wav", np.stack([HIT, HIT / 2], axis=1) + 0.02, subtype="FLOAT")
    audio = one_shot(tmp_path / "a.wav", RATE, 4000, channel="first", dc="keep")
    assert torch.equal(audio, torch.from_numpy(HIT + np.float32(0.02)))
