"""Hits of one drum as features: of each onset, and of each whole hit less those of a reference hit."""

import logging
from pathlib import Path

import torch
from jaxtyping import Float
from torch import Tensor
from torch.utils.data import DataLoader, Dataset

from drumblender.audio_io import LONGEST_S, Channel, Offset, read_audio
from drumblender.data.base import NOWHERE
from drumblender.data.hits import HitFeatures, describe, split_evenly
from drumblender.data.kind import Data
from drumblender.data.loading import loading
from drumblender.data.prepare.fetch import Remote
from drumblender.data.prepare.lock import folder_lock
from drumblender.dsp.onsets import OnsetSettings, cut_hits, detect_onsets
from drumblender.features.base import Feature
from drumblender.open_sound import BadAudioError
from drumblender.sound_files import find_sounds, natural_order
from drumblender.types import OnsetBatch

_log = logging.getLogger(__name__)
TRAINING_ONSETS = OnsetSettings(on_db=10.0, wait_samples=10000)
_FADE = 1024  # samples over which a hit fades out before the next


class RemapData(Data):
    """Cuts recordings of one drum into hits of a second and describes them, in batches ``OnsetBatch``.

    The reference is the hit of median loudness: the first of the features has to be a loudness.

    Args:
        path: A sound file, or a folder of them and of folders; a file may hold several hits.
        drum: Use only what lies in folders of this name; for a ``path`` that holds several drums.
        remote: Where an archive of the folder ``path`` can be had, if that is absent.
        features: Describe a whole hit.
        onset_features: Describe its onset. Scaled to 0 ... 1 over the drum.
        sample_rate: Recordings are resampled to this rate. 48000 is what the published runs used, with
            features set to 44100, so that they measure the hits 9 % too low; see ``cfg/remap/44k.yaml``.
        batch_size: Hits in a batch.
        weighted: Weigh each feature by one over its span among the hits; else all by 1.
        center_onset: Subtract the onset features of the reference.
        val_split: Share of the hits to validate with; 0 for none.
        test_split: Share of the hits to test with; with 0 all hits are tested.
        data_seed: Of the splits.
        channel: What becomes of several channels: the first, their mean, or the louder of the two (auto).
        dc: Remove a constant offset, or keep it, as published.
        longest_s: A longer recording is left out.
        onsets: When a leap of the level counts as an onset.
        backtrack_samples: How much earlier than its onset a hit starts; below 0, later.

    Examples:
        >>> from drumblender.audio_io import write_wav
        >>> from drumblender.features import CascadingFrameExtractor, Loudness
        >>> hit = torch.exp(-torch.arange(48000) / 2000) * torch.randn(48000)
        >>> write_wav("hits.wav", torch.cat([gain * hit for gain in (0.05, 0.1, 0.2)]), 48000)
        >>> loudness = CascadingFrameExtractor([Loudness(48000)], num_frames=[4])
        >>> data = RemapData("hits.wav", features=loudness, onset_features=loudness)
        >>> data.setup()
        >>> {name: tuple(field.shape) for name, field in next(iter(data.train_dataloader())).items()}
        {'onset': (3, 1), 'difference': (3, 1), 'weight': (3, 1)}
    """

    def __init__(
        self,
        path: str,
        features: Feature,
        onset_features: Feature,
        drum: str | None = None,
        remote: Remote = NOWHERE,
        sample_rate: int = 48000,
        batch_size: int = 64,
        weighted: bool = False,
        center_onset: bool = False,
        val_split: float = 0.0,
        test_split: float = 0.0,
        data_seed: int = 0,
        channel: Channel = "auto",
        dc: Offset = "remove",
        longest_s: float = LONGEST_S,
        onsets: OnsetSettings = TRAINING_ONSETS,
        backtrack_samples: int = 16,
    ) -> None:
        super().__init__()
        if min(sample_rate, batch_size) < 1:
            raise ValueError(f"Need at least 1, got {sample_rate=}, {batch_size=}.")
        if not (0 <= val_split < 1 and 0 <= test_split < 1):
            raise ValueError(f"A split is a share from 0 to below 1, got {val_split=}, {test_split=}.")
        self.path, self.drum, self.remote = Path(path), drum, remote
        self.features, self.onset_features = features, onset_features
        self.sample_rate, self.batch_size = sample_rate, batch_size
        self.weighted, self.center_onset = weighted, center_onset
        self.val_split, self.test_split, self.data_seed = val_split, test_split, data_seed
        self.channel, self.dc, self.longest_s = channel, dc, longest_s
        self.onsets, self.backtrack_samples = onsets, backtrack_samples
        self.hits: HitFeatures | None = None

    def prepare_data(self) -> None:
        """Fetch the recordings, if they are absent and an archive of them is known."""
        if self.remote.archive is None or self.path.exists():
            return
        with folder_lock(self.path):
            if not self.path.exists():  # fetched by the process that we waited for
                self.remote.fetch_archive(self.path)

    def setup(self, stage: str | None = None) -> None:
        """Read and describe the hits, once; every process does it for itself, to the same numbers.

        Raises:
            FileNotFoundError: No such file, or a folder without sound files.
            ValueError: Fewer than two hits.
        """
        if self.hits is None:
            self.hits = describe(self.read_hits(), self.features, self.onset_features)
            self.train_ids, self.val_ids, self.test_ids = self._split(self.hits)

    def read_hits(self) -> Float[Tensor, "hits samples"]:
        """All hits, a second each, files in natural order; what cannot be used is logged."""
        hits, left_out = [], []
        for path in self._sounds():
            try:
                audio, _ = read_audio(
                    path, self.sample_rate, self.channel, dc=self.dc, longest_s=self.longest_s
                )
            except BadAudioError as error:
                left_out.append(str(error))
                continue
            found = detect_onsets(audio.numpy(), self.sample_rate, self.onsets)
            if not found:
                left_out.append(str(BadAudioError(path, "has no onset")))
            frames = cut_hits(
                audio.numpy(), found, self.sample_rate, overlap_buffer=_FADE, backtrack=self.backtrack_samples
            )
            hits.append(torch.from_numpy(frames))
        for reason in left_out:
            _log.warning("Left out %s", reason)
        found_in_all = torch.cat(hits) if hits else torch.empty(0, self.sample_rate)
        if len(found_in_all) < 2:
            why = f" Left out: {left_out[0]}" if left_out else ""
            raise ValueError(
                f"{self.path}: found {len(found_in_all)} of the 2 hits that a difference of timbre needs at "
                f"least; --data.onsets.on_db LESS finds softer ones.{why}"
            )
        return found_in_all

    def _sounds(self) -> list[Path]:
        """The recordings, numbers in their names in the order of counting."""
        if not self.path.exists():
            raise FileNotFoundError(
                f"No file or folder {self.path}; --data.path names the recordings of a drum."
            )
        found = [path for path in find_sounds(self.path) if self.drum in (None, *path.parts[:-1])]
        if not found:
            of = f" of {self.drum}" if self.drum is not None else ""
            raise FileNotFoundError(f"No sound files{of} in {self.path}; --data.path names them.")
        if len(folders := {path.parent for path in found}) > 1:
            _log.warning("%s: these are %d folders; --data.drum NAME picks one.", self.path, len(folders))
        return sorted(found, key=natural_order)

    def _split(self, hits: HitFeatures) -> tuple[Tensor, Tensor, Tensor]:
        train, test = split_evenly(hits.by_loudness, hits.reference, self.test_split, self.data_seed)
        train, val = split_evenly(train, hits.reference, self.val_split, self.data_seed)
        if not len(train) or (len(train) == 1 and train[0] == hits.reference):
            raise ValueError(
                f"{self.path}: {len(hits.onset)} hits leave none but the reference to train with after "
                f"val_split={self.val_split} and test_split={self.test_split}: more hits, or smaller splits."
            )
        if not hits.difference.any():
            _log.warning("%s: all %d hits are alike; there is nothing to learn.", self.path, len(hits.onset))
        return train, val, test if self.test_split else hits.by_loudness

    @property
    def onset_offset(self) -> Float[Tensor, "onset_features"]:
        """What is subtracted from the scaled onset features."""
        reference = self.hits.onset[self.hits.reference]
        return reference if self.center_onset else torch.zeros_like(reference)

    def batch_of(self, ids: Tensor) -> OnsetBatch:
        """The hits with these numbers."""
        difference = self.hits.difference[ids]
        weight = self.hits.weight if self.weighted else torch.ones_like(self.hits.weight)
        return {
            "onset": self.hits.onset[ids] - self.onset_offset,
            "difference": difference,
            "weight": weight.expand_as(difference),
        }

    def train_dataloader(self) -> DataLoader:
        return self._loader(self.train_ids, shuffle=True)

    def val_dataloader(self) -> DataLoader | list:
        return self._loader(self.val_ids) if len(self.val_ids) else []

    def test_dataloader(self) -> DataLoader:
        return self._loader(self.test_ids)

    def predict_dataloader(self) -> DataLoader:
        return self._loader(self.test_ids)

    def _loader(self, ids: Tensor, shuffle: bool = False) -> DataLoader:
        return DataLoader(
            _Hits(self.batch_of(ids)), batch_size=self.batch_size, shuffle=shuffle, **loading(0)
        )


class _Hits(Dataset):
    def __init__(self, hits: OnsetBatch) -> None:
        self.hits = hits

    def __len__(self) -> int:
        return len(self.hits["onset"])

    def __getitem__(self, number: int) -> OnsetBatch:
        return {name: value[number] for name, value in self.hits.items()}
