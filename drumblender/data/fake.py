"""Percussion that nobody recorded: a seeded drum machine, so that a first run needs no download.

Each sound draws its own pitch, glide, decay, brightness and noise, so that a model has something to learn.
"""

import math
from pathlib import Path
from typing import Any

import torch
from torch import Generator, Tensor

from drumblender.data.drums import ModalData
from drumblender.data.prepare.raw import Recording
from drumblender.features.mode_refit import RefittedModes
from drumblender.features.modes import CQTModalAnalysis

KINDS = ("kick", "snare", "tom", "hihat", "cymbal")


class FakeDrumsData(ModalData):
    """A ``ModalData`` whose raw recordings are made when they are prepared.

    Args:
        data_dir: The prepared folder.
        analysis: Finds the modes.
        num_sounds: How many, evenly of each kind.
        sound_seed: Of the sounds; the same seed makes the same sounds.
        **kwargs: The other arguments of ``ModalData``.

    Examples:
        >>> analysis = CQTModalAnalysis(16000, fmin=60, n_bins=60, num_modes=4)
        >>> sizes = {"num_sounds": 10, "sample_rate": 16000, "num_samples": 8000}
        >>> data = FakeDrumsData("fake_drums", analysis, **sizes)
        >>> data.prepare_data(jobs=1)
        >>> data.setup("fit")
        >>> batch = next(iter(data.train_dataloader()))
        >>> batch["audio"].shape, batch["freq_rad"].shape
        (torch.Size([8, 8000]), torch.Size([8, 126, 4]))
    """

    def __init__(
        self,
        data_dir: str,
        analysis: CQTModalAnalysis | RefittedModes,
        num_sounds: int = 100,
        sound_seed: int = 0,
        **kwargs: Any,
    ) -> None:
        super().__init__(data_dir, analysis, raw_dir="fake", **kwargs)
        if num_sounds < len(KINDS):
            raise ValueError(f"num_sounds={num_sounds} is less than one of each of {', '.join(KINDS)}.")
        self.num_sounds, self.sound_seed = num_sounds, sound_seed

    def settings(self) -> dict[str, Any]:
        return super().settings() | {"num_sounds": self.num_sounds, "sound_seed": self.sound_seed}

    def find_recordings(self) -> list[Recording]:
        kinds = [KINDS[number % len(KINDS)] for number in range(self.num_sounds)]
        return [
            Recording(
                Path(f"{number:04}.{kind}"), f"{number:04}.{kind}", "synthetic", kind, {"instrument": kind}
            )
            for number, kind in enumerate(kinds)
        ]

    def read_raw(self, path: Path) -> Tensor:
        number, kind = path.name.split(".")
        generator = Generator().manual_seed(self.sound_seed + int(number))
        return percussion(kind, generator, num_samples=self.num_samples, sample_rate=self.sample_rate)


def percussion(kind: str, generator: Generator, *, num_samples: int, sample_rate: int) -> Tensor:
    """One drum sound that starts at sample 0, with its peak at 0.9.

    Args:
        kind: One of ``KINDS``.
        generator: Draws everything that varies from sound to sound.
        num_samples: Length.
        sample_rate: Samples a second.

    Returns:
        Float32 ``(samples,)``.

    Raises:
        ValueError: Another kind.
    """
    if kind not in KINDS:
        raise ValueError(f"No drum called {kind!r}; there are {', '.join(KINDS)}.")
    drum = _Drum(generator, num_samples, sample_rate)
    sound = getattr(drum, kind)()
    return (0.9 * sound / sound.abs().max()).float()


