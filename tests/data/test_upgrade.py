"""Configurations that were saved with flat arguments are built as they were then."""

import copy

import pytest
from jsonargparse import ArgumentParser
from lightning import LightningDataModule

from drumblender.data.upgrade import upgrade_data

ANALYSIS = {
    "class_path": "drumblender.features.CQTModalAnalysis",
    "init_args": {"sample_rate": 16000, "hop_length": 64, "fmin": 40, "n_bins": 60, "num_modes": 24},
}
OLD_DRUMS = {  # as the first version saved it, in full
    "class_path": "drumblender.data.ModalDataModule",
    "init_args": {
        "data_dir": "dataset/mine",
        "analysis": ANALYSIS,
        "num_modes": None,
        "save_modal_audio": False,
        "batch_size": 12,
        "raw_dir": "raw",
        "meta_file": "m.json",
        "url": "https://example.org",
        "bucket": "b",
        "archive": "a.tar.gz",
        "archive_sha256": "00",
        "sample_rate": 16000,
        "num_samples": 8000,
        "channel": "first",
        "silence_db": -50.0,
        "min_samples": 64,
        "labels": "t.csv",
        "label_levels": ["sample_pack_key"],
        "label_columns": {"filename": "path", "instrument": "label"},
        "split_strategy": "sample_pack",
        "seed": 7,
        "holdout": 0.2,
        "types": ["acoustic"],
        "instruments": None,
        "normalize": False,
        "num_workers": 0,
    },
}
OLD_NOTES = {
    "class_path": "drumblender.data.NSynthDataModule",
    "init_args": {
        "data_dir": "dataset/nsynth",
        "root": None,
        "pitch": None,
        "families": None,
        "sources": ["synthetic"],
        "lowest_midi": 30,
        "highest_midi": 90,
        "max_files": 5,
        "train_split": "train",
        "val_split": "test",
        "test_split": "test",
        "hop_length": 128,
        "statistics": "split",
        "drop_last": True,
        "url": "http://example.org/nsynth",
        "archive_digests": None,
        "sample_rate": 16000,
        "num_samples": 64000,
        "batch_size": 4,
        "num_workers": 0,
        "seed": 3,
        "holdout": 0.1,
    },
}


def built(config):
    parser = ArgumentParser(exit_on_error=False)
    parser.add_subclass_arguments(LightningDataModule, "data", required=True)
    return parser.instantiate(parser.parse_object({"data": config})).data


def test_drums_of_the_first_version_are_what_they_were():
    data = built(upgrade_data(OLD_DRUMS))
    remote, labels, split = data.remote, data.labels, data.split
    assert (remote.url, remote.bucket, remote.archive, remote.sha256) == (
        "https://example.org",
        "b",
        "a.tar.gz",
        "00",
    )
    assert (labels.csv, labels.levels, labels.file_column) == ("t.csv", ("sample_pack_key",), "path")
    assert labels.columns == {"instrument": "label"}
    assert (split.strategy, split.seed, split.holdout) == ("sample_pack", 7, 0.2)
    assert (split.types, split.instruments) == (("acoustic",), None)
    assert (data.channel, data.dc, data.silence_db, data.batch_size) == ("first", "keep", -50.0, 12)


def test_notes_of_the_first_version_are_what_they_were():
    data = built(upgrade_data(OLD_NOTES))
    notes = data.notes
    assert (notes.families, notes.sources) == (("guitar",), ("synthetic",))
    assert (notes.lowest_midi, notes.highest_midi, notes.max_files) == (30, 90, 5)
    assert data.names.all() == ["train", "test"] and data.names.of("val") == "test"
    assert (data.archives.url, data.archives.sha256) == ("http://example.org/nsynth", {})
    assert (data.split.seed, data.channel, data.dc) == (3, "mean", "keep")


def test_hits_of_a_saved_run_keep_their_offset():
    saved = {"path": "x", "batch_size": 4, "channel": "mean"}
    old = {"class_path": "drumblender.data.RemapDataModule", "init_args": saved}
    assert upgrade_data(old)["init_args"] == saved | {"dc": "keep"}


def test_a_file_written_by_hand_gets_the_rules_of_today():
    flat = {"data_dir": "x", "label_levels": ["type"], "split_strategy": "random", "seed": 3}
    new = upgrade_data({"class_path": "drumblender.data.AudioDataModule", "init_args": flat})["init_args"]
    assert new == {
        "data_dir": "x",
        "labels": {"levels": ["type"]},
        "split": {"strategy": "random", "seed": 3},
    }


@pytest.mark.parametrize("old", [OLD_DRUMS, OLD_NOTES], ids=["drums", "notes"])
def test_the_upgrade_changes_nothing_that_it_is_given_and_is_done_once(old):
    before = copy.deepcopy(old)
    new = upgrade_data(old)
    assert old == before and upgrade_data(new) == new


@pytest.mark.parametrize(
    "other",
    [
        {"class_path": "made_up.Batches", "init_args": {"seed": 3}},
        {"class_path": "drumblender.data.SyntheticStringsDataModule", "init_args": {"seed": 3}},
        {"class_path": "drumblender.data.AudioDataModule", "init_args": "x"},
        {},
    ],
)
def test_other_data_is_left_as_it_is(other):
    assert upgrade_data(other) == other


def test_what_is_given_in_both_forms_is_refused():
    both = {"data_dir": "x", "seed": 1, "split": {"seed": 2}}
    with pytest.raises(ValueError, match="split.seed is given twice"):
        upgrade_data({"class_path": "drumblender.data.AudioDataModule", "init_args": both})
