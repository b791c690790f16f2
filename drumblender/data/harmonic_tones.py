"""The set of harmonic tones that pitch networks are trained on (Torres et al., ICASSP 2024), and variants."""

import warnings
from pathlib import Path

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import DataLoader, Dataset

from drumblender.data.kind import Data
from drumblender.data.loading import loading
from drumblender.data.strings import EpochSampler
from drumblender.data.tone_draws import Tones, ToneSettings, draw_tones, finish, render_tones
from drumblender.features.maps import CQT
from drumblender.types import Audio, ToneBatch

SPLITS = ("train", "val", "test")


class HarmonicTonesData(Data):
    """Tones with their pitches, in batches ``ToneBatch``: the same set every epoch, or new ones.

    Splits are disjoint. The published generator saved the whole set as each of them; ``overlap`` does so too.

    Args:
        tones: What is drawn; by default the published set.
        data_path: A file of the original (``torch.save`` of ``train_tensors``, ``train_thetas`` ...) instead.
        size: Tones in the set.
        seed: Of the draws; the set of the original generator with this seed.
        num_samples: Length of each tone.
        sample_rate: Samples per second.
        val_share: Share to validate with.
        test_share: Share to test with.
        overlap: Every split is the whole set.
        fresh: New tones in every training batch, as many an epoch as the training split has.
        cqt: Also give this transform of every tone, without its last sample; computed once for a fixed set.
        batch_size: Tones in a training batch.
        val_batch_size: Tones in another; by default as many.
        shuffle: Draw a new order every epoch; the original did not.

    Examples:
        >>> data = HarmonicTonesData(size=10, batch_size=4)
        >>> {name: tuple(field.shape) for name, field in next(iter(data.train_dataloader())).items()}
        {'audio': (4, 4096), 'f0_hz': (4, 1), 'amp': (4, 1, 8)}
    """

    def __init__(
        self,
        tones: ToneSettings | None = None,
        data_path: str | None = None,
        size: int = 4000,
        seed: int = 42,
        num_samples: int = 4096,
        sample_rate: int = 16000,
        val_share: float = 0.2,
        test_share: float = 0.1,
        overlap: bool = False,
        fresh: bool = False,
        cqt: CQT | None = None,
        batch_size: int = 64,
        val_batch_size: int | None = None,
        shuffle: bool = False,
    ) -> None:
        super().__init__()
        if min(size, num_samples, sample_rate, batch_size, val_batch_size or 1) < 1:
            raise ValueError(f"Need at least 1, got {size=}, {num_samples=}, {sample_rate=}, {batch_size=}.")
        if fresh and data_path is not None:
            raise ValueError("fresh makes tones and data_path reads them: leave one out.")
        self.tones = ToneSettings() if tones is None else tones
        self.data_path, self.size, self.seed = data_path, size, seed
        self.num_samples, self.sample_rate = num_samples, sample_rate
        self.val_share, self.test_share, self.overlap, self.fresh = val_share, test_share, overlap, fresh
        self.cqt, self.shuffle = cqt, shuffle
        self.batch_size, self.val_batch_size = batch_size, val_batch_size or batch_size
        self.lengths = split_lengths(size, val_share, test_share)
        self._splits: dict[str, ToneItems] = {}

    def setup(self, stage: str | None = None) -> None:
        if not self._splits:
            self._splits = self._read() if self.data_path is not None else self._make()

    def _make(self) -> dict[str, "ToneItems"]:
        generator = torch.Generator().manual_seed(self.seed)
        drawn = draw_tones(self.tones, self.size, generator)
        order = torch.randperm(self.size, generator=generator)
        audio = render_tones(self.tones, drawn, self.num_samples, self.sample_rate)
        everything = self.items(audio, drawn, generator)
        if self.overlap:
            return {name: everything.only(torch.arange(self.size)) for name in SPLITS}
        parts = order.split(list(self.lengths))
        return {name: everything.only(part) for name, part in zip(SPLITS, parts, strict=True)}

    def _read(self) -> dict[str, "ToneItems"]:
        path = Path(self.data_path)
        if not path.is_file():
            raise FileNotFoundError(f"No set of tones at {path}.")
        stored = torch.load(path, map_location="cpu", weights_only=True)
        names = [name for name in SPLITS if f"{name}_tensors" in stored]
        if "train" not in names or any(f"{name}_thetas" not in stored for name in names):
            raise ValueError(f"{path} is no set of tones: it holds {', '.join(map(str, stored))}.")
        first = stored["train_tensors"]
        same = [name for name in names[1:] if torch.equal(stored[f"{name}_tensors"], first)]
        if same:
            warnings.warn(
                f"{path}: {' and '.join(same)} hold the very tones of train, so they tell nothing of others.",
                stacklevel=2,
            )
        generator = torch.Generator().manual_seed(self.seed)
        splits = {}
        for name in names:
            thetas = stored[f"{name}_thetas"]
            audio = stored[f"{name}_tensors"].float()
            drawn = Tones(thetas["frequency"].float(), thetas["weights"].float(), torch.zeros(len(audio)))
            splits[name] = self.items(audio, drawn, generator)
        return splits

    def items(self, audio: Audio, drawn: Tones, generator: torch.Generator) -> "ToneItems":
        """Sounds as a network gets them, with their transforms."""
        audio = finish(self.tones, audio, generator)
        frames = None
        if self.cqt is not None:
            with torch.no_grad():
                frames = torch.cat([self.cqt(part[:, :-1]) for part in audio.split(256)])
        return ToneItems(audio, drawn.f0_hz, drawn.amp, frames)

    def train_dataloader(self) -> DataLoader:
        self.setup()
        if self.fresh:
            batches = -(-self.lengths[0] // self.batch_size)
            return DataLoader(
                _FreshBatches(self), batch_size=None, sampler=EpochSampler(batches), **loading(0)
            )
        items = self._splits["train"]
        return DataLoader(
            items, self.batch_size, shuffle=self.shuffle, collate_fn=items.collate, **loading(0)
        )

    def val_dataloader(self) -> DataLoader:
        return self._held_out("val")

    def test_dataloader(self) -> DataLoader:
        return self._held_out("test")

    predict_dataloader = test_dataloader

    def _held_out(self, name: str) -> DataLoader:
        self.setup()
        items = self._splits.get(name)
        if not items:
            raise ValueError(f"There are no tones to {name} with: give {name}_share or a file with some.")
        return DataLoader(items, self.val_batch_size, collate_fn=items.collate, **loading(0))


class ToneItems(Dataset):
    """Tones in memory; a batch is a row of each tensor."""

    def __init__(self, audio: Tensor, f0_hz: Tensor, amp: Tensor, cqt: Tensor | None) -> None:
        self.audio, self.f0_hz, self.amp, self.cqt = audio, f0_hz, amp, cqt

    def __len__(self) -> int:
        return len(self.audio)

    def __getitem__(self, number: int) -> int:
        return number

    def only(self, rows: Tensor) -> "ToneItems":
        parts = (None if part is None else part[rows] for part in self._parts())
        return ToneItems(*parts)

    def collate(self, rows: list[int]) -> ToneBatch:
        part = self.only(torch.tensor(rows))
        batch = ToneBatch(audio=part.audio, f0_hz=part.f0_hz, amp=part.amp[:, None])
        return batch if part.cqt is None else batch | {"cqt": part.cqt}

    def _parts(self) -> tuple[Tensor, Tensor, Tensor, Tensor | None]:
        return self.audio, self.f0_hz, self.amp, self.cqt


class _FreshBatches(Dataset):
    """Whole batches by their number, each from draws of its own."""

    def __init__(self, data: HarmonicTonesData) -> None:
        self.data = data

    def __getitem__(self, number: int) -> ToneBatch:
        data = self.data
        mixed = np.random.SeedSequence((data.seed, number)).generate_state(1).item()
        generator = torch.Generator().manual_seed(mixed)
        drawn = draw_tones(data.tones, data.batch_size, generator)
        audio = render_tones(data.tones, drawn, data.num_samples, data.sample_rate)
        return data.items(audio, drawn, generator).collate(list(range(data.batch_size)))


def split_lengths(size: int, val_share: float, test_share: float) -> tuple[int, int, int]:
    """Tones to train, validate and test with.

    Raises:
        ValueError: Rounding leaves some over, or nothing to train with.
    """
    lengths = int((1 - val_share - test_share) * size), int(val_share * size), int(test_share * size)
    if not lengths[0] or min(lengths) < 0 or sum(lengths) != size:
        raise ValueError(
            f"Shares of {val_share:g} and {test_share:g} cut {size} tones into {lengths}, which is "
            f"{sum(lengths)}: take a size that they divide."
        )
    return lengths
