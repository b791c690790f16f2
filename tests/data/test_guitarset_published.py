"""The folder that the original Neural Guitar prepared."""

import shutil

import pytest
import torch
from golden_case import golden_file

from drumblender.data import GuitarSetDataModule
from drumblender.data.guitarset_published import PublishedPhrases, is_published, published_phrases
from drumblender.dsp.units import gain_to_db

RATE, HOP = 16000, 160


def write(folder, name, frames, **changed):
    """A phrase in which each frame and sample tells its place."""
    place = torch.arange(frames, dtype=torch.float32).view(1, -1, 1)
    fields = {"f0": 100 + place, "loudness": 0.1 + place / 100}
    fields["audio"] = torch.arange((frames - 1) * HOP + 37, dtype=torch.float32)[None] / 1e6
    torch.save(fields | changed, folder / f"{name}.pt")


@pytest.fixture
def folder(tmp_path):
    for number, player in enumerate(("00", "01", "04", "05")):
        write(tmp_path, f"{player}_Jazz1-130-D_{'comp' if number % 2 else 'solo'}_mic", 130 + number)
    return tmp_path


def test_crops_are_those_of_the_published_set(golden):
    case = golden("guitar", "dataset_crops")
    paths = published_phrases(golden_file("guitar/processed/99_bad_nan.pt").parent)
    assert len(paths) == case["out_n_files"]
    init = case.config["init"]
    phrases = PublishedPhrases(paths, init["hop_length"], init["sequence_length"])
    torch.manual_seed(case.config["seed"])
    for number, index in enumerate((0, 1, 0)):
        item = phrases[index]
        case.check(f"out_audio_{number}", item["audio"])
        case.check(f"out_f0_{number}", item["f0_hz"][:, None])
        assert torch.equal(item["loudness_db"], gain_to_db(case[f"out_loudness_{number}"][:, 0]))


@pytest.mark.parametrize("frames, samples", [(130, 1600), (101, 16000), (100, 16000), (40, 6400), (7, 2000)])
def test_a_crop_starts_on_a_frame_that_the_global_generator_draws(tmp_path, frames, samples):
    write(tmp_path, "one", frames)
    phrases = PublishedPhrases(published_phrases(tmp_path), HOP, samples)
    wanted = samples // HOP
    for seed in range(5):
        torch.manual_seed(seed)
        start = torch.randint(0, frames - wanted, (1,)).item() if frames > wanted else 0
        following = torch.rand(1)
        torch.manual_seed(seed)
        item = phrases[0]
        assert torch.rand(1) == following  # as many draws
        assert torch.equal(item["f0_hz"], 100.0 + torch.arange(start, min(start + wanted, frames)))
        end = start * HOP + samples if frames > wanted else (frames - 1) * HOP + 37
        assert torch.equal(item["audio"], torch.arange(start * HOP, end, dtype=torch.float32) / 1e6)


def test_short_phrases_are_filled_with_silence(tmp_path):
    write(tmp_path, "one", 5)
    item = PublishedPhrases(published_phrases(tmp_path), HOP, 1600, pad_short=True)[0]
    assert item["audio"].shape == (1600,) and not item["audio"][4 * HOP + 37 :].any()
    assert item["f0_hz"].tolist() == [100, 101, 102, 103, 104, *[104] * 5]
    assert item["loudness_db"][5:].tolist() == [-80] * 5


def test_what_is_damaged_or_not_finite_is_left_out_and_told(folder, caplog):
    write(folder, "98_nan", 9, loudness=torch.full((1, 9, 1), torch.nan))
    (folder / "99_torn.pt").write_bytes(b"PK torn")
    assert len(published_phrases(folder)) == 4
    assert "2 files" in caplog.text and "98_nan.pt, 99_torn.pt" in caplog.text
    for path in folder.glob("0*.pt"):
        path.unlink()
    with pytest.raises(ValueError, match="audio, f0, loudness"):
        published_phrases(folder)


def test_phrases_of_another_hop_are_refused(folder):
    with pytest.raises(ValueError, match="00_Jazz1-130-D_solo_mic.pt: 130 pitches .* by 128"):
        PublishedPhrases(published_phrases(folder), 128)[0]
    with pytest.raises(ValueError, match="num_samples=100"):
        PublishedPhrases([], HOP, 100)


def test_guitarset_reads_such_a_folder_as_it_is(folder, caplog):
    data = GuitarSetDataModule(str(folder), subset="all", train_on_all=True, num_harmonics=0, num_workers=0)
    assert data.is_ready and is_published(folder)
    data.prepare_data()
    with caplog.at_level("WARNING"):
        data.setup()
        whole = data.training_phrases()
    assert "04, 05" in caplog.text and "how sure its pitches are" in caplog.text
    batch = next(iter(data.train_dataloader()))
    assert batch["audio"].shape == (4, RATE) and batch["f0_hz"].shape == (4, 100)
    assert {name: items.keys[0][:2] for name, items in data._items.items()} == {
        "train": "00",
        "val": "04",
        "test": "05",
    }
    assert next(iter(data.val_dataloader()))["f0_hz"].shape == (1, 132)
    assert data.shared_recordings() == {
        "train/val": ["04_Jazz1-130-D_solo_mic"],
        "train/test": ["05_Jazz1-130-D_comp_mic"],
    }
    assert [len(phrase["brightness_hz"]) for phrase in whole] == [130, 131, 132, 133]
    assert all(phrase["periodicity"].eq(1).all() for phrase in whole)


def test_solos_alone_and_players_apart(folder):
    write(folder, "02_Rock1-90-C_solo_mic", 120)
    data = GuitarSetDataModule(
        str(folder), subset="solo", test_players=["02"], num_harmonics=0, num_workers=0
    )
    data.setup()
    names = {name: items.keys for name, items in data._items.items()}
    assert names == {
        "train": ["00_Jazz1-130-D_solo_mic"],
        "val": ["04_Jazz1-130-D_solo_mic"],
        "test": ["02_Rock1-90-C_solo_mic"],
    }
    assert data.shared_recordings() == {"train/val": [], "train/test": []}
    shutil.rmtree(folder)
    folder.mkdir()
    assert not data.is_ready