class _Drum:
    """The strokes; everything in float64."""

    def __init__(self, generator: Generator, num_samples: int, sample_rate: int) -> None:
        self.generator, self.sample_rate = generator, sample_rate
        self.time_s = torch.arange(num_samples, dtype=torch.float64) / sample_rate

    def kick(self) -> Tensor:
        freq_hz = self.draw(42, 75)
        body = self.glide(
            freq_hz, ratio=self.draw(2, 6), glide_s=self.draw(0.01, 0.05), t60_s=self.draw(0.25, 0.8)
        )
        return body + self.draw(0.05, 0.3) * self.noise(500, 5000, t60_s=self.draw(0.005, 0.03))

    def tom(self) -> Tensor:
        freq_hz = self.draw(80, 220)
        body = self.glide(
            freq_hz, ratio=self.draw(1.2, 2), glide_s=self.draw(0.02, 0.1), t60_s=self.draw(0.3, 0.9)
        )
        overtone = self.glide(
            freq_hz * self.draw(1.5, 1.7), ratio=1.1, glide_s=0.03, t60_s=self.draw(0.1, 0.3)
        )
        return (
            body + 0.3 * overtone + self.draw(0.02, 0.15) * self.noise(800, 6000, t60_s=self.draw(0.01, 0.06))
        )

    def snare(self) -> Tensor:
        freq_hz = self.draw(160, 260)
        shell = self.glide(freq_hz, ratio=self.draw(1.1, 1.8), glide_s=0.02, t60_s=self.draw(0.1, 0.3))
        shell = shell + self.draw(0.3, 0.8) * self.glide(
            freq_hz * self.draw(1.5, 1.9), ratio=1.1, glide_s=0.02, t60_s=self.draw(0.06, 0.2)
        )
        wires = self.noise(self.draw(600, 2500), self.draw(6000, 11000), t60_s=self.draw(0.12, 0.45))
        return shell + self.draw(0.3, 1.2) * wires

    def hihat(self) -> Tensor:
        t60_s = self.draw(0.04, 0.15) if self.draw(0, 1) < 0.6 else self.draw(0.3, 0.7)
        metal = self.partials(12, 2500, 11000, t60_s, t60_s)
        return 0.4 * metal + self.noise(self.draw(4500, 7500), 12000, t60_s=t60_s)

    def cymbal(self) -> Tensor:
        long_s = self.draw(0.7, 1.8)
        metal = self.partials(40, 300, 10000, 0.3 * long_s, long_s)
        return metal + self.draw(0.3, 0.8) * self.noise(self.draw(2000, 5000), 12000, t60_s=0.6 * long_s)

    def draw(self, low: float, high: float) -> float:
        return low + (high - low) * torch.rand((), generator=self.generator, dtype=torch.float64).item()

    def fade(self, t60_s: float | Tensor) -> Tensor:
        return torch.pow(1000.0, -self.time_s / t60_s)

    def glide(self, freq_hz: float, *, ratio: float, glide_s: float, t60_s: float) -> Tensor:
        """A sine that starts ``ratio`` times too high and falls to its pitch."""
        excess_s = glide_s * (1 - torch.exp(-self.time_s / glide_s))  # integral of the falling excess
        phase = 2 * math.pi * freq_hz * (self.time_s + (ratio - 1) * excess_s)
        return phase.sin() * self.fade(t60_s)

    def partials(self, count: int, low_hz: float, high_hz: float, short_s: float, long_s: float) -> Tensor:
        """Inharmonic sines, the higher the shorter."""
        place = torch.rand(count, 1, generator=self.generator, dtype=torch.float64)
        freq_hz = low_hz * (min(high_hz, 0.45 * self.sample_rate) / low_hz) ** place
        phase = 2 * math.pi * torch.rand(count, 1, generator=self.generator, dtype=torch.float64)
        level = 0.3 + torch.rand(count, 1, generator=self.generator, dtype=torch.float64)
        t60_s = long_s + (short_s - long_s) * place
        tones = level * (2 * math.pi * freq_hz * self.time_s + phase).sin() * self.fade(t60_s)
        return tones.sum(dim=0) / math.sqrt(count)

    def noise(self, low_hz: float, high_hz: float, *, t60_s: float) -> Tensor:
        """Noise between two frequencies, with slopes of 12 dB an octave."""
        white = torch.randn(len(self.time_s), generator=self.generator, dtype=torch.float64)
        freq_hz = torch.fft.rfftfreq(len(white), 1 / self.sample_rate, dtype=torch.float64).clamp(min=1)
        shape = 1 / (1 + (low_hz / freq_hz) ** 2) / (1 + (freq_hz / high_hz) ** 2)
        return torch.fft.irfft(torch.fft.rfft(white) * shape, n=len(white)) * self.fade(t60_s)
