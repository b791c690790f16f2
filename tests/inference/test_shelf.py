"""Checkpoints by name: the index and its digests, files that are missing, others or damaged."""

import json
import pickle
import zipfile
from dataclasses import asdict
from pathlib import Path

import pytest
import torch
import yaml

import drumblender as db
from drumblender.atomic import sha256_of
from drumblender.cli import card_rows, run
from drumblender.inference.shelf import find_checkpoint
from drumblender.shipped import Shipped, no_such_checkpoint, read_index, shipped_row
from drumblender.weights_check import load_weights

ROW = {
    "system": "drums",
    "file": "kit.ckpt",
    "sha256": "0" * 64,
    "size": 4,
    "data": "made up",
    "licence": "Apache-2.0",
    "trained": {"seed": 1},
    "metrics": {"mrstft": 1.0},
    "baselines": {"silence": {"mrstft": 4.0}, "untrained": {"mrstft": 1.5}},
}


@pytest.fixture
def shelf(tmp_path, monkeypatch):
    """A folder of checkpoints in place of the package's; gives a function that writes its index."""
    folder = tmp_path / "shelf"
    folder.mkdir()
    (folder / "kit.ckpt").write_bytes(b"four")
    for module in ("shipped", "inference.shelf"):
        monkeypatch.setattr(f"drumblender.{module}.shipped_dir", lambda name: folder)
    monkeypatch.setenv("DRUMBLENDER_CACHE", str(tmp_path / "cache"))

    def write(**changed):
        row = ROW | {
            "sha256": sha256_of(folder / "kit.ckpt") if (folder / "kit.ckpt").is_file() else "0" * 64
        }
        (folder / "index.yaml").write_text(yaml.safe_dump({"kit": row | changed}))
        return folder

    write()
    return write


def complaint(capfd, *args, status=1):
    capfd.readouterr()
    assert run(list(args)) == status
    lines = [line for line in capfd.readouterr().err.splitlines() if line.startswith("drumblender: ")]
    assert len(lines) == 1
    return lines[0]


