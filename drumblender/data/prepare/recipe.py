"""How one recording becomes the files of one item. What differs between the systems is overridden here."""

import io
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from drumblender.atomic import atomic_write, sha256_of
from drumblender.audio_io import Channel, Offset, read_audio, write_wav
from drumblender.data.prepare.manifest import Item, Rejected
from drumblender.data.prepare.one_shot import one_shot
from drumblender.data.prepare.raw import Recording
from drumblender.open_sound import BadAudioError, reason_of
from drumblender.types import Audio


class Recipe:
    """The part of a data module that the workers of a preparation run.

    Attributes:
        data_dir: The prepared folder.
        sample_rate: Of what is stored.
        num_samples: Of what is stored.
        channel: What becomes of several channels.
        dc: What becomes of a constant offset.
        silence_db: What counts as silence before the sound.
        min_samples: Recordings with fewer are rejected.
        longest_s: Seconds that are read of a recording at most.
        unusable: What ``analyse`` raises for a sound that cannot be analysed; the message is the reason to
            reject it.
        has_features: Whether items have a feature file.
    """

    data_dir: Path
    sample_rate: int
    num_samples: int
    channel: Channel
    dc: Offset
    silence_db: float
    min_samples: int
    longest_s: float
    unusable: tuple[type[Exception], ...] = (BadAudioError,)
    has_features: bool = False

    def analyse(self, audio: Audio) -> dict[str, Tensor]:
        """Fields of the batch beside the audio, for sounds of ``sample_rate``; here none.

        Used in preparation, and on sounds never seen when a trained model is to play them.
        """
        return {}

    def analyse_item(self, audio: Audio, item: Item) -> dict[str, Tensor]:
        """``analyse`` in preparation, where more is known of the recording than its sound."""
        return self.analyse(audio)

    def pack_features(self, fields: dict[str, Tensor]) -> Any:
        """What the feature file of one item holds, from the fields of a batch of one."""
        return {name: field[0].clone() for name, field in fields.items()}

    def unpacker(self) -> Callable[[Any], dict[str, Tensor]]:
        """The function back, to fields without the batch axis. It must survive pickling."""
        return dict

    def settings(self) -> dict[str, Any]:
        """What prepared files depend on, as JSON.

        What only the features depend on has a name that starts with ``analysis.``.
        """
        names = ("sample_rate", "num_samples", "channel", "dc", "silence_db", "min_samples")
        return {name: getattr(self, name) for name in names}

    def read_raw(self, path: Path) -> Tensor:
        """One raw recording as it will be stored, ``(samples,)``."""
        return one_shot(
            path,
            self.sample_rate,
            self.num_samples,
            channel=self.channel,
            dc=self.dc,
            silence_threshold_db=self.silence_db,
            min_samples=self.min_samples,
            longest_s=self.longest_s,
        )

    def write_extra(self, key: str, fields: dict[str, Tensor]) -> dict[str, Any]:
        """Write further files of an item, relative to ``data_dir``; returns tags that name or sum them up."""
        return {}

    def prepare_recording(self, pair: tuple[str, Recording]) -> tuple[str, Item | Rejected]:
        """Read, analyse and write one recording. Its audio is written last."""
        key, recording = pair
        if recording.fault:
            return key, Rejected(recording.source, recording.fault)
        try:
            audio = self.read_raw(recording.path)
            item = Item(
                filename=f"audio/{key}.wav",
                type=recording.type,
                sample_pack_key=recording.sample_pack_key,
                source=recording.source,
                source_sha256=recording.digest(),
                sample_rate=self.sample_rate,
                num_samples=len(audio),
                tags=recording.tags,
            )
            item = self._write_features(key, audio, item)
        except self.unusable as error:
            return key, Rejected(recording.source, reason_of(error))
        path = self.data_dir / item.filename
        write_wav(path, audio, self.sample_rate)
        return key, replace(item, sha256=sha256_of(path))

    def prepare_features(self, pair: tuple[str, Item]) -> tuple[str, Item | Rejected]:
        """Analyse one prepared recording again.

        Raises:
            ValueError: The prepared audio is missing or damaged: it is no reason to drop the item.
        """
        key, item = pair
        try:
            audio, _ = read_audio(self.data_dir / item.filename, self.sample_rate)
        except BadAudioError as error:
            raise ValueError(f"{error} Restore it, or prepare again with --preprocess.") from error
        try:
            return key, self._write_features(key, audio, item)
        except self.unusable as error:
            return key, Rejected(item.source or item.filename, reason_of(error))

    def _write_features(self, key: str, audio: Tensor, item: Item) -> Item:
        if not self.has_features:
            return item
        fields = self.analyse_item(audio[None], item)
        path = self.data_dir / "features" / f"{key}.pt"
        content = io.BytesIO()  # torch leaves a path's name inside, and does not say that a disk is full
        torch.save(self.pack_features(fields), content)
        with atomic_write(path) as aside:
            aside.write_bytes(content.getbuffer())
        tags = item.tags | self.write_extra(key, fields)
        return replace(item, feature_file=f"features/{key}.pt", feature_sha256=sha256_of(path), tags=tags)
