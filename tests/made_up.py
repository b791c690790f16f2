"""Batches that no file holds, small enough for one training step of a published model."""

from pathlib import Path

import lightning as L
import soundfile
import torch
from torch.utils.data import DataLoader, Dataset

from drumblender.data.fake import percussion
from drumblender.synths import Synth


class _Items(Dataset):
    def __init__(self, make, count):
        self.make, self.count = make, count

    def __len__(self):
        return self.count

    def __getitem__(self, index):
        return self.make(torch.Generator().manual_seed(index))


class _MadeUp(L.LightningDataModule):
    """A subclass says what one item is; every loader gives the same two batches of two."""

    def item(self, generator):
        raise NotImplementedError

    def train_dataloader(self):
        return DataLoader(_Items(self.item, 4), batch_size=2)

    val_dataloader = test_dataloader = predict_dataloader = train_dataloader


class ModalBatches(_MadeUp):
    """Noise with decaying modes."""

    def __init__(
        self, num_samples: int = 6144, num_frames: int = 25, num_modes: int = 64, sample_rate: int = 48000
    ):
        super().__init__()
        self.num_samples, self.num_frames, self.num_modes = num_samples, num_frames, num_modes
        self.sample_rate = sample_rate

    def item(self, generator):
        shape = (self.num_frames, self.num_modes)
        fade = torch.linspace(0, -6, self.num_frames).exp()
        return {
            "audio": 0.1 * torch.randn(self.num_samples, generator=generator),
            "freq_rad": (0.01 + 3 * torch.rand(self.num_modes, generator=generator)).expand(shape),
            "amp": 0.05 * torch.rand(self.num_modes, generator=generator) * fade[:, None],
            "phase_rad": torch.zeros(shape),
            "quadrature": torch.zeros(shape),
            "name": f"noise-{int(generator.initial_seed())}",
        }


class StringBatches(_MadeUp):
    """Noise with a pitch, a loudness and coefficients."""

    def __init__(self, num_samples: int = 6400, sample_rate: int = 16000):
        super().__init__()
        self.num_samples, self.sample_rate = num_samples, sample_rate

    def item(self, generator):
        frames = self.num_samples // 256
        fade = torch.linspace(0, -6, self.num_samples).exp()
        return {
            "audio": 0.3 * torch.randn(self.num_samples, generator=generator) * fade,
            "f0_hz": torch.full((frames,), 110.0),
            "loudness_db": torch.linspace(-20, -60, frames),
            "loop_coefficients": torch.full((16, 3), 0.33),
            "excitation_coefficients": torch.full((25, 5), 0.15),
            "name": f"note-{int(generator.initial_seed())}",
        }


class PhraseBatches(_MadeUp):
    """Noise with the curves and the spectra of a phrase."""

    def item(self, generator):
        frames = 41
        loudness_db = torch.linspace(-20, -50, frames)
        return {
            "audio": 0.1 * torch.randn(160 * (frames - 1), generator=generator),
            "f0_hz": torch.full((frames,), 220.0),
            "periodicity": torch.ones(frames),
            "loudness_db": loudness_db,
            "age_s": 0.01 * torch.arange(frames),
            "peak_db": torch.full((frames,), -20.0),
            "brightness_hz": torch.full((frames,), 700.0),
            "stiffness": torch.full((frames,), 1e-4),
            "harmonic_db": loudness_db[:, None] - torch.arange(100),
            "noise_db": loudness_db[:, None].expand(-1, 24) - 40,
            "name": f"phrase-{int(generator.initial_seed())}",
        }

    def training_phrases(self):
        item = self.item(torch.Generator().manual_seed(0))
        return [{name: field for name, field in item.items() if name != "name"}]


def write_hits(folder: Path, count: int = 8, sample_rate: int = 16000) -> str:
    """A folder of snare hits, one a file, each louder than the one before."""
    folder.mkdir()
    for number in range(count):
        generator = torch.Generator().manual_seed(number)
        hit = percussion("snare", generator, num_samples=sample_rate // 2, sample_rate=sample_rate)
        sound = torch.cat([torch.zeros(sample_rate // 10), hit * (number + 1) / count])
        soundfile.write(folder / f"{number:02}.wav", sound.numpy(), sample_rate)
    return str(folder)


class ToneBatches(_MadeUp):
    """Tones of one held pitch, with a transform that a network may hear instead."""

    def __init__(self, num_samples: int = 4096, sample_rate: int = 16000):
        super().__init__()
        self.num_samples, self.sample_rate = num_samples, sample_rate

    def item(self, generator):
        f0_hz = 100 + 400 * torch.rand(1, generator=generator)
        time_s = torch.arange(self.num_samples) / self.sample_rate
        return {
            "audio": 0.5 * torch.sin(2 * torch.pi * f0_hz * time_s),
            "f0_hz": f0_hz,
            "amp": torch.full((1, 1), 0.5),
            "cqt": torch.rand(1, 285, generator=generator),
        }


class SynthOf(Synth):
    """Silence, for a test of what plays controls of these names."""

    def __init__(self, **control_sizes):
        super().__init__()
        self.control_sizes, self.linear = control_sizes, tuple(control_sizes)

    def forward(self, controls, num_samples, source=None):
        self.check(controls)
        return torch.zeros(len(next(iter(controls.values()))), num_samples)
