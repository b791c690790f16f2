"""What every prepared set is: files on disk that become batches."""

from pathlib import Path

from torch.utils.data import DataLoader

from drumblender.audio_io import LONGEST_S, Channel, Offset
from drumblender.data.items import AudioItems, FeatureItems
from drumblender.data.kind import Data
from drumblender.data.loading import loading
from drumblender.data.prepare import preparation
from drumblender.data.prepare.fetch import Remote
from drumblender.data.prepare.folder import PreparedFolder
from drumblender.data.prepare.manifest import Manifest
from drumblender.data.prepare.one_shot import SILENCE_DB
from drumblender.data.prepare.raw import Labels
from drumblender.data.splits import SPLITS, Split, Splitting, split_keys, warn_of_copies, why_empty

NOWHERE, BY_FOLDER, AT_RANDOM = Remote(), Labels(), Splitting()


class AudioData(PreparedFolder, Data):
    """Recordings of one sample rate and length, in batches ``AudioBatch``.

    ``prepare_data`` does what is missing and nothing else: it takes the prepared folder as it is, or fetches
    its archive, or prepares it from raw recordings, which it fetches where they are absent. A subclass says
    what else a model must know about a sound: it overrides ``analyse`` and, where the files have a form of
    their own, ``pack_features`` and ``unpacker`` (see ``Recipe``).

    Args:
        data_dir: The prepared folder.
        raw_dir: Raw recordings: a published raw set or any folder of sound files.
        meta_file: Name of the manifest in ``data_dir``, and of the metadata file of a published raw set.
        remote: Where the archive of the prepared folder, or the raw set, can be had.
        labels: How a plain raw folder says what its recordings are.
        split: Which recordings train, validate and test, and which are used at all.
        sample_rate: Samples a second, after preparation.
        num_samples: Length, after preparation: cut or filled with zeros.
        channel: What becomes of several channels: the first, their mean, or the louder of the two (auto).
        dc: Remove a constant offset before silence is looked for, or keep it, as published.
        silence_db: Blocks below this are silence; what precedes the first other one is cut.
        min_samples: Recordings with fewer, after the cut, are rejected.
        longest_s: Seconds that are read of a recording at most.
        normalize: Divide each recording by its peak when it is read.
        batch_size: Items in a batch.
        num_workers: Processes that read; None: none, and with CUDA up to 8.

    Raises:
        ValueError: A size, rate or length that no data has.

    Examples:
        >>> import torch
        >>> from drumblender.audio_io import write_wav
        >>> for number in range(10):
        ...     write_wav(f"raw/kick/{number}.wav", torch.randn(4800) / 10, 48000)
        >>> data = AudioData("prepared", raw_dir="raw", num_samples=4800, batch_size=2)
        >>> data.prepare_data(jobs=1)
        >>> data.setup("fit")
        >>> next(iter(data.train_dataloader()))["audio"].shape
        torch.Size([2, 4800])
    """

    drop_last: bool = False

    def __init__(
        self,
        data_dir: str,
        raw_dir: str | None = None,
        meta_file: str = "manifest.json",
        remote: Remote = NOWHERE,
        labels: Labels = BY_FOLDER,
        split: Splitting = AT_RANDOM,
        sample_rate: int = 48000,
        num_samples: int = 96000,
        channel: Channel = "auto",
        dc: Offset = "remove",
        silence_db: float = SILENCE_DB,
        min_samples: int = 64,
        longest_s: float = LONGEST_S,
        normalize: bool = False,
        batch_size: int = 32,
        num_workers: int | None = None,
    ) -> None:
        super().__init__()
        if min(sample_rate, num_samples, batch_size) < 1:
            raise ValueError(f"Need at least 1, got {sample_rate=}, {num_samples=}, {batch_size=}.")
        if not num_samples <= longest_s * sample_rate < float("inf"):
            raise ValueError(
                f"{num_samples=} at {sample_rate=} last longer than longest_s={longest_s:g}, the most that "
                "is read of a recording: lower num_samples, or raise longest_s."
            )
        self.data_dir, self.raw_dir = Path(data_dir), Path(raw_dir) if raw_dir is not None else None
        self.meta_file = meta_file
        self.remote, self.labels, self.split = remote, labels, split
        self.sample_rate, self.num_samples = sample_rate, num_samples
        self.channel, self.dc, self.longest_s = channel, dc, longest_s
        self.silence_db, self.min_samples = silence_db, min_samples
        self.normalize = normalize
        self.batch_size, self.num_workers = batch_size, num_workers
        self._items: dict[str, AudioItems] = {}

    def _worker(self) -> "AudioData":
        worker = super()._worker()
        worker._items = {}
        return worker

    def setup(self, stage: str | None = None) -> None:
        """Read the manifest and split it. ``stage``: fit, validate, test, predict, or None for all."""
        manifest = self._manifest()
        preparation.check_settings(self.data_dir, self.settings())
        wanted: dict[str | None, tuple[Split, ...]] = {
            "fit": ("train", "val"),
            "validate": ("val",),
            "test": ("test",),
            "predict": ("test",),
        }
        for split in wanted.get(stage, SPLITS):
            keys = self.keys_of(manifest, split)
            if split == "train":
                warn_of_copies(manifest, keys)
            if not keys:
                why = why_empty(manifest, self.split.strategy, self.split.holdout)
                raise ValueError(f"The {split} split of {self.data_dir} is empty. {why}")
            self._check_files(manifest, keys)
            self._items[split] = self._items_of(manifest, keys)

    @property
    def splits(self) -> dict[str, AudioItems]:
        """The items of each split that ``setup`` read."""
        return self._items

    def keys_of(self, manifest: Manifest, split: Split) -> list[str]:
        """Which items a split has, in order."""
        return split_keys(
            manifest,
            split,
            self.split.strategy,
            seed=self.split.seed,
            holdout=self.split.holdout,
            types=self.split.types,
            instruments=self.split.instruments,
        )

    def train_dataloader(self) -> DataLoader:
        return self._loader("train", shuffle=True)

    def val_dataloader(self) -> DataLoader:
        return self._loader("val")

    def test_dataloader(self) -> DataLoader:
        return self._loader("test")

    def predict_dataloader(self) -> DataLoader:
        return self._loader("test")

    def _loader(self, split: Split, shuffle: bool = False) -> DataLoader:
        return DataLoader(
            self._items[split],
            batch_size=self.batch_size,
            shuffle=shuffle,
            drop_last=self.drop_last,
            **loading(self.num_workers),
        )

    def _items_of(self, manifest: Manifest, keys: list[str]) -> AudioItems:
        arguments = {
            "sample_rate": self.sample_rate,
            "num_samples": self.num_samples,
            "normalize": self.normalize,
        }
        if self.has_features:
            return FeatureItems(self.data_dir, manifest, keys, unpack=self.unpacker(), **arguments)
        return AudioItems(self.data_dir, manifest, keys, **arguments)
