"""One rule for what is a sound file, whichever command looks for it."""

import logging
import os
from pathlib import Path

import pytest

from drumblender.sound_files import distinct_outputs, find_sounds, natural_order, printable


def touch(folder, *names):
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).touch()


def names_of(folder):
    return [path.relative_to(folder).as_posix() for path in find_sounds(folder)]


def test_every_suffix_of_a_sound_is_found_whatever_its_case(tmp_path):
    kept = ["a.wav", "b.WAVE", "c.bwf", "d.m4a", "e.opus", "f.snd", "g.Aif", "h.raw"]
    touch(tmp_path, *kept, "notes.txt", "picture.png", "wav")
    assert names_of(tmp_path) == kept


def test_hidden_files_and_those_of_operating_systems_are_left_out(tmp_path):
    touch(tmp_path, "a.wav", "._a.wav", ".b.wav", ".hidden/c.wav", "__MACOSX/._a.wav", "__MACOSX/d.wav")
    assert names_of(tmp_path) == ["a.wav"]


def test_a_hidden_folder_that_is_asked_for_is_searched(tmp_path):
    touch(tmp_path, ".cache/kick/a.wav")
    assert names_of(tmp_path / ".cache") == ["kick/a.wav"]


def test_a_folder_called_like_a_sound_is_a_folder(tmp_path):
    touch(tmp_path, "kick.wav/inside.wav")
    assert names_of(tmp_path) == ["kick.wav/inside.wav"]


def test_linked_folders_are_followed(tmp_path):
    touch(tmp_path, "raw/kick/a.wav", "packs/snare/1.wav", "packs/snare/deep/2.wav")
    (tmp_path / "raw/snare").symlink_to(tmp_path / "packs/snare")
    assert names_of(tmp_path / "raw") == ["kick/a.wav", "snare/1.wav", "snare/deep/2.wav"]


def test_no_recording_comes_twice_and_real_folders_come_first(tmp_path):
    touch(tmp_path, "raw/z/a.wav", "other/x/b.wav")
    for name, target in {"a": "raw/z", "twin": "other", "inner": "other/x"}.items():
        (tmp_path / "raw" / name).symlink_to(tmp_path / target)
    found = names_of(tmp_path / "raw")
    assert "z/a.wav" in found and sum(name.endswith("b.wav") for name in found) == len(found) - 1 == 1


def test_circles_end_and_are_told(tmp_path, caplog):
    touch(tmp_path, "raw/a.wav", "raw/deep/b.wav", "beside/c.wav")
    (tmp_path / "raw/deep/up").symlink_to(tmp_path / "raw")
    (tmp_path / "raw/top").symlink_to(tmp_path)  # all that stands beside the folder was not asked for
    (tmp_path / "raw/self").symlink_to(tmp_path / "raw/self")
    with caplog.at_level(logging.WARNING):
        assert names_of(tmp_path / "raw") == ["a.wav", "deep/b.wav"]
    assert caplog.text.count("is not followed") == 2


def test_links_that_double_at_every_step_are_searched_once(tmp_path):
    for step in range(30):
        folder = tmp_path / f"{step:02}"
        folder.mkdir()
        for name in ("left", "right"):
            (folder / name).symlink_to(tmp_path / f"{step + 1:02}")
    touch(tmp_path, "30/a.wav")
    assert len(find_sounds(tmp_path / "00")) == 1


def test_a_link_to_nothing_and_a_pipe_are_found_for_the_reader_to_tell(tmp_path):
    (tmp_path / "gone.wav").symlink_to(tmp_path / "nowhere.wav")
    os.mkfifo(tmp_path / "pipe.wav")
    assert names_of(tmp_path) == ["gone.wav", "pipe.wav"]


def test_a_folder_that_cannot_be_searched_is_told(tmp_path, caplog, monkeypatch):
    touch(tmp_path, "open/a.wav", "shut/b.wav")
    scandir = os.scandir

    def guarded(path):
        if str(path).endswith("shut"):
            raise PermissionError(13, "Permission denied", str(path))
        return scandir(path)

    monkeypatch.setattr(os, "scandir", guarded)
    assert names_of(tmp_path) == ["open/a.wav"]
    assert "shut cannot be searched (Permission denied)" in caplog.text


def test_a_file_is_itself_and_nothing_is_an_error(tmp_path):
    touch(tmp_path, "a.xyz")
    assert find_sounds(tmp_path / "a.xyz") == [tmp_path / "a.xyz"]
    with pytest.raises(FileNotFoundError, match="No file or folder .*gone"):
        find_sounds(tmp_path / "gone")


def test_names_that_are_no_unicode_are_found_and_can_be_printed(tmp_path):
    path = tmp_path / os.fsdecode(b"caf\xe9.wav")
    path.touch()
    assert find_sounds(tmp_path) == [path]
    assert printable(path.name) == "caf\\xe9.wav" and printable("caf\u00e9.wav") == "caf\u00e9.wav"


def test_numbers_are_counted_and_superscripts_are_letters():
    names = ["hit10.wav", "\u00b21.wav", "hit9.wav", "\u0663.wav", "a1b20.wav", "a1b3.wav"]
    found = [path.name for path in sorted(map(Path, names), key=natural_order)]
    assert found.index("hit9.wav") < found.index("hit10.wav")
    assert found.index("a1b3.wav") < found.index("a1b20.wav")


@pytest.mark.parametrize(
    "sounds, endings, expected",
    [
        (["a.wav", "b.flac"], [""], ["a.wav", "b.wav"]),
        (["a.wav", "a.flac"], [""], ["a.wav.wav", "a.flac.wav"]),
        (["a.wav", "A.flac"], [""], ["a.wav.wav", "A.flac.wav"]),
        (["a.wav", "a.modal.wav"], ["", ".modal"], ["a.wav.wav", "a.modal.wav.wav"]),
        (["x/a.wav", "y/a.wav"], [""], ["x/a.wav", "y/a.wav"]),
        (["a.flac", "a.wav", "a.wav.aif"], [""], ["a.flac.wav", "a.wav-2.wav", "a.wav.wav"]),
    ],
)
def test_no_two_sounds_are_written_to_one_file(sounds, endings, expected):
    paths = [Path("in") / name for name in sounds]
    outputs = distinct_outputs(paths, Path("in"), Path("out"), endings)
    assert [path.relative_to("out").as_posix() for path in outputs.values()] == expected
    written = [f"{path.with_suffix('')}{ending}".lower() for path in outputs.values() for ending in endings]
    assert len(written) == len(set(written))
