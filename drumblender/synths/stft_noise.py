"""Noise in bands of hearing, and a filter in the same bands for any sound."""

import torch
from torch import Tensor

from drumblender.dsp.band_filter import filter_bands
from drumblender.dsp.kernels import read_along
from drumblender.dsp.noise import source_of, who_draws
from drumblender.dsp.precision import raise_half
from drumblender.dsp.tables import aside
from drumblender.dsp.units import Range
from drumblender.synths.base import Synth
from drumblender.types import Audio, Controls


class _BandSynth(Synth):
    """What both synths share: bands at even steps of the ERB-rate, and frames of short-time spectra.

    Args:
        sample_rate: Samples per second.
        num_bands: Bands, at least 2.
        n_fft: Points of the FFT and of its Hann windows.
        hop_length: Samples from frame to frame; frame ``t`` of the control is centred on ``t * hop_length``.
        low_hz: Centre of the lowest band.
        high_hz: Centre of the highest band; None: 96 % of Nyquist.
        range_db: Gains that ``level`` in (0, 1) can have; None: the control is in decibels.
    """

    unit: str

    def __init__(
        self,
        sample_rate: int,
        num_bands: int = 64,
        n_fft: int = 1024,
        hop_length: int = 256,
        low_hz: float = 40.0,
        high_hz: float | None = None,
        range_db: Range | None = None,
    ) -> None:
        super().__init__()
        if num_bands < 2 or not 1 <= 2 * hop_length <= n_fft:
            raise ValueError(
                f"Need 2 bands and windows that overlap by half, got {num_bands=}, {n_fft=}, {hop_length=}."
            )
        self.range_db = range_db
        self.control = self.unit if range_db is None else self.unit.removesuffix("_db")
        self.control_sizes = {self.control: num_bands}
        if range_db is not None:
            self.ranges, self.units = {self.control: range_db}, {self.control: "db"}
        self.num_bands, self.sample_rate = num_bands, sample_rate
        self.settings = {
            "n_fft": n_fft,
            "hop_length": hop_length,
            "sample_rate": sample_rate,
            "low_hz": low_hz,
            "high_hz": 0.48 * sample_rate if high_hz is None else high_hz,
        }

    def _gain_db(self, controls: Controls) -> Tensor:
        self.check(controls)
        # Raised before a range stretches it: half precision would step audibly.
        return self.to_units({self.control: raise_half(controls[self.control])})[self.unit]


class StftNoiseSynth(_BandSynth):
    """Gaussian noise whose short-time spectra are given their levels, band by band.

    Control ``level_db``: at 0 dB in all bands the noise has an RMS of 1. Gains go in straight lines of
    decibels from band to band. Analysis and synthesis under Hann windows, so that a level is what an analysis
    with the same windows measures. With ``range_db`` the control is ``level`` in (0, 1).

    Args:
        seed: Draw the same noise in every call and for every sound of a batch. Without it each has its own.
        draw_on_device: Draw the noise where the controls are, or where a given generator is. False: on the
            CPU, so that one seed is one noise on every device; a GPU waits for it.

    Examples:
        >>> synth = StftNoiseSynth(sample_rate=16000, n_fft=256, hop_length=64, seed=0)
        >>> sound = synth({"level_db": torch.full((1, 2, 64), -20.0)}, num_samples=16000)
        >>> round(sound.square().mean().sqrt().item(), 2)
        0.1
    """

    unit = "level_db"

    takes_noise = True

    def __init__(
        self,
        sample_rate: int,
        num_bands: int = 64,
        n_fft: int = 1024,
        hop_length: int = 256,
        low_hz: float = 40.0,
        high_hz: float | None = None,
        range_db: Range | None = None,
        seed: int | None = None,
        draw_on_device: bool = True,
    ) -> None:
        super().__init__(sample_rate, num_bands, n_fft, hop_length, low_hz, high_hz, range_db)
        self.seed, self.draw_on_device = seed, draw_on_device

    def forward(
        self,
        controls: Controls,
        num_samples: int,
        source: Audio | None = None,
        *,
        noise: Audio | None = None,
        generator: torch.Generator | None = None,
    ) -> Audio:
        """Render ``num_samples`` samples.

        Args:
            controls: ``level_db`` or ``level``, of shape ``(batch, frames, num_bands)``.
            num_samples: Length of the sound.
            source: Not heard.
            noise: The noise to filter, of variance 1: ``(batch, num_samples)``.
            generator: Draws the noise instead of the seed or the global generator.

        Raises:
            ValueError: A shape does not fit.
        """
        gain_db = self._gain_db(controls)
        if num_samples < 1:
            raise ValueError(f"Need at least 1 sample, got {num_samples=}.")
        shape = (len(gain_db), num_samples)
        if noise is None:
            noise = self._draw(shape, gain_db, generator)
        elif noise.shape != shape:
            raise ValueError(f"The sound needs noise of shape {shape}, got {tuple(noise.shape)}.")
        return filter_bands(noise, gain_db, **self.settings)

    def _draw(self, shape: tuple[int, int], like: Tensor, generator: torch.Generator | None) -> Tensor:
        device = source_of(generator, like.device if self.draw_on_device else "cpu")
        generator, count = who_draws(self.seed, generator, shape[0], device)
        wanted = {"generator": generator, "device": device}
        if generator is not None and read_along():  # an exported graph holds no generator
            noise = aside(torch.randn, (int(count), int(shape[1])), **wanted)
        else:
            noise = torch.randn((count, shape[1]), **wanted)
        return noise.to(like).expand(shape)


class BandEqualiser(_BandSynth):
    """Filters the sounds before it, band by band and frame by frame.

    Control ``gain_db``; 0 dB everywhere gives the sound back. As a voice it replaces the mix that it hears.

    Examples:
        >>> equaliser = BandEqualiser(sample_rate=16000, num_bands=8)
        >>> sound = torch.randn(1, 16000)
        >>> quieter = equaliser({"gain_db": torch.full((1, 1, 8), -20.0)}, num_samples=16000, source=sound)
        >>> torch.allclose(quieter, sound / 10, atol=1e-4)
        True
    """

    unit = "gain_db"
    needs_source = True

    def forward(self, controls: Controls, num_samples: int, source: Audio | None = None) -> Audio:
        """Filter ``source``, ``(batch, num_samples)``."""
        if source is None or source.shape[-1] != num_samples:
            got = None if source is None else tuple(source.shape)
            raise ValueError(f"An equaliser needs a source of {num_samples} samples, got {got}.")
        return filter_bands(source, self._gain_db(controls), **self.settings)
