"""The Hugging Face hub as a store, against a stand-in server."""

import time
from types import SimpleNamespace

import pytest
from hub_server import LARGE, PART, hub_server

from drumblender import dataset_cli
from drumblender.cli import run
from drumblender.data.prepare.fetch import Remote, download
from drumblender.data.prepare.hub import HubStore, split_address
from drumblender.data.prepare.storage import ChangedError, StorageError, open_store
from drumblender.inference.shelf import from_hub

pytest.importorskip("huggingface_hub", reason="needs the extra [hub]")
CONTENT = bytes(range(256)) * 5000  # more than a block


@pytest.fixture(autouse=True)
def at_once(monkeypatch):
    """Retries do not wait, and large files go by git-lfs: the hub's newer protocol needs its own servers."""
    waits = SimpleNamespace(sleep=lambda seconds: None, time=time.time)
    monkeypatch.setattr("huggingface_hub.utils._http.time", waits)
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_DISABLE_XET", True)


@pytest.fixture
def hub(monkeypatch, tmp_path):
    repositories = {"me/drums": {"a.ckpt": CONTENT, "README.md": b"hello"}, "datasets/me/kits": {}}
    with hub_server(repositories) as address:
        monkeypatch.setenv("HF_ENDPOINT", address)
        monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path / "cache"))
        yield repositories


def test_reads_lists_and_goes_on_in_the_middle(hub, tmp_path):
    store = open_store("hf://me/drums")
    assert isinstance(store, HubStore)
    stat = store.stat("a.ckpt")
    assert stat.size == len(CONTENT) and list(store.keys("")) == ["README.md", "a.ckpt"]
    assert b"".join(store.read("a.ckpt", 1000, stat.etag)) == CONTENT[1000:]
    assert download(store, "a.ckpt", tmp_path / "a.ckpt").read_bytes() == CONTENT
    with pytest.raises(ChangedError, match="changed while it was read"):
        list(store.read("a.ckpt", 0, "another"))


def test_uploads_to_a_repository_that_it_makes(hub, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "set.tar.gz").write_bytes(b"packed")
    place = Remote(url="hf://datasets/me/kits").upload("set.tar.gz")
    assert place == "hf://datasets/me/kits/set.tar.gz" and hub["datasets/me/kits"] == {
        "set.tar.gz": b"packed"
    }
    open_store("hf://me/new").upload(tmp_path / "set.tar.gz", "sub/set.tar.gz")
    assert hub["me/new"] == {"sub/set.tar.gz": b"packed"}


@pytest.mark.parametrize("size", [LARGE, PART + 5])  # in one piece, in two
def test_large_files_go_by_git_lfs_and_come_back(hub, tmp_path, size):
    content = bytes(range(256)) * (size // 256 + 1)
    (tmp_path / "big.tar.gz").write_bytes(content)
    store = open_store("hf://datasets/me/kits")
    assert store.upload(tmp_path / "big.tar.gz", "big.tar.gz") == "hf://datasets/me/kits/big.tar.gz"
    assert hub["datasets/me/kits"]["big.tar.gz"] == content
    assert download(store, "big.tar.gz", tmp_path / "back.tar.gz").read_bytes() == content


def test_the_data_set_command_uploads_a_large_archive(hub, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "kits.tar.gz").write_bytes(CONTENT)
    address = "--data.remote.url=hf://datasets/me/kits"
    data = "cfg/data/folder.yaml"
    assert dataset_cli.main([data, address, "--upload", "kits.tar.gz"]) == 0
    assert hub["datasets/me/kits"] == {"kits.tar.gz": CONTENT}


def test_a_hub_without_room_is_told_in_one_line(monkeypatch, tmp_path):
    (tmp_path / "big").write_bytes(CONTENT)
    with hub_server({"me/drums": {}}, full=True) as address:
        monkeypatch.setenv("HF_ENDPOINT", address)
        with pytest.raises(StorageError, match="hf://me/drums/big: the hub took no upload.*quota exceeded"):
            open_store("hf://me/drums").upload(tmp_path / "big", "big")


def test_the_one_checkpoint_of_a_repository_is_found(hub):
    assert from_hub("hf://me/drums").read_bytes() == CONTENT
    hub["me/drums"]["b.ckpt"] = b"other"
    with pytest.raises(ValueError, match="holds several: a.ckpt, b.ckpt; name one"):
        from_hub("hf://me/drums")
    assert from_hub("hf://me/drums/b.ckpt").read_bytes() == b"other"


@pytest.mark.parametrize(
    "address, told",
    [
        ("hf://me/nothing/a.ckpt", "no such repository, or a private one: set HF_TOKEN"),
        ("hf://me/drums/z.ckpt", "hf://me/drums/z.ckpt does not exist"),
        ("hf://me", "is no address on the hub, such as hf://owner/name"),
        ("hf://me/../drums", "is no address on the hub"),
    ],
)
def test_what_is_not_there_is_told(hub, address, told):
    with pytest.raises(StorageError, match=told):
        from_hub(address)


def test_a_refused_upload_names_the_token(monkeypatch, tmp_path):
    (tmp_path / "a").write_bytes(b"a")
    with hub_server({}, token="secret") as address:
        monkeypatch.setenv("HF_ENDPOINT", address)
        with pytest.raises(StorageError, match="set HF_TOKEN"):
            open_store("hf://me/drums").upload(tmp_path / "a", "a")


def test_no_server_is_told_in_one_line(monkeypatch, tmp_path):
    with hub_server({}) as address:
        pass  # closed again
    monkeypatch.setenv("HF_ENDPOINT", address)
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path / "cache"))
    with pytest.raises(StorageError, match="no connection"):
        from_hub("hf://me/drums")


def test_addresses():
    assert split_address("hf://datasets/me/kits/a/b.wav") == ("dataset", "me/kits", "a/b.wav")
    with pytest.raises(StorageError, match="a store is a repository"):
        HubStore("hf://me/drums/a.ckpt")


def test_the_command_line_takes_an_address(hub, capfd, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert run(["synth", "hf://me/drums", "in.wav", "out.wav"]) == 1
    assert "No recording in.wav" in capfd.readouterr().err  # so the checkpoint is there
    assert run(["synth", "hf://me/nothing", "in.wav", "out.wav"]) == 1
    (told,) = capfd.readouterr().err.splitlines()
    assert "hf://me/nothing: no such repository, or a private one" in told
