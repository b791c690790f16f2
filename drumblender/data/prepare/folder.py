"""A prepared folder: made from raw recordings or fetched, verified, packed, and read."""

import copy
import logging
from abc import ABC, abstractmethod
from pathlib import Path

from drumblender.data.items import AudioItems
from drumblender.data.prepare import preparation
from drumblender.data.prepare.archive import pack
from drumblender.data.prepare.fetch import Remote
from drumblender.data.prepare.lock import folder_lock
from drumblender.data.prepare.manifest import Manifest, interrupted, load_manifest, load_rejected
from drumblender.data.prepare.parallel import Backend
from drumblender.data.prepare.raw import Labels, Recording, find_recordings, keyed
from drumblender.data.prepare.recipe import Recipe
from drumblender.data.prepare.verify import problems_of

_log = logging.getLogger(__name__)


class PreparedFolder(Recipe, ABC):
    """The part of a data module that deals with files, by its recipe.

    Attributes:
        raw_dir: Raw recordings; None where there are none.
        meta_file: Name of the manifest in ``data_dir``.
        remote: Where the archive of the prepared folder, or the raw set, can be had.
        labels: How a plain raw folder says what its recordings are.
    """

    raw_dir: Path | None
    meta_file: str
    remote: Remote
    labels: Labels

    @property
    def is_ready(self) -> bool:
        """Whether batches can be made from ``data_dir`` as it is."""
        return preparation.is_complete(self.data_dir, self.meta_file)

    def find_recordings(self) -> list[Recording]:
        """The raw recordings, in order; downloads them where they are absent and a store is known."""
        if self.raw_dir is None:
            raise ValueError("No raw recordings to prepare from: give their folder with --data.raw_dir.")
        self.remote.fetch_raw(self.raw_dir, self.meta_file)
        return find_recordings(self.raw_dir, self.meta_file, self.labels)

    def keyed_recordings(self) -> dict[str, Recording]:
        """The raw recordings by the key that each item will have; here a number made from its path."""
        return keyed(self.find_recordings(), self.raw_dir)

    def prepare_data(self, backend: Backend = "local", jobs: int | None = None) -> None:
        """Make the prepared folder complete: nothing where it is, else what is missing.

        Args:
            backend: Where recordings are prepared: processes of this machine, or a cluster.
            jobs: Workers; None takes every core.
        """
        if preparation.is_complete(self.data_dir, self.meta_file):
            return
        with folder_lock(self.data_dir):
            if preparation.is_complete(self.data_dir, self.meta_file):
                return  # by the process that we waited for
            begun = interrupted(self.data_dir)
            if begun is None and self.remote.archive is not None:
                self.remote.fetch_archive(self.data_dir, self.meta_file)
                return
        resume = self.preprocess_features if begun and "features" in begun else self.preprocess
        _log.info("%s", resume(backend, jobs))

    def preprocess(self, backend: Backend = "local", jobs: int | None = None) -> preparation.Report:
        """Prepare every raw recording that is not prepared yet, or that has changed since.

        Goes on where a killed run stopped; in a complete folder, takes in new recordings and tries rejected
        ones again.
        """
        with folder_lock(self.data_dir):
            recordings = self.keyed_recordings()
            settings = self.settings()
            kept = preparation.prepared_so_far(self.data_dir, self.meta_file, settings)
            kept = _unchanged(kept, recordings)
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
        with folder_lock(self.data_dir):
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

    def _worker(self) -> "PreparedFolder":
        """A copy that travels light: a final class leaves behind what preparation does not need."""
        return copy.copy(self)

    def summary(self) -> str:
        """How many recordings the prepared folder holds, and how many were rejected."""
        return (
            preparation.summary(self.data_dir, len(self._manifest()), len(load_rejected(self.data_dir))) + "."
        )

    def verify(self) -> list[str]:
        """Read every file of the prepared folder; one sentence for each that is not as the manifest says."""
        manifest = self._manifest()
        return problems_of(self._items_of(manifest, list(manifest)))  # missing files are among the problems

    def pack_archive(self, path: str) -> Path:
        """Pack the complete prepared folder into a ``.tar.gz``."""
        self._manifest()
        with folder_lock(self.data_dir):
            return pack(self.data_dir, Path(path))

    def upload(self, path: str) -> str:
        """Upload a file, such as the archive, under the same relative path; returns where it lies."""
        return self.remote.upload(path)

    def _manifest(self) -> Manifest:
        if not preparation.is_complete(self.data_dir, self.meta_file):
            state = "is half prepared" if interrupted(self.data_dir) else f"holds no {self.meta_file}"
            raise FileNotFoundError(f"{self.data_dir} {state}. Run drumblender-dataset on it.")
        return load_manifest(self.data_dir / self.meta_file)

    def _check_files(self, manifest: Manifest, keys: list[str]) -> None:
        names = [(manifest[key].filename, manifest[key].feature_file) for key in keys]
        missing = [name for both in names for name in both if name and not (self.data_dir / name).is_file()]
        if missing:
            raise FileNotFoundError(
                f"{self.data_dir / self.meta_file} names {len(missing)} files that are missing, such as "
                f"{missing[0]}. Restore them, or prepare again with --preprocess."
            )

    @abstractmethod
    def _items_of(self, manifest: Manifest, keys: list[str]) -> AudioItems:
        """These items, as they are read."""


def _unchanged(kept: Manifest, recordings: dict[str, Recording]) -> Manifest:
    """Items whose recording is what they were made from, or is gone, or was not known by its digest."""
    changed = {
        key
        for key, item in kept.items()
        if item.source_sha256
        and key in recordings
        and recordings[key].digest() not in (None, item.source_sha256)
    }
    if changed:
        _log.info("%d recordings have changed since they were prepared, and are prepared anew.", len(changed))
    return {key: item for key, item in kept.items() if key not in changed}
