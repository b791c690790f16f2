import json

import pytest

from drumblender.data.prepare.manifest import Item
from drumblender.data.splits import SPLITS, split_keys


def set_of(*packs: tuple[str, str, int]) -> dict[str, Item]:
    """Items of packs ``(name, type, size)``."""
    instruments = ("kick", "snare")
    return {
        f"{pack}-{number}": Item(
            f"{pack}-{number}.wav", kind, pack, tags={"instrument": instruments[number % 2]}
        )
        for pack, kind, size in packs
        for number in range(size)
    }


MANIFEST = set_of(
    *((f"a{n}", "acoustic", 1 + n % 4) for n in range(20)), *((f"e{n}", "electronic", 3) for n in range(15))
)


def all_splits(manifest, strategy, **settings):
    return [split_keys(manifest, split, strategy, **settings) for split in SPLITS]


@pytest.mark.parametrize("strategy", ["random", "sample_pack"])
def test_every_recording_lies_in_one_split(strategy):
    parts = all_splits(MANIFEST, strategy)
    assert sorted(sum(parts, [])) == sorted(MANIFEST)
    assert all(parts)


def test_a_pack_never_straddles_splits():
    packs = [{MANIFEST[key].sample_pack_key for key in part} for part in all_splits(MANIFEST, "sample_pack")]
    assert not (packs[0] & packs[1] or packs[0] & packs[2] or packs[1] & packs[2])


@pytest.mark.parametrize("strategy", ["random", "sample_pack"])
def test_a_filter_moves_nothing_between_splits(strategy):
    whole = all_splits(MANIFEST, strategy)
    some = all_splits(MANIFEST, strategy, types=["acoustic"], instruments=["kick"])
    for part, filtered in zip(whole, some, strict=True):
        assert filtered == [
            key
            for key in part
            if MANIFEST[key].type == "acoustic" and MANIFEST[key].tags["instrument"] == "kick"
        ]


def test_another_seed_draws_another_split():
    assert all_splits(MANIFEST, "random", seed=1) != all_splits(MANIFEST, "random", seed=2)


def test_a_filter_that_matches_nothing_is_an_error():
    with pytest.raises(ValueError, match="'?digital.*acoustic, electronic"):
        split_keys(MANIFEST, "train", types=["digital"])
    with pytest.raises(ValueError, match="gong.*kick, snare"):
        split_keys(MANIFEST, "train", instruments=["gong"])


def test_a_pack_of_two_types_is_an_error():
    mixed = set_of(("p", "acoustic", 2)) | {"x": Item("x.wav", "electronic", "p")}
    with pytest.raises(ValueError, match="'acoustic' and 'electronic'"):
        split_keys(mixed, "train", "sample_pack")


@pytest.mark.parametrize("bad", [{"split": "dev"}, {"strategy": "folder"}, {"holdout": 0.5}])
def test_wrong_names_are_errors(bad):
    with pytest.raises(ValueError, match=str(next(iter(bad.values())))):
        split_keys(MANIFEST, **({"split": "train"} | bad))


def test_a_larger_holdout_fits_larger_packs():
    big = set_of(*((f"p{n}", "acoustic", 10) for n in range(5)))
    assert [len(part) for part in all_splits(big, "sample_pack")] == [50, 0, 0]
    assert [len(part) for part in all_splits(big, "sample_pack", holdout=0.2)] == [30, 10, 10]


@pytest.mark.parametrize(
    "name", ["split_random", "split_sample_pack", "split_acoustic", "split_electronic_cymbals"]
)
def test_splits_as_published(golden, name):
    data = golden("drums", name)
    settings = data.config["init"]
    manifest = {key: Item.from_json(entry) for key, entry in json.loads(str(data["in_metadata"])).items()}
    parts = all_splits(
        manifest,
        settings["split_strategy"],
        seed=settings["seed"],
        types=settings.get("sample_types"),
        instruments=settings.get("instruments"),
    )
    assert parts == [list(data[f"out_{split}"]) for split in SPLITS]
