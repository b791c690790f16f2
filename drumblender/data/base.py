"""What every prepared set is: files on disk that become batches, and the road from raw recordings to them."""

import copy
import logging
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import lightning as L
import torch
from torch import Tensor
from torch.utils.data import DataLoader

from drumblender.data import preparation
from drumblender.data.archive import pack
from drumblender.data.atomic import sha256_of, written_aside
from drumblender.data.audio_io import BadAudioError, Channel, read_audio, write_wav
from drumblender.data.fetch import Remote
from drumblender.data.items import AudioItems, FeatureItems
from drumblender.data.lock import only_one
from drumblender.data.manifest import Item, Manifest, Rejected, interrupted, load_manifest, load_rejected
from drumblender.data.parallel import Backend
from drumblender.data.preprocess import SILENCE_DB, one_shot
from drumblender.data.raw import Labels, Recording, find_recordings, keyed
from drumblender.data.splits import SPLITS, Split, Strategy, split_keys, why_empty
from drumblender.data.verify import problems_of
from drumblender.types import Audio

_log = logging.getLogger(__name__)


class AudioDataModule(L.LightningDataModule):
    """Recordings of one sample rate and length, in batches ``AudioBatch``.

    ``prepare_data`` does what is missing and nothing else: it takes the prepared folder as it is, or fetches
    its archive, or prepares it from raw recordings, which it fetches where they are absent. A subclass says
    what else a model must know about a sound: it overrides ``analyse`` and, where the files have a form of
    their own, ``pack_features`` and ``unpacker``.

    Args:
        data_dir: The prepared folder.
        raw_dir: Raw recordings: a published raw set or any folder of sound files.
        meta_file: Name of the manifest in ``data_dir``, and of the metadata file of a published raw set.
        url: Where archives and raw sets lie: an S3-compatible endpoint, an HTTPS address or a local folder.
        bucket: Bucket at the endpoint; None for plain HTTPS or a folder.
        archive: Name of the archive of the prepared folder; None when there is none.
        archive_sha256: Its digest, where known.
        sample_rate: Samples a second, after preparation.
        num_samples: Length, after preparation: cut or filled with zeros.
        channel: What becomes of several channels: the first alone, or their mean.
        silence_db: Blocks below this are silence; what precedes the first other one is cut.
        min_samples: Recordings with fewer, after the cut, are rejected.
        labels: A CSV that names the recordings of a plain raw folder; None takes labels from sub-folders.
        label_levels: What the names of sub-folders mean, outermost first: ``type``, ``sample_pack_key`` or
            tags; None is ``[type, instrument]``.
        label_columns: What columns of the CSV mean: ``filename``, ``type``, ``sample_pack_key`` or a tag, and
            the column's name.
        split_strategy: ``random``, or ``sample_pack``, which keeps packs whole.
        seed: Of the split.
        holdout: Fraction to validate with, and again to test with.
        types: Use these types only.
        instruments: Use these instruments only.
        normalize: Divide each recording by its peak when it is read.
        batch_size: Items in a batch.
        num_workers: Processes that read.
    """

    unusable: tuple[type[Exception], ...] = (BadAudioError,)
    """What ``analyse`` raises for a sound that cannot be analysed; the message is the reason to reject it."""

    has_features = False
    """Whether items have a feature file."""

    def __init__(
        self,
        data_dir: str,
        raw_dir: str | None = None,
        meta_file: str = "manifest.json",
        url: str | None = None,
        bucket: str | None = None,
        archive: str | None = None,
        archive_sha256: str | None = None,
        sample_rate: int = 48000,
        num_samples: int = 96000,
        channel: Channel = "first",
        silence_db: float = SILENCE_DB,
        min_samples: int = 64,
        labels: str | None = None,
        label_levels: list[str] | None = None,
        label_columns: dict[str, str] | None = None,
        split_strategy: Strategy = "random",
        seed: int = 42,
        holdout: float = 0.1,
        types: list[str] | None = None,
        instruments: list[str] | None = None,
        normalize: bool = False,
        batch_size: int = 32,
        num_workers: int = 0,
    ) -> None:
        super().__init__()
        if min(sample_rate, num_samples, batch_size) < 1:
            raise ValueError(f"Need at least 1, got {sample_rate=}, {num_samples=}, {batch_size=}.")
        self.data_dir, self.raw_dir = Path(data_dir), Path(raw_dir) if raw_dir is not None else None
        self.meta_file = meta_file
        self.remote = Remote(url, bucket, archive, archive_sha256)
        self.sample_rate, self.num_samples = sample_rate, num_samples
        self.channel, self.silence_db, self.min_samples = channel, silence_db, min_samples
        columns = dict(label_columns or {})
        self.labels = Labels(
            levels=tuple(("type", "instrument") if label_levels is None else label_levels),
            csv=labels,
            file_column=columns.pop("filename", "file"),
            columns=columns,
        )
        self.split_strategy, self.seed, self.holdout = split_strategy, seed, holdout
        self.types, self.instruments = types, instruments
        self.normalize = normalize
        self.batch_size, self.num_workers = batch_size, num_workers
        self._items: dict[str, AudioItems] = {}

    # What a subclass overrides

    def analyse(self, audio: Audio) -> dict[str, Tensor]:
        """Fields of the batch beside the audio, for sounds of ``sample_rate``; here none.

        Used in preparation, and on sounds never seen when a trained model is to play them.
        """
        return {}

    def pack_features(self, fields: dict[str, Tensor]) -> Any:
        """What the feature file of one item holds, from the fields of a batch of one."""
        return {name: field[0].clone() for name, field in fields.items()}

    def unpacker(self) -> Callable[[Any], dict[str, Tensor]]:
        """The function back, to fields without the batch axis. It must survive pickling."""
        return dict

    def settings(self) -> dict[str, Any]:
        """What prepared files depend on, as JSON; what ``analyse`` depends on under the name ``analysis``."""
        names = ("sample_rate", "num_samples", "channel", "silence_db", "min_samples")
        return {name: getattr(self, name) for name in names}

    def find_recordings(self) -> list[Recording]:
        """The raw recordings, in order; downloads them where they are absent and a store is known."""
        if self.raw_dir is None:
            raise ValueError("No raw recordings to prepare from: give their folder with --data.raw_dir.")
        self.remote.fetch_raw(self.raw_dir, self.meta_file)
        return find_recordings(self.raw_dir, self.meta_file, self.labels)

    def read_raw(self, path: Path) -> Tensor:
        """One raw recording as it will be stored, ``(samples,)``."""
        return one_shot(
            path,
            self.sample_rate,
            self.num_samples,
            channel=self.channel,
            silence_threshold_db=self.silence_db,
            min_samples=self.min_samples,
        )

    def write_extra(self, key: str, fields: dict[str, Tensor]) -> dict[str, str]:
        """Write further files of an item, relative to ``data_dir``; returns the tags that name them."""
        return {}

    # From raw to prepared

    def prepare_data(self) -> None:
        """Make the prepared folder complete: nothing where it is, else what is missing."""
        if preparation.is_complete(self.data_dir, self.meta_file):
            return
        with only_one(self.data_dir):
            if preparation.is_complete(self.data_dir, self.meta_file):
                return  # by the process that we waited for
            begun = interrupted(self.data_dir)
            if begun is None and self.remote.archive is not None:
                self.remote.fetch_archive(self.data_dir, self.meta_file)
                return
        report = self.preprocess_features() if begun and "features" in begun else self.preprocess()
        _log.info("%s", report)

    def preprocess(self, backend: Backend = "local", jobs: int | None = None) -> preparation.Report:
        """Prepare every raw recording that is not prepared yet.

        Goes on where a killed run stopped; in a complete folder, takes in new recordings and tries rejected
        ones again.
        """
        with only_one(self.data_dir):
            recordings = keyed(self.find_recordings(), self.raw_dir)
            settings = self.settings()
            kept = preparation.prepared_so_far(self.data_dir, self.meta_file, settings)
            work = self._worker().prepare_recording
            return preparation.prepare(
                self.data_dir,
                self.meta_file,
                settings,
                work,
                recordings,
                kept=kept,
                backend=backend,
                jobs=jobs,
            )

    def preprocess_features(self, backend: Backend = "local", jobs: int | None = None) -> preparation.Report:
        """Analyse every prepared recording again, with the present settings, and overwrite its features."""
        if not self.has_features:
            raise ValueError(f"{type(self).__name__} stores no features.")
        with only_one(self.data_dir):
            items = load_manifest(self.data_dir / self.meta_file)
            earlier = load_rejected(self.data_dir)
            work = self._worker().prepare_features
            return preparation.prepare(
                self.data_dir,
                self.meta_file,
                self.settings(),
                work,
                items,
                rejected=earlier,
                mark={"features": True},
                backend=backend,
                jobs=jobs,
            )

    def prepare_recording(self, pair: tuple[str, Recording]) -> tuple[str, Item | Rejected]:
        """Read, analyse and write one recording. Its audio is written last."""
        key, recording = pair
        torch.set_num_threads(1)
        try:
            audio = self.read_raw(recording.path)
            item = Item(
                filename=f"audio/{key}.wav",
                type=recording.type,
                sample_pack_key=recording.sample_pack_key,
                source=recording.source,
                sample_rate=self.sample_rate,
                num_samples=len(audio),
                tags=recording.tags,
            )
            item = self._write_features(key, audio, item)
        except self.unusable as error:
            return key, Rejected(recording.source, getattr(error, "reason", str(error)))
        path = self.data_dir / item.filename
        write_wav(path, audio, self.sample_rate)
        return key, replace(item, sha256=sha256_of(path))

    def prepare_features(self, pair: tuple[str, Item]) -> tuple[str, Item | Rejected]:
        """Analyse one prepared recording again."""
        key, item = pair
        torch.set_num_threads(1)
        try:
            audio, _ = read_audio(self.data_dir / item.filename, self.sample_rate)
            return key, self._write_features(key, audio, item)
        except self.unusable as error:
            return key, Rejected(item.source or item.filename, getattr(error, "reason", str(error)))

    def _write_features(self, key: str, audio: Tensor, item: Item) -> Item:
        if not self.has_features:
            return item
        fields = self.analyse(audio[None])
        path = self.data_dir / "features" / f"{key}.pt"
        with written_aside(path) as aside:
            torch.save(self.pack_features(fields), aside)
        tags = item.tags | self.write_extra(key, fields)
        return replace(item, feature_file=f"features/{key}.pt", feature_sha256=sha256_of(path), tags=tags)

    def _worker(self) -> "AudioDataModule":
        """A copy that travels light: without trainer, model and loaded items."""
        worker = copy.copy(self)
        worker.trainer, worker._items = None, {}
        return worker

    # Archives

    def verify(self) -> list[str]:
        """Read every file of the prepared folder; one sentence for each that is not as the manifest says."""
        manifest = self._manifest()
        return problems_of(self._items_of(manifest, list(manifest)))

    def pack_archive(self, path: str) -> Path:
        """Pack the complete prepared folder into a ``.tar.gz``."""
        self._manifest()
        with only_one(self.data_dir):
            return pack(self.data_dir, Path(path))

    def upload(self, path: str) -> str:
        """Upload a file, such as the archive, under the same relative path; returns where it lies."""
        return self.remote.upload(path)

    # Batches

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
            keys = split_keys(
                manifest,
                split,
                self.split_strategy,
                seed=self.seed,
                holdout=self.holdout,
                types=self.types,
                instruments=self.instruments,
            )
            if not keys:
                why = why_empty(manifest, self.split_strategy, self.holdout)
                raise ValueError(f"The {split} split of {self.data_dir} is empty. {why}")
            self._items[split] = self._items_of(manifest, keys)

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
            num_workers=self.num_workers,
            persistent_workers=self.num_workers > 0,
            pin_memory=torch.cuda.is_available(),
        )

    def _manifest(self) -> Manifest:
        if not preparation.is_complete(self.data_dir, self.meta_file):
            state = "is half prepared" if interrupted(self.data_dir) else f"holds no {self.meta_file}"
            raise FileNotFoundError(f"{self.data_dir} {state}. Run drumblender-dataset on it.")
        return load_manifest(self.data_dir / self.meta_file)

    def _items_of(self, manifest: Manifest, keys: list[str]) -> AudioItems:
        missing = [
            manifest[key].filename for key in keys if not (self.data_dir / manifest[key].filename).is_file()
        ]
        if missing:
            raise FileNotFoundError(
                f"{self.data_dir / self.meta_file} names {len(missing)} files that are missing, such as "
                f"{missing[0]}. Restore them, or prepare again with --preprocess."
            )
        arguments = {
            "sample_rate": self.sample_rate,
            "num_samples": self.num_samples,
            "normalize": self.normalize,
        }
        if self.has_features:
            return FeatureItems(self.data_dir, manifest, keys, unpack=self.unpacker(), **arguments)
        return AudioItems(self.data_dir, manifest, keys, **arguments)
