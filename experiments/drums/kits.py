"""Drums whose kits are told apart by name: some train, some choose, some were never heard."""

from collections import Counter
from collections.abc import Collection
from typing import Any

from drumblender.data import ModalDataModule
from drumblender.data.prepare.manifest import Manifest
from drumblender.data.prepare.raw import Recording
from drumblender.data.splits import Split


class KitDrumsDataModule(ModalDataModule):
    """A ``ModalDataModule`` whose kits (``sample_pack_key``) are given a split each, by name.

    Unlike a draw, this keeps machines and repositories apart that have several names.

    Args:
        data_dir: The prepared folder.
        test_kits: Kits to test with.
        val_kits: Kits to validate with, so that nothing is chosen on the test kits.
        left_out: Kits to use for nothing, such as another recording of a machine that is tested.
        per_kit: Recordings of each kit and instrument at most, evenly through their order.
        **kwargs: The other arguments of ``ModalDataModule``.
    """

    def __init__(
        self,
        data_dir: str,
        test_kits: Collection[str] = (),
        val_kits: Collection[str] = (),
        left_out: Collection[str] = (),
        per_kit: int = 8,
        **kwargs: Any,
    ) -> None:
        super().__init__(data_dir, **kwargs)
        if per_kit < 1:
            raise ValueError(f"per_kit starts at 1, got {per_kit}.")
        if twice := (set(test_kits) & set(val_kits)) | (set(left_out) & {*test_kits, *val_kits}):
            raise ValueError(f"Kits {sorted(twice)} are named for two splits.")
        self.test_kits, self.val_kits, self.left_out = set(test_kits), set(val_kits), set(left_out)
        self.per_kit = per_kit

    def find_recordings(self) -> list[Recording]:
        found = [each for each in super().find_recordings() if each.sample_pack_key not in self.left_out]
        sizes = Counter(map(_group, found))
        seen: Counter[tuple[str, str]] = Counter()
        kept = []
        for recording in found:
            place, size = seen[_group(recording)], sizes[_group(recording)]
            seen[_group(recording)] += 1
            if size <= self.per_kit or place * self.per_kit % size < self.per_kit:
                kept.append(recording)
        return kept

    def keys_of(self, manifest: Manifest, split: Split) -> list[str]:
        held = {"test": self.test_kits, "val": self.val_kits}
        kits = {item.sample_pack_key for item in manifest.values()}
        wanted = held.get(split, kits - self.test_kits - self.val_kits)
        return [key for key, item in manifest.items() if item.sample_pack_key in wanted]


def _group(recording: Recording) -> tuple[str, str]:
    return recording.sample_pack_key, str(recording.tags.get("instrument"))
