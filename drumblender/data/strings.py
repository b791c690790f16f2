"""Strings made on the fly, so that a network can be trained on coefficients that are known."""

from collections.abc import Iterator

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import DataLoader, Dataset, Sampler

from drumblender.data.kind import Data
from drumblender.data.loading import loading
from drumblender.data.notes import analyse_unknown
from drumblender.data.string_draws import random_strings
from drumblender.features import NoPitchError
from drumblender.open_sound import BadAudioError
from drumblender.synths import StringSynth
from drumblender.types import Audio, StringBatch

_NEPER_DB = 10 / torch.log(torch.tensor(10.0)).item()  # dB of power that one unit of its natural logarithm is


class SyntheticStringsData(Data):
    """Batches ``StringBatch`` of random strings: new ones every epoch to train with, fixed ones to evaluate.

    A string depends on the seed, the epoch and its place alone: a resumed run goes on with what it would have
    seen.

    Args:
        synth: Renders the strings; with ``excitation="source"``.
        batch_size: Strings in a batch.
        batches_per_epoch: Batches of a training epoch.
        val_items: Strings to validate with, and other ones to test with.
        seed: Of all draws.
        duration_s: Length of each sound.
        hop_length: Samples of a frame of pitch and loudness.
        per_item: Normalise every burst by its own mean and peak, not by those of its batch as published.
        num_workers: Processes that render; None: none, and with CUDA up to 8.

    Examples:
        >>> data = SyntheticStringsData(StringSynth(excitation="source"), batch_size=2, duration_s=0.5)
        >>> batch = next(iter(data.train_dataloader()))
        >>> batch["audio"].shape, batch["f0_hz"].shape
        (torch.Size([2, 8000]), torch.Size([2, 31]))
    """

    unusable = (BadAudioError, NoPitchError)

    def __init__(
        self,
        synth: StringSynth,
        batch_size: int = 8,
        batches_per_epoch: int = 100,
        val_items: int = 200,
        seed: int = 42,
        duration_s: float = 4.0,
        hop_length: int = 256,
        num_workers: int | None = None,
        per_item: bool = True,
    ) -> None:
        super().__init__()
        if min(batch_size, batches_per_epoch, val_items) < 1:
            raise ValueError(f"Need at least 1, got {batch_size=}, {batches_per_epoch=}, {val_items=}.")
        if synth.excitation != "source":
            raise ValueError(
                f"Random strings need a synth with excitation='source', not {synth.excitation!r}."
            )
        self.synth, self.batch_size, self.num_workers = synth, batch_size, num_workers
        self.batches_per_epoch, self.val_items, self.seed = batches_per_epoch, val_items, seed
        self.duration_s, self.hop_length, self.per_item = duration_s, hop_length, per_item
        self.sample_rate = synth.sample_rate
        self.num_samples = int(duration_s * synth.sample_rate)

    def loudness_statistics(self) -> tuple[float, float]:
        """0, and the dB of one neper of power: networks see the natural logarithm, as published."""
        return 0.0, _NEPER_DB

    def analyse(self, audio: Audio) -> dict[str, Tensor]:
        """Pitch and loudness of sounds never seen."""
        return analyse_unknown(audio, self.sample_rate, self.hop_length)

    def train_dataloader(self) -> DataLoader:
        return self._loader("train", EpochSampler(self.batches_per_epoch))

    def val_dataloader(self) -> DataLoader:
        return self._loader("val", range(-(-self.val_items // self.batch_size)))

    def test_dataloader(self) -> DataLoader:
        return self._loader("test", range(-(-self.val_items // self.batch_size)))

    predict_dataloader = test_dataloader

    def _loader(self, split: str, sampler: "Sampler[int] | range") -> DataLoader:
        items = _Batches(self, split)
        return DataLoader(items, batch_size=None, sampler=sampler, **loading(self.num_workers))


class EpochSampler(Sampler[int]):
    """Counts on through the epochs: epoch e of n places gives e n to e n + n - 1; Lightning sets e."""

    def __init__(self, size: int) -> None:
        self.size, self.epoch = size, 0

    def set_epoch(self, epoch: int) -> None:
        self.epoch = epoch

    def __iter__(self) -> Iterator[int]:
        return iter(range(self.epoch * self.size, (self.epoch + 1) * self.size))

    def __len__(self) -> int:
        return self.size


class _Batches(Dataset[StringBatch]):
    """Whole batches by their number: the synth renders them at once."""

    _STREAMS = ("train", "val", "test")

    def __init__(self, data: SyntheticStringsData, split: str) -> None:
        self.synth, self.hop_length, self.duration_s = data.synth, data.hop_length, data.duration_s
        self.batch_size, self.split, self.seed = data.batch_size, split, data.seed
        self.per_item = data.per_item
        self.num_items = None if split == "train" else data.val_items

    def __getitem__(self, number: int) -> StringBatch:
        first = number * self.batch_size
        size = self.batch_size if self.num_items is None else min(self.batch_size, self.num_items - first)
        stream = self._STREAMS.index(self.split)
        # torch looks at 32 bits of a seed: they must be mixed from all three numbers.
        mixed = np.random.SeedSequence((self.seed, stream, number)).generate_state(1).item()
        generator = torch.Generator().manual_seed(mixed)
        batch = random_strings(
            self.synth,
            size,
            generator=generator,
            duration_s=self.duration_s,
            hop_length=self.hop_length,
            note_off_s=self.duration_s * 0.75,
            per_item=self.per_item,
        )
        return batch | {"name": [f"{self.split}-{first + place:05}" for place in range(size)]}
