import zipfile

import numpy as np
import pytest
import soundfile
import torch
import yaml
from jsonargparse import ArgumentParser

from drumblender.data import GuitarSetDataModule
from drumblender.data.prepare.storage import StorageError
from drumblender.features import note_curves
from drumblender.shipped import shipped_dir
from drumblender.synths import FilteredNoiseSynth


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


def as_published(tmp_path, record):
    """What the configuration of the published guitar makes of the record in miniature."""
    given = yaml.safe_load((shipped_dir("cfg") / "data" / "guitarset_published.yaml").read_text())
    given["init_args"] |= {
        "data_dir": str(tmp_path / "prepared"),
        "raw_dir": str(tmp_path / "raw"),
        "url": str(record),
        "num_workers": 0,
    }
    parser = ArgumentParser(exit_on_error=False)
    parser.add_subclass_arguments(GuitarSetDataModule, "data", required=True)
    return parser.instantiate(parser.parse_object({"data": given})).data


def test_the_published_guitar_hears_every_file_once_an_epoch_in_100_frames(tmp_path, record, caplog):
    data = as_published(tmp_path, record)
    data.prepare_data(jobs=1)
    with caplog.at_level("WARNING"):
        data.setup()
    assert "04, 05" in caplog.text
    batches = list(data.train_dataloader())
    assert len(batches) == 1 and len(set(batches[0]["name"])) == 8  # solos and chords of all four players
    assert batches[0]["audio"].shape == (8, 16000)
    assert batches[0]["f0_hz"].shape == batches[0]["loudness_db"].shape == (8, 100)
    settings = data.settings()
    assert settings["analysis.loudness"] == "bandpass rectangle 1024 1e-07"
    assert settings["analysis.tracker"] == "crepe-published" and settings["analysis.hold_below"] == 0
    assert data.shared_recordings()["train/val"]  # and says so
    whole = next(iter(data.val_dataloader()))
    assert whole["f0_hz"].shape == (1, whole["audio"].shape[-1] // 160 + 1)


def test_the_last_hop_of_the_published_noise_is_silent(tmp_path, record):
    data = as_published(tmp_path, record)
    data.prepare_data(jobs=1)
    data.setup()
    curves = next(iter(data.train_dataloader()))["loudness_db"]
    synth = FilteredNoiseSynth(num_bands=65, pad_last=False)
    sound = synth({"magnitude": curves[..., None].abs().expand(-1, -1, 65)}, 16000)
    assert sound[:, -160:].abs().max() == 0 < sound[:, -320:-160].abs().max()
