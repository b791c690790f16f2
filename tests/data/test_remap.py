"""Hits of a drum as batches: published numbers, splits, and folders that cannot be used."""

import shutil
from pathlib import Path

import numpy as np
import pytest
import soundfile
import torch
from golden_parts import build_feature

from drumblender.data import RemapDataModule
from drumblender.data.hits import HitFeatures, split_evenly
from drumblender.data.prepare.fetch import Remote
from drumblender.features import RMS, CascadingFrameExtractor, FeatureCollection, Loudness

RATE = 8000


def simple_data(path, **settings):
    def frames(feature):
        return FeatureCollection([CascadingFrameExtractor([feature], [1, 2], frame_size=256, hop_length=128)])

    return RemapDataModule(
        str(path), frames(Loudness(RATE)), frames(RMS(db=True)), sample_rate=RATE, **settings
    )


def write_hits(folder, levels, size=RATE):
    """A recording with one burst of noise for each level."""
    rng = np.random.default_rng(0)
    for number, level in enumerate(levels):
        audio = np.zeros(size)
        audio[100:] = level * rng.uniform(-1, 1, size - 100) * 0.999 ** np.arange(size - 100)
        soundfile.write(folder / f"hit{number}.wav", audio, RATE)


@pytest.mark.parametrize("name", ["data_directory", "data_resampled", "data_single_file"])
def test_features_and_splits_are_the_published_ones(golden, tmp_path, name):
    numbers = golden("remap", name)
    init = dict(numbers.config["init"])
    waves = {
        key.removeprefix("in_wav_"): value for key, value in numbers.items() if key.startswith("in_wav_")
    }
    for suffix, wave in waves.items():
        soundfile.write(tmp_path / f"{suffix}.wav", wave.numpy(), numbers.config["wav_sample_rate"])
    splits = {
        key: init[key] for key in ("val_split", "test_split", "center_onset", "batch_size") if key in init
    }
    data = RemapDataModule(
        str(tmp_path / f"{next(iter(waves))}.wav" if len(waves) == 1 else tmp_path),
        build_feature(init["feature"]),
        build_feature(init["onset_feature"]),
        sample_rate=init["sample_rate"],
        weighted=init.get("return_norm", False),
        channel="mean",
        dc="keep",
        **splits,
    )
    hits = data.read_hits()
    numbers.check("out_audio_head", hits[:, : numbers["out_audio_head"].shape[1]])
    data.setup("fit")
    numbers.check("out_ref_idx", data.hits.reference)
    numbers.check("out_full_features", data.hits.full)
    numbers.check("out_diff", data.hits.difference)
    numbers.check("out_onset_features", data.hits.onset)
    numbers.check("out_norm", data.hits.weight)
    for split in ("train", "val", "test"):
        if f"out_{split}_ids" in numbers:
            numbers.check(f"out_{split}_ids", getattr(data, f"{split}_ids"))
    item = data.batch_of(data.train_ids[1:2])
    numbers.check("out_train_item1_onset", item["onset"][0])
    numbers.check("out_train_item1_target", item["difference"][0])
    if "out_train_item1_weight" in numbers:
        numbers.check("out_train_item1_weight", item["weight"][0])


def test_splits_are_the_published_ones(golden):
    numbers = golden("remap", "data_split")
    call = numbers.config["call"]
    train, held = split_evenly(numbers["in_ids"], call["ref_idx"], call["split"], numbers.config["data_seed"])
    numbers.check("out_train", train)
    numbers.check("out_held", held)
    train, held = split_evenly(train, call["ref_idx"], call["split"], numbers.config["data_seed"])
    numbers.check("out_train2", train)
    numbers.check("out_held2", held)


@pytest.mark.parametrize("share", [0.0, 0.05, 0.3, 0.9])
def test_a_split_never_takes_the_reference_and_loses_nothing(share):
    ids = torch.randperm(31, generator=torch.Generator().manual_seed(1))
    for reference in range(31):
        kept, held = split_evenly(ids, reference, share, seed=reference)
        assert reference in kept and sorted(torch.cat([kept, held]).tolist()) == list(range(31))
        assert len(held) == 0 if share == 0 else len(held) >= 1


def test_batches_hold_what_tasks_read(tmp_path):
    write_hits(tmp_path, np.geomspace(0.05, 0.8, 12))
    data = simple_data(
        tmp_path, batch_size=4, val_split=0.1, test_split=0.2, weighted=True, center_onset=True
    )
    data.setup("fit")
    batch = next(iter(data.train_dataloader()))
    assert {key: tuple(value.shape) for key, value in batch.items()} == {
        "onset": (4, 2),
        "difference": (4, 2),
        "weight": (4, 2),
    }
    assert torch.equal(data.hits.onset.amin(dim=0), torch.zeros(2))
    assert torch.allclose(data.hits.onset.amax(dim=0), torch.ones(2))
    reference = data.batch_of(torch.tensor([data.hits.reference]))
    assert (reference["onset"] == 0).all() and (reference["difference"] == 0).all()
    used = torch.cat([data.train_ids, data.val_ids, data.test_ids])
    assert sorted(used.tolist()) == list(range(12))


