"""Notes whose instruments are told apart by name, so that the instrument that is tested was never heard."""

from collections.abc import Sequence
from typing import Any

from drumblender.data import NSynthDataModule
from drumblender.data.prepare.manifest import Manifest
from drumblender.data.splits import Split
from experiments.packs import NamedPacks


class InstrumentNotesDataModule(NSynthDataModule):
    """An ``NSynthDataModule`` whose instruments are given a split each, by name.

    Args:
        data_dir: The prepared folder.
        test_instruments, val_instruments, left_out: As :class:`~experiments.packs.NamedPacks` has them.
        every: Of the notes of a split, use each so-and-so-many-th.
        **kwargs: The other arguments of ``NSynthDataModule``.
    """

    def __init__(
        self,
        data_dir: str,
        test_instruments: Sequence[str] = (),
        val_instruments: Sequence[str] = (),
        left_out: Sequence[str] = (),
        every: int = 1,
        **kwargs: Any,
    ) -> None:
        super().__init__(data_dir, **kwargs)
        if every < 1:
            raise ValueError(f"every starts at 1, got {every}.")
        self.packs, self.every = NamedPacks(test_instruments, val_instruments, left_out), every

    def keys_of(self, manifest: Manifest, split: Split) -> list[str]:
        return self.packs.keys_of(manifest, split)[:: self.every]
