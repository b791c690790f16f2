"""Shards hold what the files held, in an order that a resumed run repeats."""

import tarfile

import numpy as np
import pytest
import torch
import yaml

from drumblender.data import ShardDataModule
from drumblender.data.shard_files import ShardItems, shard_order, write_shards
from drumblender.dataset_cli import main

ITEMS = [
    {
        "audio": torch.full((50,), float(n)),
        "freq_rad": torch.rand(2, 3),
        "name": f"pack/{n}",
        "file": f"{n}.wav",
    }
    for n in range(9)
]


@pytest.fixture
def shards(tmp_path):
    for split in ("train", "val"):
        assert len(write_shards(ITEMS, tmp_path, split, shard_mb=0.003)) > 2
    return tmp_path


def data_of(folder, **changed):
    return ShardDataModule(
        str(folder), **({"sample_rate": 16000, "num_samples": 50, "batch_size": 2} | changed)
    )


def test_items_come_back_as_they_were_and_as_plain_tar_members(shards):
    items = ShardItems(shards, "train")
    for found, given in zip([items[n] for n in range(len(items))], ITEMS, strict=True):
        assert found.keys() == given.keys()
        assert torch.equal(found["audio"], given["audio"])
        assert torch.equal(found["freq_rad"], given["freq_rad"])
        assert (found["name"], found["file"]) == (given["name"], given["file"])
    names = []
    for path in items.paths:
        with tarfile.open(path) as archive:
            names += archive.getnames()
    assert names == [f"{n:09}.safetensors" for n in range(9)]


def names_of(loader):
    return [name for batch in loader for name in batch["name"]]


def test_every_epoch_has_every_item_in_an_order_of_its_own_that_can_be_repeated(shards):
    def epoch(number):
        data = data_of(shards, buffer=3)
        data.setup("fit")
        loader = data.train_dataloader()
        loader.sampler.set_epoch(number)
        return names_of(loader)

    assert sorted(epoch(0)) == sorted(item["name"] for item in ITEMS)
    assert epoch(0) == epoch(0) != epoch(1)


def test_a_shard_is_read_from_its_beginning_on():
    shard_of = np.repeat(np.arange(5), 100)
    order = np.array(list(shard_order(shard_of, np.random.default_rng(1), buffer=20)))
    assert sorted(order) == list(range(500))
    seen = np.array([np.mean(order[shard_of[order] == shard] % 100) for shard in range(5)])
    assert np.all(np.abs(seen - 49.5) < 1e-9)
    changes = np.abs(np.diff(shard_of[order])) > 0
    assert changes.mean() < 0.3  # without a buffer 4 of 499, with random reads 80 %


def test_what_is_no_set_of_shards_is_told(shards, tmp_path):
    with pytest.raises(FileNotFoundError, match="--shards"):
        ShardItems(shards, "test")
    with pytest.raises(ValueError, match="have 50 samples, not self.num_samples=60"):
        data_of(shards, num_samples=60).setup("fit")
    path = ShardItems(shards, "train").paths[0]
    content = bytearray(path.read_bytes())
    content[520:600] = bytes(80)
    path.write_bytes(content)
    with pytest.raises(ValueError, match="item 0, is damaged"):
        ShardItems(shards, "train")[0]
    (shards / "train.index.npz").write_bytes(b"PK")
    with pytest.raises(ValueError, match="damaged"):
        ShardItems(shards, "train")


@pytest.mark.parametrize(
    "places, names, told",
    [
        ([[0, 512, 2**62]], ["train-000000.tar"], "ends after its file"),
        ([[0, 2**62, 8]], ["train-000000.tar"], "ends after its file"),
        ([[0, 512, 100]], ["../train-000000.tar"], "outside of its folder"),
        ([[0, 512, 100]], ["passwd"], "outside of its folder"),
        ([[1, 512, 100]], ["train-000000.tar"], "damaged"),
        ([["a", "b", "c"]], ["train-000000.tar"], "damaged"),
        ([[0.5, 512, 100]], ["train-000000.tar"], "damaged"),
    ],
)
def test_an_index_of_a_stranger_chooses_no_file_and_takes_no_memory(shards, places, names, told):
    np.savez(shards / "train.index.npz", places=np.array(places), shards=np.array(names))
    with pytest.raises(ValueError, match=told):
        ShardItems(shards, "train")[0]


def test_the_command_writes_every_split(tmp_path, capsys):
    config = tmp_path / "data.yaml"
    analysis = {"sample_rate": 16000, "fmin": 60, "n_bins": 48, "num_modes": 2}
    settings = {
        "data_dir": str(tmp_path / "prepared"),
        "analysis": {"class_path": "drumblender.features.CQTModalAnalysis", "init_args": analysis},
        "num_sounds": 40,
        "sample_rate": 16000,
        "num_samples": 4000,
    }
    part = {"class_path": "drumblender.data.FakeDrumsDataModule", "init_args": settings}
    config.write_text(yaml.safe_dump(part))
    assert main([str(config), "--shards", str(tmp_path / "shards"), "--jobs", "1"]) == 0
    told = capsys.readouterr().out
    assert told.count("in 1 shard.") == 3
    data = data_of(tmp_path / "shards", num_samples=4000)
    data.setup()
    batch = next(iter(data.train_dataloader()))
    assert {
        name: batch[name].shape[0] for name in ("audio", "freq_rad", "amp", "phase_rad")
    } == dict.fromkeys(("audio", "freq_rad", "amp", "phase_rad"), 2)