def test_without_a_validation_split_there_is_no_loader_and_all_hits_are_tested(tmp_path):
    write_hits(tmp_path, [0.1, 0.3, 0.6])
    data = simple_data(tmp_path)
    data.setup("fit")
    assert data.val_dataloader() == []
    assert len(data.test_dataloader().dataset) == 3


def test_what_cannot_be_used_is_left_out_and_named(tmp_path, caplog):
    write_hits(tmp_path, [0.1, 0.3])
    soundfile.write(tmp_path / "silent.wav", np.zeros(RATE), RATE)
    (tmp_path / "broken.wav").write_text("no sound")
    data = simple_data(tmp_path)
    data.setup("fit")
    assert len(data.hits.full) == 2
    assert "silent.wav: has no onset" in caplog.text and "broken.wav: is no audio file" in caplog.text


@pytest.mark.parametrize("levels, found", [([], 0), ([0.5], 1)])
def test_too_few_hits_are_refused_by_the_name_of_the_folder(tmp_path, levels, found):
    write_hits(tmp_path, levels)
    soundfile.write(tmp_path / "silent.wav", np.zeros(RATE), RATE)
    with pytest.raises(
        ValueError, match=f"{tmp_path.name}: found {found} of the 2 hits.*silent.wav: has no onset"
    ):
        simple_data(tmp_path).setup("fit")


def test_hits_shorter_than_a_frame_end_in_silence(tmp_path):
    write_hits(tmp_path, [0.2, 0.4], size=220)
    data = simple_data(tmp_path)
    assert data.read_hits().shape == (2, RATE)
    data.setup("fit")
    assert data.hits.full.isfinite().all()


def test_hits_all_alike_have_no_weight_and_no_scale(tmp_path):
    write_hits(tmp_path, [0.3])
    (tmp_path / "hit9.wav").write_bytes((tmp_path / "hit0.wav").read_bytes())
    data = simple_data(tmp_path, weighted=True)
    data.setup("fit")
    assert (data.hits.weight == 0).all() and (data.hits.onset == 0).all()


def test_the_reference_is_the_hit_of_median_loudness():
    full = torch.tensor([[-30.0], [-10.0], [-20.0], [-40.0], [-15.0]])
    assert HitFeatures(full, full).reference == 2


def test_files_are_read_in_the_order_of_counting(tmp_path):
    for name in ("hit10.wav", "hit9.wav", "hit1.flac", "notes.txt", "\u00b21.wav"):
        (tmp_path / name).touch()
    found = [path.name for path in simple_data(tmp_path)._sounds()]
    assert found == ["hit1.flac", "hit9.wav", "hit10.wav", "\u00b21.wav"]


@pytest.mark.parametrize("name", ["nowhere", "empty"])
def test_no_sound_files_are_refused(tmp_path, name):
    (tmp_path / "empty").mkdir()
    with pytest.raises(FileNotFoundError, match=name):
        simple_data(tmp_path / name).setup("fit")


@pytest.mark.parametrize("settings", [{"val_split": 1.0}, {"test_split": -0.1}, {"batch_size": 0}])
def test_settings_that_cannot_work_are_refused(tmp_path, settings):
    with pytest.raises(ValueError, match=next(iter(settings))):
        simple_data(tmp_path, **settings)


def test_a_set_of_drums_is_fetched_once_and_one_of_them_read(tmp_path, caplog):
    for drum, levels in {"Soft": [0.1, 0.2, 0.3], "Loud": [0.4, 0.8]}.items():
        (tmp_path / "made/sdss" / drum).mkdir(parents=True)
        write_hits(tmp_path / "made/sdss" / drum, levels)
    (tmp_path / "share").mkdir()
    archive = shutil.make_archive(str(tmp_path / "share/sdss"), "zip", tmp_path / "made")
    remote = Remote(str(tmp_path / "share"), archive="sdss.zip")
    data = simple_data(tmp_path / "got/sdss", remote=remote, drum="Loud")
    data.prepare_data()
    data.setup("fit")
    assert len(data.hits.full) == 2
    Path(archive).unlink()
    data.prepare_data()  # it is there
    assert len(simple_data(tmp_path / "got/sdss", drum="Soft").read_hits()) == 3
    assert "--data.drum" not in caplog.text
    assert len(simple_data(tmp_path / "got/sdss").read_hits()) == 5
    assert "these are 2 folders; --data.drum NAME picks one" in caplog.text
    with pytest.raises(FileNotFoundError, match="No sound files of Lout"):
        simple_data(tmp_path / "got/sdss", drum="Lout").setup("fit")


def test_a_drum_is_heard_on_either_channel_and_over_an_offset(tmp_path):
    write_hits(tmp_path, [0.2, 0.6])
    sounds = [soundfile.read(path)[0] for path in sorted(tmp_path.iterdir())]
    expected = simple_data(tmp_path).read_hits()
    for number, sound in enumerate(sounds):
        anti = np.stack([sound, -sound], axis=1) + 0.1
        soundfile.write(tmp_path / f"hit{number}.wav", anti, RATE, subtype="FLOAT")
    found = simple_data(tmp_path).read_hits()
    assert found.shape == expected.shape and (found - expected).abs().max() < 1e-2
    with pytest.raises(ValueError, match="found 0 of the 2 hits"):
        simple_data(tmp_path, channel="mean").setup("fit")
