import zipfile

import numpy as np
import pytest
import soundfile
import torch

from drumblender.data import GuitarSetDataModule
from drumblender.data.prepare.storage import StorageError
from drumblender.features import note_curves


@pytest.fixture(autouse=True)
def flat_pitch(monkeypatch):
    def made_up(audio, sample_rate, hop_length, name):
        shape = len(audio), audio.shape[-1] // hop_length + 1
        return torch.full(shape, 220.0), torch.ones(shape)

    monkeypatch.setattr(note_curves, "pitch_of", made_up)


@pytest.fixture
def record(tmp_path):
    """A public record in miniature: four players, a solo and chords of each."""
    folder = tmp_path / "record"
    folder.mkdir()
    with zipfile.ZipFile(folder / "audio_mono-mic.zip", "w") as archive:
        for player in ("00", "01", "04", "05"):
            for kind in ("solo", "comp"):
                name = f"{player}_Jazz1-130-D_{kind}_mic.wav"
                sound = 0.1 * np.sin(2 * np.pi * 220 * np.arange(24000) / 16000)
                soundfile.write(tmp_path / name, sound, 16000)
                archive.write(tmp_path / name, f"../outside/{name}")
    return folder


def module(tmp_path, record, **settings):
    return GuitarSetDataModule(
        str(tmp_path / "prepared"),
        str(tmp_path / "raw"),
        url=str(record),
        num_harmonics=4,
        num_bands=3,
        **settings,
    )


def test_players_stay_apart_and_chords_are_left_out(tmp_path, record):
    data = module(tmp_path, record)
    data.prepare_data(jobs=1)
    data.setup()
    manifest = data._manifest()
    players = {
        split: sorted(manifest[key].tags["player"] for key in data.keys_of(manifest, split))
        for split in ("train", "val", "test")
    }
    assert players == {"train": ["00", "01"], "val": ["04"], "test": ["05"]}
    assert data.shared_recordings() == {"train/val": [], "train/test": []}
    assert next(iter(data.train_dataloader()))["audio"].shape == (2, 16000)
    assert not (tmp_path / "outside").exists()  # where a name in the archive points to


def test_players_that_are_not_there_are_named(tmp_path, record):
    data = module(tmp_path, record, test_players=["09"])
    data.prepare_data(jobs=1)
    with pytest.raises(ValueError, match="'09'"):
        data.setup()


def test_a_wrong_digest_and_a_broken_archive_are_refused(tmp_path, record):
    with pytest.raises(StorageError, match="sha256"):
        module(tmp_path, record, archive_sha256="0" * 64).prepare_data(jobs=1)
    (tmp_path / "audio_mono-mic.zip").write_text("no archive")
    with pytest.raises(StorageError, match="no zip archive"):
        module(tmp_path, record).prepare_data(jobs=1)


def test_impossible_settings_are_refused(unchecked):
    with pytest.raises(ValueError, match="'drums'"):
        GuitarSetDataModule("x", subset="drums")
    with pytest.raises(ValueError, match="'05'"):
        GuitarSetDataModule("x", val_players=["05"])
