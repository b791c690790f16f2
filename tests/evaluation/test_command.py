"""`drumblender kad`, from the command line."""

import json
import sys

import pytest
import torch

from drumblender.audio_io import write_wav
from drumblender.cli import run


def write_sounds(folder, count=6, rate=8000, seed=0, gain=0.5):
    generator = torch.Generator().manual_seed(seed)
    for number in range(count):
        fade = torch.exp(-torch.arange(2000) / (200 + 50 * number))
        write_wav(folder / f"{number}.wav", gain * fade * torch.randn(2000, generator=generator), rate)
    return folder


@pytest.fixture(autouse=True)
def own_cache(tmp_path, monkeypatch):
    monkeypatch.setenv("DRUMBLENDER_CACHE", str(tmp_path / "cache"))


def kad(capsys, *args):
    status = run(["kad", *map(str, args)])
    return status, *capsys.readouterr()


def test_tells_both_distances_and_writes_them(tmp_path, capsys):
    target = write_sounds(tmp_path / "target")
    pred = write_sounds(tmp_path / "pred", seed=1, gain=0.1)
    options = ["--embedding", "mfcc", "--resamples", "50", "--output", tmp_path / "kad.json"]
    status, out, _ = kad(capsys, target, pred, *options)
    record = json.loads((tmp_path / "kad.json").read_text())
    assert status == 0 and f"KAD  {record['kad']:.4f}" in out and f"FAD  {record['fad']:.4f}" in out
    assert record["kad_low"] < record["kad"] < record["kad_high"] and record["items"] == [6, 6]
    assert "the median of pred" in out and "FAD of 6 items in 60 dimensions" in out
    assert "below 0" not in out
    _, other, _ = kad(capsys, target, pred, *options, "--bandwidth", "target")
    assert "the median of target" in other and other.splitlines()[1] != out.splitlines()[1]


def test_near_copies_are_explained(tmp_path, capsys):
    target = write_sounds(tmp_path / "target")
    status, out, _ = kad(capsys, target, write_sounds(tmp_path / "pred"), "--embedding", "mfcc")
    assert status == 0 and "KAD is below 0" in out and "near copies" in out


def test_what_is_odd_about_the_sets_is_said(tmp_path, capsys):
    target = write_sounds(tmp_path / "target")
    pred = write_sounds(tmp_path / "pred", count=4, rate=16000)
    write_wav(pred / "quiet.wav", torch.zeros(2000), 16000)
    (pred / "notes.txt").write_text("no sound")
    _, out, _ = kad(capsys, target, pred, "--embedding", "mfcc", "--resamples", "0")
    assert "3 names are in one folder only (4, 5, quiet)" in out
    assert "above 4000 Hz only one can sound" in out
    assert f"1 of 5 sounds in {pred} are silent (quiet.wav)" in out
    assert "95 %" not in out


def test_folders_below_a_folder_are_read_too(tmp_path, capsys):
    target = write_sounds(tmp_path / "target")
    flat = kad(
        capsys, target, write_sounds(tmp_path / "flat", seed=1), "--embedding", "mfcc", "--resamples=0"
    )
    write_sounds(tmp_path / "deep" / "kick", seed=1)
    deep = kad(capsys, target, tmp_path / "deep", "--embedding", "mfcc", "--resamples=0")
    assert flat[0] == deep[0] == 0 and flat[1].splitlines()[:3] == deep[1].splitlines()[:3]


def test_bad_folders_are_one_line(tmp_path, capsys):
    write_sounds(tmp_path / "run" / "target")
    write_sounds(tmp_path / "run" / "pred")
    write_sounds(tmp_path / "one", count=1)
    good = tmp_path / "run" / "target"
    for folder, message in (
        (tmp_path / "none", "is no folder of sounds"),
        (tmp_path / "one", "has 1 sounds; a distance of sets needs two at least."),
        (tmp_path / "run", "is that of a test: its target/ and pred/ are folders"),
    ):
        status, _, err = kad(capsys, good, folder, "--embedding", "mfcc")
        assert status == 1 and message in err and err.count("\n") == 1
    (tmp_path / "one" / "bad.wav").write_text("no sound")
    status, _, err = kad(capsys, good, tmp_path / "one", "--embedding", "mfcc")
    assert status == 1 and "has 1 sounds that can be used" in err


def test_sounds_that_cannot_be_used_are_left_out_and_counted(tmp_path, capsys, caplog):
    target, pred = write_sounds(tmp_path / "target"), write_sounds(tmp_path / "pred", seed=1)
    (pred / "0.wav").write_bytes(b"")
    (pred / "bad.wav").write_text("no sound")
    status, out, _ = kad(capsys, target, pred, "--embedding", "mfcc", "--resamples", "0")
    assert status == 0 and f"2 of 7 sounds in {pred} are left out" in out
    assert "0.wav: is an empty file" in caplog.text and "bad.wav: is no audio file" in caplog.text
    (pred / "0.wav").unlink()
    (pred / "bad.wav").unlink()
    alone = kad(capsys, target, pred, "--embedding", "mfcc", "--resamples", "0")[1]
    assert alone.splitlines()[:3] == out.splitlines()[:3]


def test_a_wrong_command_line_is_told(tmp_path, capsys):
    status, _, err = kad(capsys, tmp_path, tmp_path, "--resamples", "-3")
    assert status == 2 and "whole number of 0 or more" in err


FAKE = """
import sys
from pathlib import Path
import numpy as np
model, *folders = sys.argv[1:4]
if model == "broken":
    sys.exit("no such model")
for folder in map(Path, folders):
    (folder / "embeddings" / model).mkdir(parents=True)
    for place, file in enumerate(sorted(folder.glob("*.wav"))):
        point = np.array([[place, folder.name == "pred", 1]], dtype=np.float16)
        np.save(folder / "embeddings" / model / (file.stem + ".npy"), point)
print("Score: tensor(12.5)")
"""


def test_kadtk_gives_its_distance_and_ours_of_its_embeddings(tmp_path, capsys, monkeypatch):
    (tmp_path / "module").mkdir()
    (tmp_path / "module" / "kadtk.py").write_text(FAKE)
    monkeypatch.setenv("PYTHONPATH", str(tmp_path / "module"))
    folders = write_sounds(tmp_path / "target"), write_sounds(tmp_path / "pred")
    status, out, _ = kad(capsys, *folders, "--kadtk", sys.executable, "--embedding", "vggish")
    assert status == 0 and "vggish: 6 target and 6 predicted sounds, 3 dimensions" in out
    assert "KAD  12.5000   by kadtk" in out and out.count("KAD  ") == 2
    assert "FAD  1.0000" in out  # one apart in one dimension
    status, _, err = kad(capsys, *folders, "--kadtk", sys.executable, "--embedding", "broken")
    assert status == 1 and "kadtk ended with status 1: no such model" in err
    status, _, err = kad(capsys, *folders, "--kadtk", tmp_path / "none")
    assert status == 1 and "is no Python" in err
