"""Any folder of recordings of a melody instrument, with the curves that timbre transfer learns from."""

import copy
from dataclasses import replace
from fnmatch import filter as fnmatch_filter
from pathlib import Path
from typing import Any

from torch import Tensor

from drumblender.audio_io import Channel, read_audio
from drumblender.data.base import AudioData
from drumblender.data.items import AudioItems
from drumblender.data.phrase_items import AS_OFTEN_AS_FIT, Crops, PhraseItems
from drumblender.data.phrase_split import (
    Note,
    PhraseSplitting,
    choose,
    notes_of,
    performance_of,
    silent_stretches,
)
from drumblender.data.prepare.manifest import Item, Manifest
from drumblender.data.prepare.raw import Recording
from drumblender.data.splits import Split, Splitting
from drumblender.features.frame_loudness import USUAL_EPSILON
from drumblender.features.harmonic_noise import HarmonicNoiseAnalysis
from drumblender.features.note_curves import NoteCurves
from drumblender.features.stiffness import stiffness_of
from drumblender.open_sound import BadAudioError
from drumblender.types import Audio

AT_RANDOM = PhraseSplitting()
_ALL = [(0.0, 1e9)]  # seconds of a recording that is not heard at all


class PhraseData(AudioData):
    """Phrases with pitch, loudness and place in the note: random crops to train, whole phrases to measure.

    Recordings are stored whole, at one rate. A phrase that is left out shares no recorded note with training:
    where a ``.notes.json`` beside a recording names the samples that it is made of, training phrases are
    silent wherever one of those left out may sound. ``shared_recordings`` tells what is shared: nothing.

    Batches: ``audio``, and the fields of :class:`~drumblender.features.NoteCurves`, with ``num_harmonics``
    also ``harmonic_db`` and ``noise_db`` of :class:`~drumblender.features.HarmonicNoiseAnalysis`: a frame on
    every hop, the last at the end of the sound.

    Args:
        data_dir: The prepared folder.
        raw_dir: Any folder of sound files.
        curves: What is measured of every recording.
        num_harmonics: Harmonics to measure; 0 for none.
        num_bands: Bands of noise to measure.
        crop_s: Length of a training item.
        crops: How many a phrase gives in an epoch, and of what form.
        stiff: Measure how stiff the strings are, as ``stiffness``, and harmonics where partials then lie.
        sample_rate: Samples a second, after preparation.
        channel: What becomes of several channels.
        min_s: Shorter recordings are rejected.
        split: Which performances train, validate and test.
        batch_size: Crops in a training batch; whole phrases come one by one.
        num_workers: Processes that read; None: none, and with CUDA up to 8.

    Examples:
        >>> import torch
        >>> from drumblender.audio_io import write_wav
        >>> tone = torch.sin(2 * torch.pi * 220 / 16000 * torch.arange(8000))
        >>> for number in range(4):
        ...     write_wav(f"phrases/{number}.wav", tone / (2 + number), 16000)
        >>> curves = NoteCurves(tracker="yin")
        >>> data = PhraseData("prepared", "phrases", curves, num_harmonics=0, crop_s=0.1, batch_size=2)
        >>> data.prepare_data(jobs=1)
        >>> data.setup("fit")
        >>> batch = next(iter(data.train_dataloader()))
        >>> batch["audio"].shape, batch["f0_hz"].shape
        (torch.Size([2, 1600]), torch.Size([2, 11]))
    """

    has_features = True

    def __init__(
        self,
        data_dir: str,
        raw_dir: str | None = None,
        curves: NoteCurves | None = None,
        num_harmonics: int = 100,
        num_bands: int = 24,
        crop_s: float = 1.0,
        sample_rate: int = 16000,
        channel: Channel = "mean",
        min_s: float = 0.5,
        split: PhraseSplitting = AT_RANDOM,
        batch_size: int = 16,
        num_workers: int | None = None,
        crops: Crops = AS_OFTEN_AS_FIT,
        stiff: bool = False,
    ) -> None:
        super().__init__(
            data_dir,
            raw_dir,
            sample_rate=sample_rate,
            num_samples=max(1, int(crop_s * sample_rate)),
            channel=channel,
            min_samples=int(min_s * sample_rate),
            split=Splitting(seed=split.seed, holdout=split.holdout),
            batch_size=batch_size,
            num_workers=num_workers,
        )
        self.curves = NoteCurves(sample_rate) if curves is None else curves
        if self.curves.sample_rate != sample_rate:
            raise ValueError(f"curves are at {self.curves.sample_rate} Hz, the data at {sample_rate} Hz.")
        self.hop_length = self.curves.hop_length
        if self.num_samples < self.hop_length or self.num_samples % self.hop_length:
            raise ValueError(f"{crop_s=} is no whole number of hops of {self.hop_length} samples.")
        self.num_harmonics, self.num_bands = num_harmonics, num_bands
        self.phrases, self.crops, self.stiff = split, crops, stiff

    # From raw to prepared

    def find_recordings(self) -> list[Recording]:
        return [self._told(found) for found in super().find_recordings()]

    def _told(self, found: Recording) -> Recording:
        try:
            return replace(found, tags=found.tags | self.tags_of(found.path))
        except ValueError as error:
            return replace(found, fault=str(error).removesuffix("."))

    def tags_of(self, path: Path) -> dict[str, Any]:
        """``performance``, ``takes`` and ``notes`` of a raw recording; see ``phrase_split``."""
        return {"performance": performance_of(path.stem, self.phrases.versions)} | notes_of(path)

    def settings(self) -> dict[str, Any]:
        loudness = self.curves.loudness
        floor = "" if loudness.epsilon == USUAL_EPSILON else f" {loudness.epsilon:g}"
        return {
            "sample_rate": self.sample_rate,
            "channel": self.channel,
            "min_samples": self.min_samples,
            "analysis.hop_length": self.hop_length,
            "analysis.tracker": self.curves.tracker,
            "analysis.hold_below": self.curves.hold_below,
            "analysis.loudness": f"{loudness.weighting} {loudness.window} {loudness.frame_size}{floor}",
            "analysis.num_harmonics": self.num_harmonics,
            "analysis.num_bands": self.num_bands,
            "analysis.stiff": self.stiff,
        }

    def read_raw(self, path: Path) -> Tensor:
        audio, _ = read_audio(path, self.sample_rate, self.channel)
        if len(audio) < self.min_samples:
            raise BadAudioError(path, f"is too short ({len(audio)} of at least {self.min_samples} samples)")
        if audio.square().mean() < 10 ** (self.silence_db / 10):
            raise BadAudioError(path, f"is silent (below {self.silence_db:g} dB)")
        return audio

    def analyse(self, audio: Audio) -> dict[str, Tensor]:
        fields = self.curves(audio)
        if self.stiff:
            given = fields["f0_hz"], fields["age_s"], self.sample_rate, self.hop_length
            fields["stiffness"] = stiffness_of(audio, *given)
        if self.num_harmonics:
            analysis = HarmonicNoiseAnalysis(
                self.num_harmonics, self.num_bands, self.sample_rate, self.hop_length
            )
            fields["harmonic_db"], fields["noise_db"] = analysis(
                audio, fields["f0_hz"], fields.get("stiffness")
            )
        return fields

    # Batches

    def setup(self, stage: str | None = None) -> None:
        super().setup(stage)
        if "train" in self._items:
            self._items["train"] = self._items["train"].cropped(self.num_samples, self.crops)

    def keys_of(self, manifest: Manifest, split: Split) -> list[str]:
        chosen, used = self._split_of(manifest), self._used(manifest)
        keys = [key for key, item in used.items() if chosen[_performance(item)] == split]
        return [key for key in keys if self._silent(manifest, manifest[key]) != _ALL]

    def training_phrases(self) -> list[dict[str, Tensor]]:
        """Every training phrase whole; after ``setup``."""
        items = self._items["train"]
        return [items.stretch(key, 0, items.hops(key)) for key in dict.fromkeys(items.keys)]

    def shared_recordings(self) -> dict[str, list[str]]:
        """By pair of splits, the recordings that sound in both: what remains after silencing."""
        manifest = self._manifest()
        takes = {}
        for split in ("train", "val", "test"):
            items = [manifest[key] for key in self.keys_of(manifest, split)]
            quiet = [self._silent(manifest, item) for item in items]
            takes[split] = {
                take for item, gone in zip(items, quiet, strict=True) for take in _audible(item, gone)
            }
        pairs = (("train", "val"), ("train", "test"))
        return {f"{one}/{other}": sorted(takes[one] & takes[other]) for one, other in pairs}

    def _split_of(self, manifest: Manifest) -> dict[str, Split]:
        names = [_performance(item) for item in self._used(manifest).values()]
        return choose(names, self.phrases)

    def _used(self, manifest: Manifest) -> Manifest:
        if self.phrases.use is None:
            return manifest
        sources = {key: Path(item.source or item.filename).name for key, item in manifest.items()}
        found = {name for pattern in self.phrases.use for name in fnmatch_filter(sources.values(), pattern)}
        if not found:
            raise ValueError(f"split.use: none of {len(manifest)} recordings matches {self.phrases.use}.")
        return {key: item for key, item in manifest.items() if sources[key] in found}

    def _silent(self, manifest: Manifest, item: Item) -> list[tuple[float, float]]:
        """What of an item must not be heard: nothing where it is left out of training itself."""
        split = self._split_of(manifest)
        if split.get(_performance(item)) != "train":
            return []
        held = {
            take
            for other in self._used(manifest).values()
            if split[_performance(other)] != "train"
            for take in other.tags.get("takes", ())
        }
        if not item.tags.get("notes"):
            return _ALL if held & set(item.tags.get("takes", ())) else []
        return silent_stretches((Note(*note) for note in item.tags["notes"]), held)

    def _items_of(self, manifest: Manifest, keys: list[str]) -> AudioItems:
        quiet = {key: self._silent(manifest, manifest[key]) for key in keys}
        return PhraseItems(self.data_dir, manifest, keys, self.sample_rate, self.hop_length, quiet)

    def _loader(self, split: Split, shuffle: bool = False):
        if split == "train":
            return super()._loader(split, shuffle)
        alone = copy.copy(self)
        alone.batch_size = 1
        return AudioData._loader(alone, split, shuffle)


def _performance(item: Item) -> str:
    return item.tags["performance"]


def _audible(item: Item, quiet: list[tuple[float, float]]) -> set[str]:
    """Recordings that may sound outside the silent stretches."""
    if not item.tags.get("notes"):
        return set() if quiet else set(item.tags.get("takes", ()))
    notes = [Note(*note) for note in item.tags["notes"]]
    return {
        take
        for note in notes
        if not any(begin <= note.start_s and note.stop_s <= end for begin, end in quiet)
        for take in note.recordings
    }