@pytest.mark.parametrize("name", ["kit", "kit.ckpt", "checkpoints/kit", "checkpoints/kit.ckpt"])
def test_a_name_stands_for_a_file_from_any_folder(shelf, name, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert find_checkpoint(name).read_bytes() == b"four"


def test_a_file_of_that_path_wins(shelf, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path("checkpoints").mkdir()
    Path("checkpoints/kit").write_bytes(b"mine")
    assert find_checkpoint("checkpoints/kit").read_bytes() == b"mine"


def test_who_heard_made_up_sounds_is_told_what_the_card_says(shelf):
    ((_, said),) = card_rows(shipped_row("kit"))
    assert "beats its best baseline by 33 % (mrstft 1; untrained 1.5)" in said and "kit.md" in said


def test_a_name_that_is_none_is_told_with_near_ones(shelf, capfd):
    with pytest.raises(FileNotFoundError, match="No checkpoint kitt: did you mean kit"):
        db.load("kitt")
    assert "did you mean" not in no_such_checkpoint("zzzzzz")
    assert "did you mean kit" in complaint(capfd, "synth", "checkpoints/kitt", "a.wav", "b.wav")
    assert "did you mean kit" in complaint(capfd, "checkpoints", "kti")
    assert shipped_row("../kit") is None


def test_another_file_than_the_index_tells_of_is_refused(shelf, capfd):
    shelf(sha256="1" * 64)
    with pytest.raises(ValueError, match="is not the checkpoint kit that the index tells of.*reinstall"):
        find_checkpoint("kit")
    assert "other sha256" in complaint(capfd, "test", "checkpoints/kit")


def test_an_index_that_is_not_there(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"No index of checkpoints, .*: reinstall"):
        read_index(tmp_path / "index.yaml")


def test_weights_that_a_training_lost_are_told_by_name():
    layer = torch.nn.Linear(2, 1)
    lost = layer.state_dict() | {"bias": torch.tensor([float("nan")])}
    with pytest.raises(ValueError, match=r"run.ckpt hold NaN \(bias\)"):
        load_weights(layer, lost, source="run.ckpt")


def test_an_index_that_names_what_is_missing(shelf):
    (shelf() / "kit.ckpt").unlink()
    with pytest.raises(ValueError, match="index.yaml names kit.ckpt .kit., which is not there: reinstall"):
        find_checkpoint("kit")


def test_a_large_one_is_fetched_once_by_its_digest(shelf, tmp_path):
    folder = shelf()
    store = tmp_path / "store"
    store.mkdir()
    digest = sha256_of(folder / "kit.ckpt")
    (folder / "kit.ckpt").rename(store / "kit.ckpt")
    shelf(url=f"{store}/kit.ckpt", sha256=digest)
    assert find_checkpoint("kit").read_bytes() == b"four"
    (store / "kit.ckpt").unlink()
    assert find_checkpoint("kit").read_bytes() == b"four"
    find_checkpoint("kit").write_bytes(b"evil")
    with pytest.raises(ValueError, match="remove it, and it is fetched anew"):
        find_checkpoint("kit")


def test_a_fetched_file_of_another_digest_does_not_stay(shelf, tmp_path):
    (shelf() / "kit.ckpt").rename(tmp_path / "kit.ckpt")
    shelf(url=f"{tmp_path}/kit.ckpt", sha256="2" * 64)
    with pytest.raises(RuntimeError, match="not the file expected"):
        find_checkpoint("kit")
    assert not list((tmp_path / "cache").rglob("kit.ckpt"))


@pytest.mark.parametrize(
    "text, told",
    [
        ("[1, 2]", "no index of checkpoints"),
        ("kit: 3", "no index of checkpoints"),
        ("kit: {", "is no YAML"),
        (yaml.safe_dump({"kit": {k: v for k, v in ROW.items() if k != "sha256"}}), "kit: sha256 is missing"),
        (yaml.safe_dump({"kit": ROW | {"colour": 1}}), "kit: colour is unknown"),
        (yaml.safe_dump({"kit": ROW | {"size": "big"}}), "kit: size is 'big'"),
        (yaml.safe_dump({"kit": ROW | {"sha256": "abc"}}), "no digest"),
        (yaml.safe_dump({"kit": ROW | {"file": "../../etc/passwd"}}), "are plain names"),
        (yaml.safe_dump({"../kit": ROW}), "are plain names"),
        (yaml.safe_dump({"shared": [1], "rows": {}}), "no index of checkpoints"),
        (yaml.safe_dump({"shared": {}, "rows": {"kit": {"size": 4}}}), "kit: data is missing"),
    ],
)
def test_an_index_that_is_none(tmp_path, text, told):
    (tmp_path / "index.yaml").write_text(text)
    with pytest.raises(ValueError, match=told):
        read_index(tmp_path / "index.yaml")


class Evil:
    def __reduce__(self):
        return (Path.touch, (Path("touched"),))


def _bad_files(folder):
    torch.save({"state_dict": {}, "x": Evil()}, folder / "code.ckpt")
    (folder / "bare.ckpt").write_bytes(pickle.dumps({"x": Evil()}))
    torch.save({"state_dict": {"a": torch.ones(1000)}}, folder / "whole.ckpt")
    (folder / "cut.ckpt").write_bytes((folder / "whole.ckpt").read_bytes()[:2000])
    with zipfile.ZipFile(folder / "zip.ckpt", "w") as file:
        file.writestr("readme.txt", "hello")
    (folder / "text.ckpt").write_text("PK\x03\x04 no zip")
    (folder / "empty.ckpt").write_bytes(b"")
    config = {"model": {"class_path": "os.system", "init_args": {}}, "data": {"class_path": "x.Y"}}
    record = {"version": db.__version__, "sample_rate": 16000, "config": config}
    torch.save({"state_dict": {}, "drumblender": record}, folder / "config.ckpt")


@pytest.mark.parametrize(
    "name, told",
    [
        ("code", "holds more than tensors and plain values"),
        ("bare", "is not loaded|is not a checkpoint"),
        ("cut", "is not a checkpoint, or is damaged"),
        ("zip", "is not a checkpoint, or is damaged"),
        ("text", "is not a checkpoint, or is damaged"),
        ("empty", "is not a checkpoint, or is damaged"),
        ("whole", "is not a drumblender checkpoint"),
        ("config", "model names os.system, which no checkpoint may run"),
    ],
)
def test_a_bad_file_is_told_in_one_line_and_runs_nothing(tmp_path, monkeypatch, name, told):
    monkeypatch.chdir(tmp_path)
    _bad_files(tmp_path)
    with pytest.raises(ValueError, match=told):
        db.load(f"{name}.ckpt")
    assert not Path("touched").exists()


def test_the_table_and_its_json(shelf, capfd):
    assert run(["checkpoints"]) == 0
    table = capfd.readouterr().out
    assert "kit" in table and "mrstft 1" in table and "untrained" in table
    assert run(["checkpoints", "kit", "--json"]) == 0
    (told,) = json.loads(capfd.readouterr().out)
    assert Shipped(**told) == shipped_row("kit") and told == asdict(shipped_row("kit"))


def test_a_family_is_one_line_with_one_card_and_many_names(shelf, capfd):
    folder = shelf()
    (folder / "snares").mkdir()
    (folder / "kit.ckpt").rename(folder / "snares" / "s_1.ckpt")
    shared = {name: ROW[name] for name in ("system", "data", "licence", "trained", "baselines", "metrics")}
    row = {"file": "s_1.ckpt", "size": 4, "sha256": sha256_of(folder / "snares" / "s_1.ckpt")}
    index = {"shared": shared, "rows": {"s_1": row, "s_2": row | {"file": "s_2.ckpt"}}}
    (folder / "snares" / "index.yaml").write_text(yaml.safe_dump(index))
    assert find_checkpoint("checkpoints/s_1").read_bytes() == b"four"
    assert shipped_row("s_1").family == "snares"
    with pytest.raises(ValueError, match="snares/index.yaml names s_2.ckpt .s_2., which is not there"):
        find_checkpoint("s_2")
    assert "is a family of 2 checkpoints, such as s_1" in complaint(capfd, "test", "checkpoints/snares")
    (folder / "snares.md").write_text("# snares\n\nAll of them.\n")
    assert run(["checkpoints"]) == 0
    table = capfd.readouterr().out
    assert "2 x 0" in table and "s_2" in table
    for name in ("snares", "s_2"):
        assert run(["checkpoints", name]) == 0
        assert "All of them." in capfd.readouterr().out
    assert run(["checkpoints", "snares", "--json"]) == 0
    assert [each["name"] for each in json.loads(capfd.readouterr().out)] == ["s_1", "s_2"]


def test_a_card_is_shown_or_missed(shelf, capfd):
    assert "has no card" in complaint(capfd, "checkpoints", "kit")
    (shelf() / "kit.md").write_text("# kit\n\nPlays a *kit*.\n")
    assert run(["checkpoints", "kit"]) == 0
    assert "Plays a kit." in capfd.readouterr().out
