import json
import logging
import os
import signal
import subprocess
import sys
import threading
import time
from importlib.util import find_spec

import numpy as np
import pytest
import soundfile
import torch

from drumblender.data import AudioDataModule
from drumblender.data.prepare.archive import ArchiveError
from drumblender.data.prepare.fetch import Remote
from drumblender.data.prepare.lock import folder_lock
from drumblender.data.prepare.manifest import Item, Journal, Rejected, load_manifest, save_manifest
from drumblender.data.prepare.raw import Labels
from drumblender.data.splits import Splitting

RATE = 8000
SETTINGS = {"sample_rate": RATE, "num_samples": 800, "batch_size": 4}


def hit(seed: int, silence: int = 0) -> np.ndarray:
    noise = np.random.default_rng(seed).standard_normal(600) * np.exp(-np.arange(600) / 100)
    return np.concatenate([np.zeros(silence), 0.1 * noise]).astype("float32")


@pytest.fixture
def raw(tmp_path):
    for number in range(20):
        path = tmp_path / "raw" / ("acoustic", "electronic")[number % 2] / "snare" / f"{number:02}.wav"
        path.parent.mkdir(parents=True, exist_ok=True)
        soundfile.write(path, hit(number, silence=256), RATE, subtype="FLOAT")
    return tmp_path / "raw"


@pytest.fixture
def data(raw, tmp_path):
    return AudioDataModule(str(tmp_path / "set"), raw_dir=str(raw), **SETTINGS)


def files_of(folder):
    return {
        path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()
    }


def test_every_item_is_in_the_manifest(data, raw):
    report = data.preprocess(jobs=1)
    assert (report.kept, report.rejected, report.made) == (20, 0, 20)
    manifest = load_manifest(data.data_dir / "manifest.json")
    key, item = next(iter(manifest.items()))
    assert item.filename == f"audio/{key}.wav" and item.source == "acoustic/snare/00.wav"
    assert (item.type, item.tags, item.sample_rate, item.num_samples) == (
        "acoustic",
        {"instrument": "snare"},
        RATE,
        800,
    )
    audio, rate = soundfile.read(data.data_dir / item.filename, dtype="float32")
    assert rate == RATE and np.array_equal(audio[:600], hit(0)) and not audio[600:].any()
    assert data.verify() == []


def test_threads_make_the_same_files_as_one(data, raw, tmp_path):
    other = AudioDataModule(str(tmp_path / "other"), raw_dir=str(raw), **SETTINGS)
    threads = torch.get_num_threads()
    data.preprocess(jobs=1)
    other.preprocess(jobs=4)
    assert torch.get_num_threads() == threads
    assert files_of(data.data_dir) == files_of(other.data_dir)


def test_processes_make_the_same_files_as_one(data, raw, tmp_path):
    other = AudioDataModule(str(tmp_path / "other"), raw_dir=str(raw), **SETTINGS)
    data.preprocess(jobs=1)
    other.preprocess(backend="processes", jobs=2)
    assert files_of(data.data_dir) == files_of(other.data_dir)


def test_a_recording_that_changed_is_prepared_anew(data, raw, caplog):
    data.preprocess(jobs=1)
    before = files_of(data.data_dir)
    soundfile.write(raw / "acoustic/snare/00.wav", hit(99), RATE, subtype="FLOAT")
    soundfile.write(raw / "acoustic/snare/20.wav", hit(20), RATE, subtype="FLOAT")
    os.utime(raw / "acoustic/snare/02.wav")  # only its date is new
    with caplog.at_level(logging.INFO):
        report = data.preprocess(jobs=1)
    assert (report.kept, report.made) == (21, 2) and "1 recordings have changed" in caplog.text
    manifest = load_manifest(data.data_dir / "manifest.json")
    by_source = {item.source: item.filename for item in manifest.values()}
    audio, _ = soundfile.read(data.data_dir / by_source["acoustic/snare/00.wav"], dtype="float32")
    assert np.array_equal(audio[:600], hit(99)) and data.verify() == []
    after = files_of(data.data_dir)
    changed = {name for name in before if before[name] != after[name]}
    assert changed == {by_source["acoustic/snare/00.wav"], "manifest.json"}


