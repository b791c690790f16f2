"""Prepared phrases, whole or as random crops, with what must not be heard silenced."""

import copy
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from drumblender.data.items import AudioItems
from drumblender.data.prepare.manifest import Manifest
from drumblender.features.harmonic_noise import FLOOR_DB
from drumblender.open_sound import BadAudioError, open_sound

_QUIET_DB = -80.0
_QUIET = dict.fromkeys(("loudness_db", "peak_db"), _QUIET_DB) | dict.fromkeys(
    ("harmonic_db", "noise_db"), FLOOR_DB
)
_FADE_S = 0.005
_ATTEMPTS = 8  # at a crop that is not silent


@dataclass(frozen=True)
class Crops:
    """How training phrases are cropped.

    Args:
        per_phrase: Crops of a phrase in an epoch; None: as often as one fits into it.
        end_frame: Curves have a frame on the end of the crop too; as published, they stop one hop before it.
        skip_silence: Draw another place where a crop is silent.
    """

    per_phrase: int | None = None
    end_frame: bool = True
    skip_silence: bool = True

    def __post_init__(self) -> None:
        if self.per_phrase is not None and self.per_phrase < 1:
            raise ValueError(f"Crops of a phrase start at 1, got per_phrase={self.per_phrase}.")


AS_OFTEN_AS_FIT = Crops()


class PhraseItems(AudioItems):
    """Audio and curves of each key, whole or a random crop, read by seek.

    Args:
        folder: The prepared folder.
        manifest: Its items.
        keys: Which of them, in order.
        sample_rate: That every file must have.
        hop_length: Samples from frame to frame.
        quiet: Seconds to silence in each.
    """

    def __init__(
        self,
        folder: Path,
        manifest: Manifest,
        keys: list[str],
        sample_rate: int,
        hop_length: int,
        quiet: dict[str, list[tuple[float, float]]],
    ) -> None:
        super().__init__(folder, manifest, keys, sample_rate=sample_rate, num_samples=0)
        self.hop_length, self.quiet = hop_length, quiet
        self.crop_samples: int | None = None
        self.crops = AS_OFTEN_AS_FIT

    def cropped(self, num_samples: int, crops: Crops = AS_OFTEN_AS_FIT) -> "PhraseItems":
        """The same phrases as random crops."""
        items = copy.copy(self)
        items.crop_samples, items.crops = num_samples, crops
        items.keys = [
            key
            for key in self.keys
            for _ in range(crops.per_phrase or max(1, self.manifest[key].num_samples // num_samples))
        ]
        return items

    def hops(self, key: str) -> int:
        """Length of a phrase."""
        return self.manifest[key].num_samples // self.hop_length

    def __getitem__(self, index: int) -> dict[str, Any]:
        key = self.keys[index]
        hops = self.hops(key)
        if self.crop_samples is None:
            return self.stretch(key, 0, hops)
        wanted = self.crop_samples // self.hop_length
        for _ in range(_ATTEMPTS if self.crops.skip_silence else 1):
            start = int(torch.randint(max(0, hops - wanted) + 1, (1,)))
            item = self.stretch(key, start, wanted, self.crops.end_frame)
            if item["loudness_db"].max() > _QUIET_DB + 20:
                break
        return item

    def stretch(self, key: str, start: int, hops: int, end_frame: bool = True) -> dict[str, Any]:
        """``hops`` hops from frame ``start`` on; silence where the recording has ended.

        Args:
            key: Which phrase.
            start: First frame.
            hops: Length.
            end_frame: With the frame on the end of the last hop.

        Raises:
            BadAudioError: Unreadable, or of another rate than the set's.
        """
        item = self.manifest[key]
        path = self.folder / item.filename
        audio = torch.zeros(hops * self.hop_length)
        with open_sound(path) as file:
            if file.samplerate != self.sample_rate:
                raise BadAudioError(path, f"is at {file.samplerate} Hz, not {self.sample_rate} Hz")
            file.seek(min(start * self.hop_length, file.frames))
            heard = torch.from_numpy(file.read(len(audio), dtype="float32"))
        audio[: len(heard)] = heard
        stored = torch.load(self.folder / item.feature_file, weights_only=True, mmap=True)
        fields = {name: _frames(name, field, start, hops + end_frame) for name, field in stored.items()}
        for begin, end in self.quiet.get(key, ()):
            _silence(audio, fields, begin - start * self.hop_length / self.sample_rate, end - begin, self)
        return {"audio": audio, "name": key, "file": item.source or key} | fields


def _frames(name: str, field: Tensor, start: int, count: int) -> Tensor:
    """A stretch of a curve; after its end silence where it is a level, and else its last value."""
    cut = field[start : start + count].clone()
    end = torch.full_like(field[-1:], _QUIET[name]) if name in _QUIET else field[-1:]
    return torch.cat([cut, end.expand(count - len(cut), *end.shape[1:])])


def _silence(
    audio: Tensor, fields: dict[str, Tensor], begin_s: float, length_s: float, items: PhraseItems
) -> None:
    """Fade a stretch out, in place, in the sound and in what is known of it."""
    time_s = torch.arange(len(audio)) / items.sample_rate
    inside = torch.minimum(time_s - begin_s, begin_s + length_s - time_s)
    audio *= 1 - (inside / _FADE_S + 1).clamp(0, 1)
    frame_s = torch.arange(len(fields["loudness_db"])) * (items.hop_length / items.sample_rate)
    gone = (frame_s >= begin_s - _FADE_S) & (frame_s < begin_s + length_s - _FADE_S)
    for name, value in _QUIET.items():
        if name in fields:
            fields[name][gone] = value
