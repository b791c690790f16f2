import base64
import hashlib
import json
import logging
import shutil
from pathlib import Path

import boto3
import pytest
from data.servers import CuttingProxy, serving
from moto.server import ThreadedMotoServer

from drumblender.data.nsynth_raw import Archives
from drumblender.data.prepare import fetch
from drumblender.data.prepare.archive import pack
from drumblender.data.prepare.fetch import Remote, download
from drumblender.data.prepare.storage import KEY_NAMES, ChangedError, StorageError, open_store

CONTENT = bytes(range(256)) * 20_000  # 5 MB
SECRET = "a-secret-that-no-log-may-hold"


@pytest.fixture(scope="module")
def s3():
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    port = server.get_host_and_port()[1]
    keys = {"aws_access_key_id": "key", "aws_secret_access_key": SECRET, "region_name": "us-east-1"}
    client = boto3.client("s3", endpoint_url=f"http://127.0.0.1:{port}", **keys)
    client.create_bucket(Bucket="sets")
    client.port = port
    yield client
    server.stop()


@pytest.fixture(autouse=True)
def credentials(monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)  # no .env of the developer's
    monkeypatch.setenv(KEY_NAMES[0], "key")
    monkeypatch.setenv(KEY_NAMES[1], SECRET)


def store_of(s3, port=None):
    return open_store(f"http://127.0.0.1:{port or s3.port}", "sets")


def test_a_bucket_gives_back_what_it_got(s3, tmp_path):
    (tmp_path / "a.bin").write_bytes(CONTENT)
    store_of(s3).upload(tmp_path / "a.bin", "up/a.bin")
    download(store_of(s3), "up/a.bin", tmp_path / "b.bin", sha256=hashlib.sha256(CONTENT).hexdigest())
    assert (tmp_path / "b.bin").read_bytes() == CONTENT
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.bin", "b.bin"]


def test_a_bucket_is_listed_over_pages(s3, monkeypatch):
    monkeypatch.setenv("MOTO_S3_DEFAULT_MAX_KEYS", "4")
    for number in range(10):
        s3.put_object(Bucket="sets", Key=f"many/{number:04}", Body=b"")
    assert s3.list_objects_v2(Bucket="sets", Prefix="many/")["IsTruncated"]
    assert len(list(store_of(s3).keys("many/"))) == 10


def test_a_dropped_bucket_connection_goes_on_where_it_stopped(s3, tmp_path):
    s3.put_object(Bucket="sets", Key="big", Body=CONTENT)
    proxy = CuttingProxy(s3.port)
    store = store_of(s3, proxy.port)
    proxy.cut_after = [2_000_000, 1_500_000]
    seen = []
    download(store, "big", tmp_path / "big", wait_s=0, on_bytes=seen.append)
    proxy.close()
    assert proxy.cut_after == []
    assert (tmp_path / "big").read_bytes() == CONTENT
    assert sum(seen) == len(CONTENT)  # nothing came twice


@pytest.mark.parametrize("ranges", [True, False])
def test_a_dropped_web_connection_goes_on_where_it_stopped(tmp_path, ranges):
    with serving(CONTENT) as server:
        server.cut_after, server.ranges = [2_000_000, 100_000], ranges
        download(open_store(server.url), "a.bin", tmp_path / "a.bin", wait_s=0)
        assert len(server.asked) >= 2 and server.asked[1].startswith("bytes=")
    assert (tmp_path / "a.bin").read_bytes() == CONTENT


def test_the_next_process_goes_on_with_what_the_last_one_left(tmp_path, monkeypatch):
    monkeypatch.setattr(fetch, "ATTEMPTS", 1)
    with serving(CONTENT) as server:
        server.cut_after = [3_000_000, 0, 0]
        with pytest.raises(StorageError, match="the next run goes on"):
            download(open_store(server.url), "a.bin", tmp_path / "a.bin", wait_s=0)
        assert not (tmp_path / "a.bin").exists()
        server.cut_after = []
        server.asked.clear()
        download(open_store(server.url), "a.bin", tmp_path / "a.bin")
        assert int(server.asked[0].removeprefix("bytes=").rstrip("-")) > 1_000_000
    assert (tmp_path / "a.bin").read_bytes() == CONTENT


