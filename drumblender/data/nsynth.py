"""Notes of NSynth, or of any folder in its format, with their pitch and loudness."""

import logging
import math
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any, Literal

import torch
from torch import Tensor

from drumblender.audio_io import BadAudioError, read_audio
from drumblender.data.base import AudioDataModule
from drumblender.data.items import AudioItems, FeatureItems
from drumblender.data.nsynth_published import PublishedNotes, is_published, published_statistics
from drumblender.data.nsynth_raw import NoteFilter, fetch_nsynth, find_notes
from drumblender.data.prepare.manifest import Item, Manifest
from drumblender.data.prepare.one_shot import fit_length
from drumblender.data.prepare.parallel import Backend
from drumblender.data.prepare.raw import Recording
from drumblender.data.splits import Split
from drumblender.dsp.units import midi_to_hz
from drumblender.features import AWeightedLoudness, Feature, NoPitchError, PYINPitch
from drumblender.types import Audio

_log = logging.getLogger(__name__)

NSYNTH_URL = "http://download.magenta.tensorflow.org/datasets/nsynth"


class NSynthDataModule(AudioDataModule):
    """Notes of one length in batches ``StringBatch``: audio, ``f0_hz`` and ``loudness_db`` of every hop.

    Args:
        data_dir: The prepared folder; one that the original code prepared is read as it is.
        root: NSynth: a folder with ``nsynth-<split>/examples.json``, downloaded where it is absent. Or one
            folder with ``examples.json`` and ``audio/``, which is split at random.
        pitch: Tracks the pitch; None takes that of the metadata, held through the note. Sounds never seen,
            which have no metadata, are then tracked by ``PYINPitch``.
        families: Kept families of instruments.
        sources: Kept sources: acoustic, electronic, synthetic.
        lowest_midi: Lowest note kept; 40 is E2.
        highest_midi: Highest note kept; 88 is E6.
        max_files: Notes kept of each split; None keeps all.
        train_split: Split to train with.
        val_split: Split to validate with; published runs used ``test``.
        test_split: Split to test with.
        hop_size: Samples of a frame.
        statistics: ``train``: a task normalises every loudness by the training split. ``split``: each split
            is normalised by itself, as published; ``loudness_db`` is then no level.
        drop_last: Drop the last, smaller batch of every split, as published.
        url: Where the archives of NSynth lie.
        archive_digests: Their SHA-256 by split, where known.
        sample_rate: Samples per second, after preparation.
        num_samples: Length, after preparation: cut or filled with zeros.
        batch_size: Notes in a batch.
        num_workers: Processes that read.
        seed: Of a random split.
        holdout: Fraction of a random split to validate with, and again to test with.
    """

    unusable = (BadAudioError, NoPitchError)
    has_features = True

    def __init__(
        self,
        data_dir: str = "dataset/nsynth",
        root: str | None = None,
        pitch: Feature | None = None,
        families: list[str] | None = None,
        sources: list[str] | None = None,
        lowest_midi: int = 40,
        highest_midi: int = 88,
        max_files: int | None = None,
        train_split: str = "train",
        val_split: str = "valid",
        test_split: str = "test",
        hop_size: int = 256,
        statistics: Literal["train", "split"] = "train",
        drop_last: bool = False,
        url: str = NSYNTH_URL,
        archive_digests: dict[str, str] | None = None,
        sample_rate: int = 16000,
        num_samples: int = 64000,
        batch_size: int = 8,
        num_workers: int = 0,
        seed: int = 42,
        holdout: float = 0.1,
    ) -> None:
        super().__init__(
            data_dir,
            raw_dir=root,
            sample_rate=sample_rate,
            num_samples=num_samples,
            channel="mean",
            batch_size=batch_size,
            num_workers=num_workers,
            seed=seed,
            holdout=holdout,
        )
        self.filter = NoteFilter(
            tuple(families or ("guitar",)),
            tuple(sources or ("acoustic",)),
            lowest_midi,
            highest_midi,
            max_files,
        )
        self.split_names: dict[Split, str] = {"train": train_split, "val": val_split, "test": test_split}
        self.pitch, self.hop_size, self.statistics, self.drop_last = pitch, hop_size, statistics, drop_last
        self.nsynth_url, self.archive_digests = url, archive_digests
        self.loudness = AWeightedLoudness(sample_rate, hop_size, db=True)

    # From raw to prepared

    def keyed_recordings(self) -> dict[str, Recording]:
        if self.raw_dir is None:
            raise ValueError("No notes to prepare from: give the NSynth folder with --data.root.")
        wanted = list(dict.fromkeys(self.split_names.values()))
        if not self.raw_dir.is_dir() or any(self.raw_dir.glob("*nsynth-*.tar.gz*")):
            fetch_nsynth(self.raw_dir, self.nsynth_url, wanted, self.archive_digests)
        notes = find_notes(self.raw_dir, self.filter)
        self._say_what_is_changed(notes)
        return notes

    def find_recordings(self) -> list[Recording]:
        return list(self.keyed_recordings().values())

    def _say_what_is_changed(self, notes: dict[str, Recording]) -> None:
        """Once for the folder, not for each file: what is not as NSynth's files are is made so."""
        import soundfile

        changed = []
        for name, note in notes.items():
            try:
                info = soundfile.info(note.path)
            except (soundfile.LibsndfileError, OSError):
                continue  # preparation lists it with the reason
            if (info.samplerate, info.channels, info.frames) != (self.sample_rate, 1, self.num_samples):
                changed.append(
                    f"{name} ({info.samplerate} Hz, {info.channels} channels, {info.frames} samples)"
                )
        if changed:
            _log.warning(
                "%d notes, such as %s, become mono, %d Hz and %d samples.",
                len(changed),
                changed[0],
                self.sample_rate,
                self.num_samples,
            )

    def read_raw(self, path: Path) -> Tensor:
        """A note as it is, from its first sample."""
        audio, _ = read_audio(path, self.sample_rate, self.channel)
        if len(audio) < self.min_samples:
            raise BadAudioError(path, f"is too short ({len(audio)} of at least {self.min_samples} samples)")
        if not audio.any():
            raise BadAudioError(path, "is silent")
        return fit_length(audio, self.num_samples)

    def analyse(self, audio: Audio) -> dict[str, Tensor]:
        """Pitch and loudness of sounds without metadata."""
        return analyse_unknown(audio, self.sample_rate, self.hop_size, self.pitch)

    def analyse_item(self, audio: Audio, item: Item) -> dict[str, Tensor]:
        if self.pitch is not None:
            return self.analyse(audio)
        loudness_db = self.loudness(audio)
        midi = torch.full_like(loudness_db, item.tags["midi"], dtype=torch.float64)
        return _cut_alike(midi_to_hz(midi).to(loudness_db), loudness_db)

    def write_extra(self, key: str, fields: dict[str, Tensor]) -> dict[str, Any]:
        """Sums of the loudness, of which the statistics of any split are made."""
        level = fields["loudness_db"].double()
        return {
            "num_frames": level.numel(),
            "loudness_sum_db": level.sum().item(),
            "loudness_squares_db": level.square().sum().item(),
        }

    def settings(self) -> dict[str, Any]:
        tracker = "metadata" if self.pitch is None else _describe(self.pitch)
        kept = {name: _plain(value) for name, value in vars(self.filter).items()}
        return super().settings() | kept | {"analysis.hop_size": self.hop_size, "analysis.pitch": tracker}

    # Batches

    def prepare_data(self, backend: Backend = "local", jobs: int | None = None) -> None:
        if not is_published(self.data_dir):
            super().prepare_data(backend, jobs)

    def setup(self, stage: str | None = None) -> None:
        if not is_published(self.data_dir):
            super().setup(stage)
            return
        wanted = {"fit": ("train", "val"), "validate": ("val",), "test": ("test",), "predict": ("test",)}
        level = self.statistics == "train"
        for split in wanted.get(stage, ("train", "val", "test")):
            name = self.split_names[split]
            self._items[split] = PublishedNotes(self.data_dir, name, self._pitch_mode, level)

    @property
    def _pitch_mode(self) -> str:
        return "meta" if self.pitch is None else "fcnf0"

    def keys_of(self, manifest: Manifest, split: Split) -> list[str]:
        splits = {item.tags.get("split") for item in manifest.values()}
        if splits <= {None}:
            return super().keys_of(manifest, split)
        name = self.split_names[split]
        if name not in splits:
            there = ", ".join(sorted(str(known) for known in splits))
            raise ValueError(f"{self.data_dir} holds no split {name!r} to use for {split}, only {there}.")
        return [key for key, item in manifest.items() if item.tags.get("split") == name]

    def loudness_statistics(self) -> tuple[float, float]:
        """Of the frames that train, in dB; 0 and 1 where every split is normalised by itself."""
        if self.statistics == "split":
            return 0.0, 1.0
        if is_published(self.data_dir):
            return published_statistics(self.data_dir, self.split_names["train"], self._pitch_mode)
        manifest = self._manifest()
        return statistics_of(manifest, self.keys_of(manifest, "train"))

    def unpacker(self) -> Callable[[Any], dict[str, Tensor]]:
        return partial(unpack_note, mean_db=0.0, std_db=1.0)

    def _items_of(self, manifest: Manifest, keys: list[str]) -> AudioItems:
        items = super()._items_of(manifest, keys)
        if self.statistics == "split" and isinstance(items, FeatureItems):
            mean_db, std_db = statistics_of(manifest, keys)
            items.unpack = partial(unpack_note, mean_db=mean_db, std_db=std_db)
        return items


