"""Notes of NSynth, or of any folder in its format, with their pitch and loudness."""

import logging
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any, Literal

import torch
from torch import Tensor

from drumblender.audio_io import Channel, Offset, header_of, read_recording
from drumblender.data.base import AT_RANDOM, AudioData
from drumblender.data.items import AudioItems, FeatureItems
from drumblender.data.notes import analyse_unknown, cut_alike, statistics_of, unpack_note
from drumblender.data.nsynth_published import PublishedNotes, is_published, published_statistics
from drumblender.data.nsynth_raw import Archives, NoteFilter, SplitNames, find_notes
from drumblender.data.prepare.manifest import Item, Manifest
from drumblender.data.prepare.one_shot import fit_length
from drumblender.data.prepare.parallel import Backend
from drumblender.data.prepare.raw import Recording
from drumblender.data.splits import Split, Splitting
from drumblender.dsp.units import midi_to_hz
from drumblender.features import AWeightedLoudness, Feature, NoPitchError
from drumblender.open_sound import BadAudioError
from drumblender.types import Audio

_log = logging.getLogger(__name__)

ACOUSTIC_GUITARS, OWN_SPLITS, OFFICIAL = NoteFilter(), SplitNames(), Archives()
_STEADIEST_DB = 1.0  # deviation of one sound that it is divided by at least: a held tone has nearly none