def test_a_copy_that_trains_and_tests_is_told(data, raw, caplog):
    data.preprocess(jobs=1)
    with caplog.at_level(logging.WARNING):
        data.setup("fit")
    assert "same sound" not in caplog.text
    for path in raw.rglob("*.wav"):
        soundfile.write(path, hit(0), RATE, subtype="FLOAT")
    data.preprocess(jobs=1)
    with caplog.at_level(logging.WARNING):
        data.setup("fit")
    assert "4 recordings outside of the training set are the same sound as one in it, such as" in caplog.text


def test_a_complete_folder_is_left_alone(data, raw):
    data.prepare_data(jobs=1)
    before = {path: path.stat().st_mtime_ns for path in data.data_dir.rglob("*")}
    (raw / "acoustic/snare/00.wav").unlink()
    data.prepare_data()
    assert before == {path: path.stat().st_mtime_ns for path in data.data_dir.rglob("*")}


def test_new_and_mended_recordings_are_taken_in(data, raw):
    broken = raw / "acoustic/snare/00.wav"
    sound = broken.read_bytes()
    broken.write_bytes(b"")
    assert data.preprocess(jobs=1).rejected == 1
    broken.write_bytes(sound)
    soundfile.write(raw / "new.wav", hit(99), RATE)
    report = data.preprocess(jobs=1)
    assert (report.kept, report.rejected, report.made) == (22 - 1, 0, 2)


