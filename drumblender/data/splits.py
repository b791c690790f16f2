"""Which recordings train, which validate, which test: the same for the same manifest and seed."""

import logging
import warnings
from collections import defaultdict
from collections.abc import Collection
from dataclasses import dataclass
from typing import Literal

import numpy as np
import torch
from torch.utils.data import random_split

from drumblender.data.prepare.manifest import Item, Manifest

_log = logging.getLogger(__name__)

Split = Literal["train", "val", "test"]
Strategy = Literal["random", "sample_pack"]
SPLITS: tuple[Split, ...] = ("train", "val", "test")


@dataclass(frozen=True)
class Splitting:
    """How a set is split, and what of it is used.

    Args:
        strategy: ``random`` draws single recordings; ``sample_pack`` keeps packs whole.
        seed: Of the draw.
        holdout: Fraction to validate with, and again to test with.
        types: Use these types only; None uses all.
        instruments: Use these instruments only; None uses all.
    """

    strategy: Strategy = "random"
    seed: int = 42
    holdout: float = 0.1
    types: tuple[str, ...] | None = None
    instruments: tuple[str, ...] | None = None


def split_keys(
    manifest: Manifest,
    split: str,
    strategy: str = "random",
    *,
    seed: int = 42,
    holdout: float = 0.1,
    types: Collection[str] | None = None,
    instruments: Collection[str] | None = None,
) -> list[str]:
    """Keys of one split.

    The whole set is split first and filtered afterwards, so that a filter never moves a recording from one
    split to another: a model trained on everything can be tested on the snares alone.

    Args:
        manifest: All items, in the order of their file.
        split: ``train``, ``val`` or ``test``.
        strategy: ``random`` draws single recordings; ``sample_pack`` keeps each pack in one split, and the
            proportions within each type.
        seed: Of the draw.
        holdout: Fraction of the set to validate with, and again to test with.
        types: Keep these types only; None keeps all.
        instruments: Keep these values of the tag ``instrument`` only; None keeps all.

    Returns:
        Random: in the order drawn, as published. Sample packs: in the order of the manifest. May be empty.

    Raises:
        ValueError: Unknown split or strategy; a filter that no item matches; a pack with two types.
    """
    if split not in SPLITS:
        raise ValueError(f"No split {split!r}; there are {', '.join(SPLITS)}.")
    if not 0 < holdout < 0.5:
        raise ValueError(f"holdout is taken twice, so it lies between 0 and 0.5, got {holdout}.")
    _check_filter("type", types, {item.type for item in manifest.values()})
    _check_filter("instrument", instruments, {_instrument(item) for item in manifest.values()})
    if strategy == "random":
        keys = _random(list(manifest), seed, holdout)[split]
    elif strategy == "sample_pack":
        keys = _by_pack(manifest, seed, holdout)[split]
    else:
        raise ValueError(f"No split strategy {strategy!r}; there are random and sample_pack.")
    return [
        key
        for key in keys
        if (types is None or manifest[key].type in types)
        and (instruments is None or _instrument(manifest[key]) in instruments)
    ]


def _instrument(item: Item) -> str | None:
    name = item.tags.get("instrument")
    return None if name is None else str(name)


def _check_filter(name: str, wanted: Collection[str] | None, there: set[str | None]) -> None:
    if wanted is None:
        return
    missing = sorted(set(wanted) - there)
    known = ", ".join(sorted(str(value) for value in there if value is not None)) or "none"
    if len(missing) == len(set(wanted)):
        raise ValueError(
            f"No recording has the {name} {' or '.join(missing) or '(none given)'}; there are: {known}."
        )
    if missing:
        _log.warning("No recording has the %s %s; there are: %s.", name, " or ".join(missing), known)


def _random(keys: list[str], seed: int, holdout: float) -> dict[str, list[str]]:
    fractions = [1 - 2 * holdout, holdout, holdout]
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="Length of split")  # an empty one is told in our words
        drawn = random_split(keys, fractions, generator=torch.Generator().manual_seed(seed))
    return {name: list(part) for name, part in zip(SPLITS, drawn, strict=True)}


def _by_pack(manifest: Manifest, seed: int, holdout: float) -> dict[str, list[str]]:
    packs: dict[str, dict[str, int]] = defaultdict(lambda: defaultdict(int))  # files by type, then pack
    type_of: dict[str, str] = {}
    for item in manifest.values():
        pack = item.sample_pack_key
        if type_of.setdefault(pack, item.type) != item.type:
            raise ValueError(
                f"Pack {pack!r} holds the types {type_of[pack]!r} and {item.type!r}, so it would straddle "
                "splits. Give packs of one type each, or split.strategy random."
            )
        packs[item.type][pack] += 1
    label: dict[str, str] = {}
    for sizes in packs.values():
        label |= _assign(sizes, seed, holdout)
    parts: dict[str, list[str]] = {name: [] for name in SPLITS}
    for key, item in manifest.items():
        parts[label[item.sample_pack_key]].append(key)
    return parts


def _assign(sizes: dict[str, int], seed: int, holdout: float) -> dict[str, str]:
    """A split for each pack of one type: fill test, then val, with packs that fit into the quota."""
    order = np.random.RandomState(seed).permutation(sorted(sizes))  # the published draw
    quota = int(holdout * sum(sizes.values()))
    label: dict[str, str] = {}
    for split in ("test", "val"):
        room = quota
        for pack in order:
            if pack not in label and sizes[pack] <= room:
                label[pack] = split
                room -= sizes[pack]
    return {str(pack): label.get(pack, "train") for pack in order}


def warn_of_copies(manifest: Manifest, train: list[str]) -> None:
    """Say which recordings do not train though the same sound does, sample for sample."""
    trained = {manifest[key].sha256: key for key in train if manifest[key].sha256 is not None}
    copies = [key for key in manifest.keys() - set(train) if manifest[key].sha256 in trained]
    if copies:
        copy = min(copies)
        _log.warning(
            "%d recordings outside of the training set are the same sound as one in it, such as %s and %s: "
            "what is measured on them says too much. Leave one of each out.",
            len(copies),
            *(manifest[key].source or key for key in (copy, trained[manifest[copy].sha256])),
        )


def why_empty(manifest: Manifest, strategy: Strategy, holdout: float) -> str:
    """One sentence on what to change when a split is empty."""
    if len(manifest) < len(SPLITS):
        return f"Each split needs a recording, so three at the least; prepared: {len(manifest)}."
    if strategy == "random":
        larger = " or a larger --data.split.holdout (0.34 is a third)" * (holdout < 0.34)
        return (
            f"{len(manifest)} recordings are too few for holdout {holdout:g}, or a filter leaves none: "
            f"use more recordings{larger}."
        )
    counts: dict[str, int] = defaultdict(int)
    for item in manifest.values():
        counts[item.sample_pack_key] += 1
    smallest = min(counts.values(), default=0)
    return (
        f"Packs stay whole, and none may be left that fits into holdout {holdout:g} of its type "
        f"({len(counts)} packs of {smallest} recordings and more) or passes the filters: "
        "raise split.holdout, or use split.strategy random."
    )
