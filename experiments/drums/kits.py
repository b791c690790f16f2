"""Drums whose kits are told apart by name: some train, some choose, some were never heard."""

from collections import Counter
from collections.abc import Sequence
from typing import Any

from drumblender.data import ModalDataModule
from drumblender.data.prepare.manifest import Manifest
from drumblender.data.prepare.raw import Recording
from drumblender.data.splits import Split
from experiments.packs import NamedPacks


class KitDrumsDataModule(ModalDataModule):
    """A ``ModalDataModule`` whose kits (``sample_pack_key``) are given a split each, by name.

    Args:
        data_dir: The prepared folder.
        test_kits, val_kits, left_out: As :class:`~experiments.packs.NamedPacks` has them.
        per_kit: Recordings of each kit and instrument at most, evenly through their order.
        **kwargs: The other arguments of ``ModalDataModule``.
    """

    def __init__(
        self,
        data_dir: str,
        test_kits: Sequence[str] = (),
        val_kits: Sequence[str] = (),
        left_out: Sequence[str] = (),
        per_kit: int = 8,
        **kwargs: Any,
    ) -> None:
        super().__init__(data_dir, **kwargs)
        if per_kit < 1:
            raise ValueError(f"per_kit starts at 1, got {per_kit}.")
        self.packs, self.per_kit = NamedPacks(test_kits, val_kits, left_out), per_kit

    def find_recordings(self) -> list[Recording]:
        found = [
            each for each in super().find_recordings() if self.packs.split_of(each.sample_pack_key) != "none"
        ]
        return thinned(found, self.per_kit)

    def keys_of(self, manifest: Manifest, split: Split) -> list[str]:
        return self.packs.keys_of(manifest, split)


def thinned(recordings: Sequence[Recording], most: int) -> list[Recording]:
    """At most so many of each pack and instrument, evenly through their order."""
    sizes = Counter(map(_group, recordings))
    seen: Counter[tuple[str, str]] = Counter()
    kept = []
    for recording in recordings:
        group = _group(recording)
        if sizes[group] <= most or seen[group] * most % sizes[group] < most:
            kept.append(recording)
        seen[group] += 1
    return kept


def _group(recording: Recording) -> tuple[str, str]:
    return recording.sample_pack_key, str(recording.tags.get("instrument"))