def test_bad_recordings_are_listed_with_the_reason(data, raw):
    for name, samples in {
        "silent": np.zeros(900),
        "nan": np.full(900, np.nan),
        "short": np.ones(9),
        "none": [],
    }.items():
        soundfile.write(raw / f"{name}.wav", np.asarray(samples, "float32"), RATE, subtype="FLOAT")
    (raw / "empty.wav").write_bytes(b"")
    (raw / "text.wav").write_bytes(b"no sound" * 99)
    content = (raw / "acoustic/snare/00.wav").read_bytes()
    (raw / "cut.wav").write_bytes(content[: len(content) // 2])
    report = data.preprocess(jobs=1)
    assert (report.kept, report.rejected) == (20, 7)
    listed = {
        one["source"]: one["reason"] for one in json.loads((data.data_dir / "rejected.json").read_text())
    }
    expected = {
        "silent.wav": "is silent",
        "nan.wav": "NaN",
        "short.wav": "too short",
        "none.wav": "no samples",
        "empty.wav": "empty file",
        "text.wav": "no audio file",
        "cut.wav": "truncated",
    }
    assert listed.keys() == expected.keys()
    assert all(expected[name] in listed[name] for name in expected)
    assert "20 files kept, 7 rejected" in str(report) and "files/s" in str(report)


def test_a_table_that_names_a_missing_recording_lists_it(raw, tmp_path):
    (raw / "t.csv").write_text("file\nacoustic/snare/00.wav\ngone.wav\n")
    data = AudioDataModule(str(tmp_path / "set"), raw_dir=str(raw), labels=Labels(csv="t.csv"), **SETTINGS)
    assert (data.preprocess(jobs=1).kept, json.loads((data.data_dir / "rejected.json").read_text())) == (
        1,
        [{"source": "gone.wav", "reason": "is missing"}],
    )


def test_a_killed_run_goes_on_where_it_stopped(raw, tmp_path):
    for number in range(20, 500):
        soundfile.write(raw / f"{number}.wav", hit(number), RATE, subtype="FLOAT")
    script = (
        "from drumblender.data import AudioDataModule\n"
        f"AudioDataModule({str(tmp_path / 'set')!r}, raw_dir={str(raw)!r}, **{SETTINGS}).preprocess(jobs=1)"
    )
    process = subprocess.Popen([sys.executable, "-c", script])
    journal = tmp_path / "set" / ".journal.jsonl"
    while not journal.is_file() or journal.read_bytes().count(b"\n") < 20:
        assert process.poll() is None
        time.sleep(0.002)
    process.send_signal(signal.SIGKILL)
    process.wait()
    done = journal.read_bytes().count(b"\n") - 1
    data = AudioDataModule(str(tmp_path / "set"), raw_dir=str(raw), **SETTINGS)
    with pytest.raises(FileNotFoundError, match="half prepared"):
        data.setup()
    report = data.preprocess(jobs=1)
    assert report.kept == 500 and report.made <= 500 - done
    assert data.verify() == [] and not journal.exists()
    names = {path.name for path in data.data_dir.rglob("*") if path.is_file()}
    assert not [name for name in names if name.endswith(".part")]


def test_an_interrupted_run_is_not_continued_with_other_settings(data, raw, tmp_path):
    Journal(data.data_dir, data.settings()).close()
    other = AudioDataModule(str(tmp_path / "set"), raw_dir=str(raw), **(SETTINGS | {"num_samples": 400}))
    with pytest.raises(ValueError, match=r"other settings \(num_samples\)"):
        other.preprocess(jobs=1)


def test_a_prepared_folder_is_not_read_with_other_settings(data, tmp_path):
    data.preprocess(jobs=1)
    other = AudioDataModule(str(tmp_path / "set"), **(SETTINGS | {"sample_rate": 44100}))
    with pytest.raises(ValueError, match="sample_rate 8000 there, 44100 asked"):
        other.setup()


def test_a_line_cut_by_a_crash_is_done_again(tmp_path):
    journal = Journal(tmp_path, {"a": 1})
    journal.add("1", Item("audio/1.wav"))
    journal.add("2", Rejected("b.wav", "is silent"))
    journal.close()
    path = tmp_path / ".journal.jsonl"
    path.write_bytes(path.read_bytes()[:-5])
    journal = Journal(tmp_path, {"a": 1})
    assert journal.done == {"1": Item("audio/1.wav")}
    journal.add("2", Rejected("b.wav", "is silent"))
    journal.close()
    assert len(Journal(tmp_path, {"a": 1}).done) == 2


def test_the_second_of_two_runs_waits_and_finds_all_done(data, caplog):
    reports = []
    threads = [threading.Thread(target=lambda: reports.append(data.preprocess(jobs=1))) for _ in range(2)]
    with caplog.at_level(logging.WARNING), folder_lock(data.data_dir):
        for thread in threads:
            thread.start()
        while caplog.text.count("Waiting") < 2:
            time.sleep(0.01)
    for thread in threads:
        thread.join()
    assert sorted(report.made for report in reports) == [0, 20]
    assert f"process {os.getpid()}" in caplog.text
    assert data.verify() == []


def test_waiting_can_end(tmp_path):
    with (
        folder_lock(tmp_path / "set"),
        pytest.raises(TimeoutError, match=f"process {os.getpid()}"),
        folder_lock(tmp_path / "set", timeout_s=0.1),
    ):
        pass


def test_batches_carry_names(data):
    data.preprocess(jobs=1)
    data.setup("fit")
    batch = next(iter(data.train_dataloader()))
    assert batch["audio"].shape == (4, 800) and len(set(batch["name"])) == 4
    assert sum(len(batch["name"]) for batch in data.train_dataloader()) == 16
    data.setup("test")
    assert len(data.test_dataloader().dataset) == len(data.predict_dataloader().dataset) == 2


def test_the_training_order_follows_the_seed(data):
    data.preprocess(jobs=1)
    data.setup()
    orders = []
    for _ in range(2):
        torch.manual_seed(0)
        orders.append([name for batch in data.train_dataloader() for name in batch["name"]])
    assert orders[0] == orders[1] != sorted(orders[0])


def test_peaks_can_be_levelled(data, tmp_path):
    data.preprocess(jobs=1)
    loud = AudioDataModule(str(tmp_path / "set"), normalize=True, **SETTINGS)
    loud.setup("test")
    assert torch.allclose(next(iter(loud.test_dataloader()))["audio"].abs().amax(dim=-1), torch.ones(2))


def test_an_empty_split_says_what_to_change(raw, tmp_path):
    data = AudioDataModule(
        str(tmp_path / "set"), raw_dir=str(raw), split=Splitting("sample_pack"), **SETTINGS
    )
    data.preprocess(jobs=1)  # two packs of ten
    with pytest.raises(ValueError, match="val split.*raise split.holdout"):
        data.setup("fit")


def test_a_manifest_that_names_missing_audio_is_refused(data):
    data.preprocess(jobs=1)
    next((data.data_dir / "audio").iterdir()).unlink()
    with pytest.raises(FileNotFoundError, match="names 1 files that are missing"):
        data.setup()
    assert len(data.verify()) == 1 and "is missing" in data.verify()[0]
    assert data.preprocess(jobs=1).made == 1  # and made again
    data.setup()


def test_verify_finds_what_changed(data):
    data.preprocess(jobs=1)
    paths = sorted((data.data_dir / "audio").iterdir())
    soundfile.write(paths[0], np.zeros(800, "float32"), RATE, subtype="FLOAT")
    soundfile.write(paths[1], np.zeros(800, "float32"), 44100, subtype="FLOAT")
    soundfile.write(paths[2], np.zeros(80, "float32"), RATE, subtype="FLOAT")
    paths[3].write_bytes(b"")
    problems = sorted(data.verify())
    for path, said in zip(paths, ("sha256", "44100 Hz", "80 samples", "empty file"), strict=False):
        assert any(str(path) in problem and said in problem for problem in problems)
    assert len(problems) == 4


def test_reads_a_published_manifest_which_knows_less(data):
    data.preprocess(jobs=1)
    (data.data_dir / "prepared.json").unlink()
    path = data.data_dir / "manifest.json"
    fewer = {
        key: Item(item.filename, item.type, item.sample_pack_key, tags=item.tags)
        for key, item in load_manifest(path).items()
    }
    save_manifest(path, fewer)
    assert "sha256" not in path.read_text()
    data.setup()
    assert data.verify() == []


@pytest.mark.parametrize("content", ["[]", "{", '{"1": {"type": "acoustic"}}'])
def test_what_is_no_manifest_is_refused(data, content):
    data.preprocess(jobs=1)
    (data.data_dir / "manifest.json").write_text(content)
    with pytest.raises(ValueError, match=r"manifest\.json"):
        data.setup()


def test_an_archive_brings_the_prepared_folder(data, tmp_path):
    data.preprocess(jobs=1)
    (tmp_path / "share").mkdir()
    data.pack_archive(str(tmp_path / "share/set.tar.gz"))
    share = Remote(str(tmp_path / "share"), archive="set.tar.gz")
    other = AudioDataModule(str(tmp_path / "elsewhere/set"), remote=share, **SETTINGS)
    other.prepare_data()
    assert files_of(other.data_dir) == files_of(data.data_dir)
    other.setup()


def test_a_corrupt_archive_leaves_no_folder(tmp_path):
    (tmp_path / "share").mkdir()
    (tmp_path / "share/set.tar.gz").write_bytes(b"\x1f\x8b" + bytes(100))
    share = Remote(str(tmp_path / "share"), archive="set.tar.gz")
    data = AudioDataModule(str(tmp_path / "here/set"), remote=share, **SETTINGS)
    with pytest.raises(ArchiveError, match="corrupt"):
        data.prepare_data()
    assert not data.data_dir.exists()


def test_no_worker_is_an_error(data):
    with pytest.raises(ValueError, match="jobs=0"):
        data.preprocess(jobs=0)


@pytest.mark.skipif(find_spec("ray") is not None, reason="ray is here")
def test_a_missing_cluster_package_is_named(data):
    with pytest.raises(ModuleNotFoundError, match=r"needs ray: pip install \"drumblender\[cluster\]\""):
        data.preprocess(backend="ray")


def test_nothing_to_prepare_from_is_an_error(tmp_path):
    with pytest.raises(ValueError, match="raw_dir"):
        AudioDataModule(str(tmp_path / "set")).prepare_data()
