import gzip
import io
import tarfile
import zipfile

import pytest

from drumblender.data.prepare.archive import ArchiveError, pack, unpack


@pytest.fixture
def archive(tmp_path):
    folder = tmp_path / "set"
    (folder / "audio").mkdir(parents=True)
    (folder / "m.json").write_text("{}")
    (folder / "audio" / "a.wav").write_bytes(bytes(range(256)) * 500)
    (folder / ".journal.jsonl").write_text("left behind")
    return pack(folder, tmp_path / "set.tar.gz")


def with_member(path, name, kind=tarfile.REGTYPE, link=""):
    with tarfile.open(path, "w:gz") as file:
        for member_name in ("m.json", name):
            member = tarfile.TarInfo(member_name)
            member.size = 3 if member_name == "m.json" or kind == tarfile.REGTYPE else 0
            if member_name == name:
                member.type, member.linkname = kind, link
            file.addfile(member, io.BytesIO(b"abc"))
    return path


def test_comes_back_as_it_was(archive, tmp_path):
    unpack(archive, tmp_path / "new", must_hold="m.json")
    assert (tmp_path / "new/audio/a.wav").read_bytes() == (tmp_path / "set/audio/a.wav").read_bytes()
    assert sorted(path.name for path in (tmp_path / "new").iterdir()) == ["audio", "m.json"]


@pytest.mark.parametrize(
    "name, kind, link",
    [
        ("../evil.txt", tarfile.REGTYPE, ""),
        ("/evil.txt", tarfile.REGTYPE, ""),
        ("a/../../evil.txt", tarfile.REGTYPE, ""),
        ("link", tarfile.SYMTYPE, "../../elsewhere"),
        ("hard", tarfile.LNKTYPE, "../elsewhere"),
        ("device", tarfile.CHRTYPE, ""),
    ],
)
def test_refuses_what_leads_outside(tmp_path, name, kind, link):
    path = with_member(tmp_path / "evil.tar.gz", name, kind, link)
    with pytest.raises(ArchiveError, match="refused"):
        unpack(path, tmp_path / "sub/new", must_hold="m.json")
    assert not (tmp_path / "sub/new").exists() and not list(tmp_path.rglob("evil.txt"))
    assert not list((tmp_path / "sub").iterdir())


@pytest.mark.parametrize("damage", ["cut", "flipped", "checksum", "no tar", "tail"])
def test_refuses_a_damaged_archive_and_leaves_nothing(archive, tmp_path, damage):
    content = bytearray(archive.read_bytes())
    if damage == "cut":
        content = content[: len(content) // 2]
    elif damage == "flipped":
        content[len(content) // 2] ^= 0xFF
    elif damage == "checksum":
        content[-6] ^= 1
    elif damage == "no tar":
        content = gzip.compress(b"no tar at all" * 100)
    else:
        content = content[:-8]
    archive.write_bytes(content)
    with pytest.raises(ArchiveError, match="corrupt or truncated"):
        unpack(archive, tmp_path / "new", must_hold="m.json")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["set", "set.tar.gz"]


def test_refuses_another_data_set(archive, tmp_path):
    with pytest.raises(ArchiveError, match=r"holds no other\.json"):
        unpack(archive, tmp_path / "new", must_hold="other.json")
    assert not (tmp_path / "new").exists()


def test_never_overwrites_a_folder(archive, tmp_path):
    with pytest.raises(FileExistsError, match="another data_dir"):
        unpack(archive, tmp_path / "set", must_hold="m.json")
    assert (tmp_path / "set/audio/a.wav").is_file()


def test_never_packs_itself(tmp_path):
    with pytest.raises(ArchiveError, match="inside"):
        pack(tmp_path, tmp_path / "set.tar.gz")


def test_names_no_user_in_the_archive(archive, tmp_path):
    with tarfile.open(archive) as file:
        assert [(member.name, member.uid, member.uname) for member in file] == [
            ("audio/a.wav", 0, ""),
            ("m.json", 0, ""),
        ]


def zipped(path, *names):
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as file:
        for name in names:
            file.writestr(name, b"abc" * 1000)
    return path


def test_a_zip_is_unpacked_too(tmp_path):
    unpack(zipped(tmp_path / "a.zip", "drum/1.wav", "drum/2.wav"), tmp_path / "new")
    assert sorted(path.name for path in (tmp_path / "new/drum").iterdir()) == ["1.wav", "2.wav"]


@pytest.mark.parametrize("name", ["../evil.txt", "/evil.txt", "a/../../evil.txt", "..\\evil.txt"])
def test_a_zip_is_refused_where_it_leads_outside(tmp_path, name):
    with pytest.raises(ArchiveError, match="refused"):
        unpack(zipped(tmp_path / "a.zip", "1.wav", name), tmp_path / "sub/new")
    assert not list(tmp_path.rglob("evil.txt")) and not list((tmp_path / "sub").iterdir())


@pytest.mark.parametrize("damage", ["cut", "flipped", "none"])
def test_a_damaged_zip_is_refused_and_leaves_nothing(tmp_path, damage):
    path = zipped(tmp_path / "a.zip", "1.wav", "2.wav")
    content = bytearray(path.read_bytes())
    if damage == "cut":
        content = content[: len(content) // 2]
    elif damage == "flipped":
        content[50] ^= 0xFF
    else:
        content = bytearray(b"no archive" * 9)
    path.write_bytes(content)
    with pytest.raises(ArchiveError, match="corrupt or truncated"):
        unpack(path, tmp_path / "sub/new")
    assert not list((tmp_path / "sub").iterdir())
