"""Files of a prepared folder that somebody damaged, or meant harm with."""

import json
import os

import pytest

from drumblender.data import AudioDataModule, ModalDataModule
from drumblender.data.prepare.manifest import (
    Item,
    Journal,
    Rejected,
    load_manifest,
    load_rejected,
    save_manifest,
    save_rejected,
    stays_inside,
)
from drumblender.data.prepare.preparation import check_settings
from drumblender.features import CQTModalAnalysis

GOOD = {"filename": "audio/1.wav", "type": "acoustic", "instrument": "kick"}


def written(path, value):
    path.write_text(value if isinstance(value, str) else json.dumps(value))
    return path


@pytest.mark.parametrize(
    "content, words",
    [
        ([], "is no manifest"),
        ("null", "is no manifest"),
        ("{", "is no JSON.*line 1"),
        ("[" * 100_000, "is no JSON"),
        ('{"a": ' + "9" * 5000 + "}", "is no JSON"),
        ({"1": None}, "entry '1' has no filename"),
        ({"1": {}}, "entry '1' has no filename"),
        ({"1": GOOD | {"filename": 3}}, "entry '1' has the filename 3, which is no text"),
        ({"1": GOOD | {"sample_rate": "fast"}}, "sample_rate 'fast', which is no whole number"),
        ({"1": GOOD | {"num_samples": True}}, "num_samples True, which is no whole number"),
        ({"1": GOOD | {"type": ["a"]}}, "has the type"),
        ({"1": GOOD | {"sha256": {}}}, "has the sha256"),
        ({"1": GOOD | {"filename": "/etc/passwd"}}, "filename.*leads out of the folder"),
        ({"1": GOOD | {"feature_file": "../1.pt"}}, "feature_file.*leads out of the folder"),
        ({"../../x": GOOD}, "key '../../x' leads out of the folder"),
        ({"/tmp/x": GOOD}, "key '/tmp/x' leads out of the folder"),
        ({"C:\\x": GOOD}, "leads out of the folder"),
        ({"": GOOD}, "leads out of the folder"),
    ],
    ids=str,
)
def test_a_manifest_of_another_form_is_one_sentence(tmp_path, content, words):
    path = written(tmp_path / "manifest.json", content)
    with pytest.raises(ValueError, match=words) as raised:
        load_manifest(path)
    assert "manifest.json" in str(raised.value) and "\n" not in str(raised.value)


def test_a_manifest_is_read_back_as_it_was_written(tmp_path):
    manifest = {"1": Item("audio/1.wav", source="caf\udce9.wav", tags={"instrument": "kick"})}
    save_manifest(tmp_path / "m.json", manifest)
    assert load_manifest(tmp_path / "m.json") == manifest


def test_a_pipe_is_no_manifest(tmp_path):
    os.mkfifo(tmp_path / "m.json")
    with pytest.raises(ValueError, match="no regular file"):
        load_manifest(tmp_path / "m.json")


@pytest.mark.parametrize("name", ["a", "a/b.wav", "a..b", "...", "a b"])
def test_names_that_stay_inside(name):
    assert stays_inside(name)


@pytest.mark.parametrize("name", ["..", "a/../b", "a\\..\\b", "\\\\host\\share", "//x", "a\0b", "."])
def test_names_that_do_not(name):
    assert not stays_inside(name)


@pytest.mark.parametrize("content", [{}, [None], [{"source": "a.wav"}], [{"source": 1, "reason": "x"}], "x"])
def test_a_rejected_list_of_another_form_is_one_sentence(tmp_path, content):
    written(tmp_path / "rejected.json", content)
    with pytest.raises(ValueError, match="rejected.json"):
        load_rejected(tmp_path)


def test_a_rejected_list_is_read_back(tmp_path):
    save_rejected(tmp_path, [Rejected("b.wav", "is silent"), Rejected("a.wav", "is missing")])
    assert load_rejected(tmp_path) == [Rejected("a.wav", "is missing"), Rejected("b.wav", "is silent")]


@pytest.mark.parametrize(
    "line", [{"key": "1"}, {"key": "1", "item": {}}, {"key": "1", "item": {"filename": "../x"}}]
)
def test_a_journal_of_another_form_is_one_sentence(tmp_path, line):
    (tmp_path / ".journal.jsonl").write_text(f"{{}}\n{json.dumps(line)}\n")
    with pytest.raises(ValueError, match="journal.jsonl, line 2, is damaged .*: delete the file"):
        Journal(tmp_path, {})


def test_settings_of_another_form_are_one_sentence(tmp_path):
    written(tmp_path / "prepared.json", [1])
    with pytest.raises(ValueError, match="prepared.json"):
        check_settings(tmp_path, {"sample_rate": 3})


def test_features_are_never_written_outside(tmp_path):
    (tmp_path / "set/audio").mkdir(parents=True)
    written(tmp_path / "set/manifest.json", {"../../../evil": GOOD})
    with pytest.raises(ValueError, match="leads out of the folder"):
        ModalDataModule(str(tmp_path / "set"), CQTModalAnalysis(48000, num_modes=4)).preprocess_features(
            jobs=1
        )
    assert not list(tmp_path.rglob("*evil*"))


def test_tags_that_are_no_text_end_in_no_type_error(tmp_path):
    entries = {str(n): GOOD | {"filename": f"audio/{n}.wav", "instrument": ["kick", n]} for n in range(9)}
    written(tmp_path / "manifest.json", entries)
    data = AudioDataModule(str(tmp_path))
    assert data.keys_of(load_manifest(tmp_path / "manifest.json"), "train")