class NSynthData(AudioData):
    """Notes of one length in batches ``StringBatch``: audio, ``f0_hz`` and ``loudness_db`` of every hop.

    Args:
        data_dir: The prepared folder; one that the original code prepared is read as it is.
        root: NSynth: a folder with ``nsynth-<split>/examples.json``, downloaded where it is absent. Or one
            folder with ``examples.json`` and ``audio/``, which is split at random.
        pitch: Tracks the pitch; None takes that of the metadata, held through the note. Sounds never seen,
            which have no metadata, are then tracked by ``PYINPitch``.
        notes: Which notes are kept.
        names: The splits of NSynth to train, validate and test with.
        hop_length: Samples of a frame.
        statistics: ``train``: a task normalises every loudness by the training split. ``split``: each split
            is normalised by itself, as published; ``loudness_db`` is then no level.
        drop_last: Drop the last, smaller batch of every split, as published.
        archives: Where NSynth can be had.
        sample_rate: Samples per second, after preparation.
        num_samples: Length, after preparation: cut or filled with zeros.
        channel: What becomes of several channels.
        dc: Remove a constant offset, or keep it, as published.
        batch_size: Notes in a batch.
        num_workers: Processes that read; None: none, and with CUDA up to 8.
        split: How one folder with ``examples.json`` is split at random.

    Examples:
        >>> data = NSynthData("prepared", root="nsynth", batch_size=16)
        >>> data.num_samples / data.sample_rate, data.num_samples // data.hop_length  # seconds and frames
        (4.0, 250)
    """

    unusable = (BadAudioError, NoPitchError)
    has_features = True

    def __init__(
        self,
        data_dir: str = "dataset/nsynth",
        root: str | None = None,
        pitch: Feature | None = None,
        notes: NoteFilter = ACOUSTIC_GUITARS,
        names: SplitNames = OWN_SPLITS,
        hop_length: int = 256,
        statistics: Literal["train", "split"] = "train",
        drop_last: bool = False,
        archives: Archives = OFFICIAL,
        sample_rate: int = 16000,
        num_samples: int = 64000,
        channel: Channel = "auto",
        dc: Offset = "remove",
        batch_size: int = 8,
        num_workers: int | None = None,
        split: Splitting = AT_RANDOM,
    ) -> None:
        super().__init__(
            data_dir,
            raw_dir=root,
            split=split,
            sample_rate=sample_rate,
            num_samples=num_samples,
            channel=channel,
            dc=dc,
            batch_size=batch_size,
            num_workers=num_workers,
        )
        self.notes, self.names, self.archives = notes, names, archives
        self.pitch, self.hop_length, self.statistics, self.drop_last = (
            pitch,
            hop_length,
            statistics,
            drop_last,
        )
        self.loudness = AWeightedLoudness(sample_rate, hop_length, db=True)

    # From raw to prepared

    def keyed_recordings(self) -> dict[str, Recording]:
        if self.raw_dir is None:
            raise ValueError("No notes to prepare from: give the NSynth folder with --data.root.")
        if not self.raw_dir.is_dir() or any(self.raw_dir.glob("*nsynth-*.tar.gz*")):
            self.archives.fetch(self.raw_dir, self.names.all())
        notes = find_notes(self.raw_dir, self.notes)
        self._say_what_is_changed(notes)
        return notes

    def find_recordings(self) -> list[Recording]:
        return list(self.keyed_recordings().values())

    def _say_what_is_changed(self, notes: dict[str, Recording]) -> None:
        """Once for the folder, not for each file: what is not as NSynth's files are is made so."""
        changed = []
        for name, note in notes.items():
            if note.fault:
                continue
            try:
                rate, channels, frames = header_of(note.path)
            except BadAudioError:
                continue  # preparation lists it with the reason
            if (rate, channels, frames) != (self.sample_rate, 1, self.num_samples):
                changed.append(f"{name} ({rate} Hz, {channels} channels, {frames} samples)")
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
        audio, _, heard, _ = read_recording(
            path, self.sample_rate, self.channel, dc=self.dc, longest_s=self.longest_s
        )
        if len(audio) < self.min_samples:
            raise BadAudioError(path, f"is too short ({len(audio)} of at least {self.min_samples} samples)")
        if not audio.any():
            raise BadAudioError(path, f"is silent{f' in {heard}' if heard else ''}")
        return fit_length(audio, self.num_samples)

    def analyse(self, audio: Audio) -> dict[str, Tensor]:
        """Pitch and loudness of sounds never seen; where splits are normalised, so is each of these."""
        fields = self._measured(audio)
        if self.statistics == "split":
            deviation, mean = torch.std_mean(fields["loudness_db"], dim=-1, keepdim=True)
            fields["loudness_db"] = (fields["loudness_db"] - mean) / deviation.clamp(min=_STEADIEST_DB)
        return fields

    def _measured(self, audio: Audio) -> dict[str, Tensor]:
        return analyse_unknown(audio, self.sample_rate, self.hop_length, self.pitch)

    def analyse_item(self, audio: Audio, item: Item) -> dict[str, Tensor]:
        if self.pitch is not None:
            return self._measured(audio)
        loudness_db, known = self.loudness(audio), item.tags.get("midi")
        if not isinstance(known, int | float):
            raise ValueError(f"{item.filename} has no midi in the manifest: track it with a --data.pitch.")
        midi = torch.full_like(loudness_db, known, dtype=torch.float64)
        return cut_alike(midi_to_hz(midi).to(loudness_db), loudness_db)

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
        kept = {name: _plain(value) for name, value in vars(self.notes).items()}
        return super().settings() | kept | {"analysis.hop_length": self.hop_length, "analysis.pitch": tracker}

    # Batches

    @property
    def is_ready(self) -> bool:
        return super().is_ready or is_published(self.data_dir)

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
            name = self.names.of(split)
            self._items[split] = PublishedNotes(self.data_dir, name, self._pitch_mode, level)

    @property
    def _pitch_mode(self) -> str:
        return "meta" if self.pitch is None else "fcnf0"

    def keys_of(self, manifest: Manifest, split: Split) -> list[str]:
        splits = {item.tags.get("split") for item in manifest.values()}
        if splits <= {None}:
            return super().keys_of(manifest, split)
        name = self.names.of(split)
        if name not in splits:
            there = ", ".join(sorted(str(known) for known in splits))
            raise ValueError(f"{self.data_dir} holds no split {name!r} to use for {split}, only {there}.")
        return [key for key, item in manifest.items() if item.tags.get("split") == name]

    def loudness_statistics(self) -> tuple[float, float]:
        """Of the frames that train, in dB; 0 and 1 where every split is normalised by itself."""
        if self.statistics == "split":
            return 0.0, 1.0
        if is_published(self.data_dir):
            return published_statistics(self.data_dir, self.names.train, self._pitch_mode)
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