def analyse_unknown(
    audio: Audio, sample_rate: int, hop_size: int, pitch: Feature | None = None
) -> dict[str, Tensor]:
    """``f0_hz`` and ``loudness_db`` of every hop; by ``PYINPitch`` where no tracker is given."""
    tracker = pitch or PYINPitch(sample_rate, hop_size)
    return _cut_alike(tracker(audio), AWeightedLoudness(sample_rate, hop_size, db=True)(audio))


def statistics_of(manifest: Manifest, keys: list[str]) -> tuple[float, float]:
    """Mean and unbiased deviation of the loudness over all frames of some items, in dB.

    Raises:
        ValueError: The items were prepared by another data module.
    """
    tags = [manifest[key].tags for key in keys]
    if any("loudness_squares_db" not in tag for tag in tags):
        raise ValueError("These items have no loudness; analyse them with --features.")
    count, total, squares = (
        sum(tag[name] for tag in tags) for name in ("num_frames", "loudness_sum_db", "loudness_squares_db")
    )
    mean_db = total / count
    return mean_db, math.sqrt(max(squares - count * mean_db**2, 0.0) / max(count - 1, 1))


def unpack_note(stored: dict[str, Tensor], mean_db: float, std_db: float) -> dict[str, Tensor]:
    """Fields of one item from its feature file.

    Raises:
        ValueError: The file holds something else.
    """
    if not isinstance(stored, dict) or {"f0_hz", "loudness_db"} - set(stored):
        raise ValueError("needs f0_hz and loudness_db")
    return {"f0_hz": stored["f0_hz"], "loudness_db": (stored["loudness_db"] - mean_db) / std_db}


def _cut_alike(f0_hz: Tensor, loudness_db: Tensor) -> dict[str, Tensor]:
    frames = min(f0_hz.shape[-1], loudness_db.shape[-1])
    return {"f0_hz": f0_hz[..., :frames].contiguous(), "loudness_db": loudness_db[..., :frames].contiguous()}


def _describe(tracker: Feature) -> dict[str, Any]:
    plain = {name: value for name, value in vars(tracker).items() if isinstance(value, str | int | float)}
    kept = {
        name: value
        for name, value in sorted(plain.items())
        if not name.startswith("_") and name != "training"
    }
    return {"tracker": type(tracker).__name__} | kept


def _plain(value: Any) -> Any:
    return list(value) if isinstance(value, tuple) else value
