import json
import logging

import pytest

from drumblender.data.prepare.raw import Labels, find_recordings, keyed, str2int


def touch(folder, *names):
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(b"")


def test_subfolders_say_what_a_recording_is(tmp_path):
    touch(
        tmp_path,
        "acoustic/kick/b.flac",
        "acoustic/kick/deep/a.WAV",
        "top.mp3",
        "notes.txt",
        "acoustic/.hidden.wav",
    )
    found = {one.source: one for one in find_recordings(tmp_path, "m.json", Labels())}
    assert list(found) == ["acoustic/kick/b.flac", "acoustic/kick/deep/a.WAV", "top.mp3"]
    kick = found["acoustic/kick/b.flac"]
    assert (kick.type, kick.sample_pack_key, kick.tags) == (
        "acoustic",
        "acoustic/kick",
        {"instrument": "kick"},
    )
    assert found["top.mp3"].type == "unknown" and found["top.mp3"].tags == {}


def test_levels_can_mean_packs(tmp_path):
    touch(tmp_path, "muldjord/hit.wav")
    (one,) = find_recordings(tmp_path, "m.json", Labels(levels=("sample_pack_key",)))
    assert (one.sample_pack_key, one.type, one.tags) == ("muldjord", "unknown", {})


def test_a_table_goes_before_names_of_folders(tmp_path, caplog):
    touch(tmp_path, "acoustic/kick/a.wav", "acoustic/kick/unnamed.wav")
    (tmp_path / "t.csv").write_text(
        "path,kit,label\nacoustic/kick/a.wav,tr808,bassdrum\ngone.wav,tr808,snare\n"
    )
    labels = Labels(
        csv="t.csv", file_column="path", columns={"sample_pack_key": "kit", "instrument": "label"}
    )
    with caplog.at_level(logging.WARNING):
        found = {one.source: one for one in find_recordings(tmp_path, "m.json", labels)}
    assert list(found) == ["acoustic/kick/a.wav", "gone.wav"]  # what is missing is rejected when it is read
    one = found["acoustic/kick/a.wav"]
    assert (one.type, one.sample_pack_key, one.tags) == ("acoustic", "tr808", {"instrument": "bassdrum"})
    assert "1 recordings" in caplog.text


def test_an_unknown_column_is_an_error(tmp_path):
    touch(tmp_path, "a.wav")
    (tmp_path / "t.csv").write_text("file,kit\na.wav,x\n")
    with pytest.raises(ValueError, match="no column 'pack'.*file, kit"):
        find_recordings(tmp_path, "m.json", Labels(csv="t.csv", columns={"sample_pack_key": "pack"}))


def test_reads_both_forms_of_published_packs(tmp_path, caplog):
    touch(tmp_path, "one/kicks/a.wav", "two/x/b.wav")
    packs = {
        "packA": {"type": "acoustic", "folders": {"f": {"path": "one/kicks", "instrument": "kick"}}},
        "packB": {"type": "electronic", "folders": ["two", "nowhere"]},
    }
    (tmp_path / "m.json").write_text(json.dumps(packs))
    with caplog.at_level(logging.WARNING):
        first, second = find_recordings(tmp_path, "m.json", Labels())
    assert (first.source, first.type, first.sample_pack_key) == ("one/kicks/a.wav", "acoustic", "packA")
    assert first.tags == {"instrument": "kick"} and second.tags == {}
    assert "nowhere" in caplog.text


def test_missing_and_empty_folders_are_errors(tmp_path):
    with pytest.raises(FileNotFoundError, match="raw_dir"):
        find_recordings(tmp_path / "gone", "m.json", Labels())
    with pytest.raises(ValueError, match="holds no recordings"):
        find_recordings(tmp_path, "m.json", Labels())


def test_a_key_is_the_number_of_the_path_below_the_parent(tmp_path):
    touch(tmp_path / "perc", "kicks/a.wav")
    keys = keyed(find_recordings(tmp_path / "perc", "m.json", Labels()), tmp_path / "perc")
    assert list(keys) == [str(str2int("perc/kicks/a.wav"))]


def test_two_paths_with_one_number_get_two_keys(tmp_path, monkeypatch):
    touch(tmp_path, "a.wav", "b.wav")
    monkeypatch.setattr("drumblender.data.prepare.raw.str2int", lambda text: len(text))
    assert len(keyed(find_recordings(tmp_path, "m.json", Labels()), tmp_path)) == 2


def test_numbers_as_published(golden):
    data = golden("drums", "str2int")
    data.check("out_int", [str2int(str(text)) for text in data["in_text"]])


def test_the_number_of_a_text_never_changes():
    assert str2int("x800") == 688150518
