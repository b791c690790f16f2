"""Batches out of shards: how a large set is read where many small files would be slow."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
from torch.utils.data import DataLoader, Sampler

from drumblender.data.kind import Data
from drumblender.data.loading import loading
from drumblender.data.shard_files import ShardItems, shard_order


class ShardData(Data):
    """Items of any prepared set, from the shards that ``drumblender-dataset CONFIG --shards DIR`` wrote.

    Training reads shards in a random order, each from its beginning on, through a buffer that shuffles. The
    order depends on seed and epoch alone: a resumed run goes on with what it would have seen.

    Args:
        path: The folder of the shards.
        sample_rate: Of the audio in them.
        num_samples: Length of the audio in them.
        batch_size: Items in a batch.
        buffer: Items that wait in the shuffle buffer of training.
        seed: Of the order.
        num_workers: Processes that read; None: none, and with CUDA up to 8.

    Raises:
        ValueError: A size below 1.

    Examples:
        >>> import torch
        >>> from drumblender.data.shard_files import write_shards
        >>> items = [{"audio": torch.full((100,), n / 10)} for n in range(10)]
        >>> for split in ("train", "val"):
        ...     _ = write_shards(items, Path("shards"), split)
        >>> data = ShardData("shards", sample_rate=16000, num_samples=100, batch_size=4)
        >>> data.setup("fit")
        >>> [batch["audio"].shape[0] for batch in data.train_dataloader()]
        [4, 4, 2]
    """

    def __init__(
        self,
        path: str,
        sample_rate: int,
        num_samples: int,
        batch_size: int = 32,
        buffer: int = 1000,
        seed: int = 0,
        num_workers: int | None = None,
    ) -> None:
        super().__init__()
        if min(sample_rate, num_samples, batch_size, buffer) < 1:
            raise ValueError(
                f"Need at least 1, got {sample_rate=}, {num_samples=}, {batch_size=}, {buffer=}."
            )
        self.path, self.sample_rate, self.num_samples = Path(path), sample_rate, num_samples
        self.batch_size, self.buffer, self.seed, self.num_workers = batch_size, buffer, seed, num_workers
        self._items: dict[str, ShardItems] = {}

    def setup(self, stage: str | None = None) -> None:
        """Read the indices of the splits that a stage needs.

        Raises:
            FileNotFoundError: There are no such shards.
            ValueError: They hold audio of another length.
        """
        wanted = {"fit": ("train", "val"), "validate": ("val",), "test": ("test",), "predict": ("test",)}
        for split in wanted.get(stage, ("train", "val", "test")):
            self._items[split] = items = ShardItems(self.path, split)
            if (found := items[0]["audio"].shape[-1]) != self.num_samples:
                raise ValueError(f"{self.path}: items have {found} samples, not {self.num_samples=}.")

    def train_dataloader(self) -> DataLoader:
        return self._loader("train", ShardSampler(self._items["train"], self.buffer, self.seed))

    def val_dataloader(self) -> DataLoader:
        return self._loader("val")

    def test_dataloader(self) -> DataLoader:
        return self._loader("test")

    def predict_dataloader(self) -> DataLoader:
        return self._loader("test")

    def _loader(self, split: str, sampler: "ShardSampler | None" = None) -> DataLoader:
        return DataLoader(
            self._items[split],
            batch_size=self.batch_size,
            sampler=sampler,
            **loading(self.num_workers),
        )


class ShardSampler(Sampler[int]):
    """The order of an epoch; Lightning sets which."""

    def __init__(self, items: ShardItems, buffer: int, seed: int) -> None:
        self.items, self.buffer, self.seed, self.epoch = items, buffer, seed, 0

    def set_epoch(self, epoch: int) -> None:
        self.epoch = epoch

    def __iter__(self) -> Iterator[int]:
        generator = np.random.default_rng((self.seed, self.epoch))
        return shard_order(self.items.shard_of, generator, self.buffer)

    def __len__(self) -> int:
        return len(self.items)