def test_what_changed_meanwhile_is_not_glued_together(tmp_path, monkeypatch):
    monkeypatch.setattr(fetch, "ATTEMPTS", 1)
    with serving(CONTENT) as server:
        server.cut_after = [3_000_000, 0, 0]
        with pytest.raises(StorageError):
            download(open_store(server.url), "a.bin", tmp_path / "a.bin", wait_s=0)
        server.content, server.etag, server.cut_after = CONTENT[::-1], '"two"', []
        download(open_store(server.url), "a.bin", tmp_path / "a.bin")
    assert (tmp_path / "a.bin").read_bytes() == CONTENT[::-1]


def test_a_change_during_a_download_is_noticed(tmp_path):
    with serving(CONTENT) as server:
        store = open_store(server.url)
        etag = store.stat("a.bin").etag
        server.etag = '"two"'
        with pytest.raises(ChangedError):
            list(store.read("a.bin", 0, etag))


def test_another_digest_is_refused(tmp_path):
    with serving(CONTENT) as server, pytest.raises(StorageError, match="sha256"):
        download(open_store(server.url), "a.bin", tmp_path / "a.bin", sha256="0" * 64)
    assert not (tmp_path / "a.bin").exists()


def test_an_empty_object_is_a_file(tmp_path):
    with serving(b"") as server:
        download(open_store(server.url), "a.bin", tmp_path / "a.bin")
    assert (tmp_path / "a.bin").read_bytes() == b""


@pytest.mark.parametrize("status, said", [(404, "does not exist"), (403, "access denied"), (400, "HTTP 400")])
def test_the_web_says_what_went_wrong(status, said):
    with serving(b"") as server:
        server.status = status
        with pytest.raises(StorageError, match=said):
            open_store(server.url).stat("a.bin")


def test_a_bucket_says_what_went_wrong(s3):
    with pytest.raises(StorageError, match=r"sets/gone: does not exist \(HTTP 404\)"):
        store_of(s3).stat("gone")
    with pytest.raises(StorageError, match="does not exist"):
        list(open_store(f"http://127.0.0.1:{s3.port}", "nobucket").keys(""))


@pytest.mark.parametrize("bucket", [None, "sets"])
def test_no_network_is_one_line(bucket):
    with serving(b"") as server:
        url = server.url
    with pytest.raises(StorageError, match="no connection") as raised:
        open_store(url, bucket).stat("a.bin")
    assert "\n" not in str(raised.value)


def test_no_credentials_are_named(monkeypatch):
    monkeypatch.delenv(KEY_NAMES[1])
    with pytest.raises(StorageError, match=f"{KEY_NAMES[0]} and {KEY_NAMES[1]}"):
        open_store("http://127.0.0.1:1", "sets")


def test_credentials_come_from_a_dotenv_file(s3, monkeypatch, tmp_path):
    for name in KEY_NAMES:
        monkeypatch.delenv(name)
    (tmp_path / ".env").write_text(f"{KEY_NAMES[0]}=key\n{KEY_NAMES[1]}={SECRET}\n")
    s3.put_object(Bucket="sets", Key="one", Body=b"1")
    assert store_of(s3).stat("one").size == 1


def test_the_secret_stays_out_of_errors_and_logs(s3, caplog, tmp_path):
    with caplog.at_level(logging.DEBUG, logger="drumblender"):
        for attempt in (lambda: store_of(s3).stat("gone"), lambda: store_of(s3, 1).stat("a")):
            with pytest.raises(StorageError) as raised:
                attempt()
            assert SECRET not in str(raised.value)
    assert SECRET not in caplog.text


def test_a_small_disk_is_noticed_before_the_download(tmp_path, monkeypatch):
    monkeypatch.setattr(shutil, "disk_usage", lambda path: shutil._ntuple_diskusage(10, 9, 1))
    with serving(CONTENT) as server:
        with pytest.raises(StorageError, match="needs 5 MB"):
            download(open_store(server.url), "a.bin", tmp_path / "a.bin")
        assert server.asked == []


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no device that is always full")
def test_a_disk_that_fills_up_is_named():
    with pytest.raises(StorageError, match="disk of /dev is full"):
        fetch._append(iter([CONTENT]), Path("/dev/full"), lambda count: None)


def test_a_folder_is_a_store_too(tmp_path):
    store = open_store(str(tmp_path / "share"))
    (tmp_path / "a.bin").write_bytes(CONTENT)
    store.upload(tmp_path / "a.bin", "deep/a.bin")
    assert list(store.keys("deep/")) == ["deep/a.bin"]
    download(store, "deep/a.bin", tmp_path / "b.bin")
    assert (tmp_path / "b.bin").read_bytes() == CONTENT
    with pytest.raises(StorageError, match="does not exist"):
        store.stat("gone")


def test_a_raw_set_is_fetched_by_its_metadata(s3, tmp_path, caplog):
    packs = {"p": {"type": "acoustic", "folders": {"named": {"path": "kicks"}, "none": {"path": "nowhere"}}}}
    s3.put_object(Bucket="sets", Key="raw.json", Body=json.dumps(packs))
    for key in ("kicks/a.wav", "kicks/deep/b.wav", "kicksnot/c.wav"):
        s3.put_object(Bucket="sets", Key=key, Body=key.encode())
    remote = Remote(f"http://127.0.0.1:{s3.port}", "sets")
    remote.fetch_raw(tmp_path / "raw", "raw.json")
    found = sorted(path.relative_to(tmp_path / "raw").as_posix() for path in (tmp_path / "raw").rglob("*.*"))
    assert found == ["kicks/a.wav", "kicks/deep/b.wav", "raw.json"]
    assert "nowhere" in caplog.text


def test_a_raw_set_half_fetched_is_completed(s3, tmp_path):
    packs = {"p": {"type": "acoustic", "folders": ["toms"]}}
    s3.put_object(Bucket="sets", Key="toms.json", Body=json.dumps(packs))
    for key in ("toms/a.wav", "toms/b.wav"):
        s3.put_object(Bucket="sets", Key=key, Body=key.encode())
    remote, raw = Remote(f"http://127.0.0.1:{s3.port}", "sets"), tmp_path / "raw"
    remote.fetch_raw(raw, "toms.json")
    (raw / "toms/b.wav").unlink()
    remote.fetch_raw(raw, "toms.json")
    assert not (raw / "toms/b.wav").exists()  # complete: the user's own business
    (raw / ".download.part").touch()  # as a killed run leaves it
    remote.fetch_raw(raw, "toms.json")
    assert (raw / "toms/b.wav").read_bytes() == b"toms/b.wav"


def test_an_object_cannot_be_written_outside_the_folder(tmp_path):
    with pytest.raises(StorageError, match="outside"):
        fetch._inside(tmp_path / "raw", "kicks/../../evil.wav")


def test_an_archive_travels_through_a_bucket(s3, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "set").mkdir()
    (tmp_path / "set/m.json").write_text("{}")
    pack(tmp_path / "set", tmp_path / "set.tar.gz")
    remote = Remote(f"http://127.0.0.1:{s3.port}", "sets", "set.tar.gz")
    remote.upload("set.tar.gz")
    (tmp_path / "set.tar.gz").unlink()
    remote.fetch_archive(tmp_path / "new/set", "m.json")
    assert (tmp_path / "new/set/m.json").read_text() == "{}"


def google_hash(content: bytes) -> str:
    return f"crc32c=AAAAAA==,md5={base64.b64encode(hashlib.md5(content).digest()).decode()}"


def test_the_digest_that_a_server_states_is_checked(tmp_path):
    with serving(CONTENT) as server:
        server.headers["x-goog-hash"] = google_hash(CONTENT)
        download(open_store(server.url), "a.bin", tmp_path / "a.bin")
        server.headers["x-goog-hash"] = google_hash(b"something else")
        with pytest.raises(StorageError, match="not the file expected .md5 differs"):
            download(open_store(server.url), "a.bin", tmp_path / "b.bin")
        assert [path.name for path in tmp_path.iterdir() if path.suffix == ".bin"] == ["a.bin"]
        known = hashlib.sha256(CONTENT).hexdigest()  # goes before what the server says
        download(open_store(server.url), "a.bin", tmp_path / "c.bin", sha256=known)


@pytest.mark.parametrize("status", [403, 404])
def test_a_set_that_cannot_be_had_points_to_recordings_of_ones_own(tmp_path, status):
    with serving(CONTENT) as server:
        server.status = status
        remote = Remote(server.url, archive="set.tar.gz")
        for fetched, remedy in (
            (lambda: remote.fetch_archive(tmp_path / "set", "m.json"), "dataset cfg/data/folder.yaml"),
            (lambda: remote.fetch_raw(tmp_path / "raw", "m.json"), "dataset cfg/data/folder.yaml"),
            (lambda: Archives(server.url).fetch(tmp_path / "notes", ["test"]), "--data.root DIR"),
        ):
            with pytest.raises(StorageError, match=f"HTTP {status}.*{remedy}"):
                fetched()


def test_nothing_to_upload_is_an_error(s3):
    with pytest.raises(StorageError, match="nothing to upload"):
        Remote(f"http://127.0.0.1:{s3.port}", "sets").upload("gone.tar.gz")
