"""Noise shaped in the short-time Fourier domain, as DDSP timbre transfer plays it."""

import torch
from torch import Tensor

from drumblender.dsp.envelopes import interpolate_frames
from drumblender.dsp.noise import source_of, who_draws
from drumblender.dsp.stft_noise import stft_filter
from drumblender.synths.base import Synth
from drumblender.types import Audio, Controls


class FilteredNoiseSynth(Synth):
    """Gaussian noise through a filter that moves every hop (Neural Guitar).

    Control ``magnitude``: linear, in bands at equal steps from 0 Hz to Nyquist; a constant m sounds at RMS m.
    :class:`~drumblender.synths.StftNoiseSynth` has bands of hearing in decibels instead, at even steps of the
    ERB-rate. Of ``samples // hop_length + 1`` frames, one lies on every hop and one on the end. With one
    frame fewer the end is held, or with ``pad_last=False`` silent for a hop, as published. Any other number
    is spread evenly.

    Args:
        num_bands: Bands of the filter, at least 2.
        hop_length: Samples between frames.
        n_fft: Points of the FFT, at least twice the hop.
        pad_last: Fill the last hop.
        draw_on_device: Draw the noise where the controls are, or where a given generator is. False: on the
            CPU, so that one seed gives the same noise on every device.

    Examples:
        >>> synth = FilteredNoiseSynth(num_bands=9)
        >>> hiss = synth({"magnitude": torch.full((1, 101, 9), 0.1)}, 16000)
        >>> hiss.shape, round(hiss.square().mean().sqrt().item(), 2)
        (torch.Size([1, 16000]), 0.1)
    """

    takes_noise = True

    def __init__(
        self,
        num_bands: int = 65,
        hop_length: int = 160,
        n_fft: int = 1024,
        pad_last: bool = True,
        draw_on_device: bool = True,
    ) -> None:
        super().__init__()
        if num_bands < 2 or not 1 <= hop_length <= n_fft // 2:
            raise ValueError(f"Need 2 bands, a hop up to half of {n_fft=}; got {num_bands=}, {hop_length=}.")
        self.control_sizes, self.linear = {"magnitude": num_bands}, ("magnitude",)
        self.num_bands, self.hop_length, self.n_fft, self.pad_last = num_bands, hop_length, n_fft, pad_last
        self.draw_on_device = draw_on_device

    def forward(
        self,
        controls: Controls,
        num_samples: int,
        source: Audio | None = None,
        *,
        noise: Tensor | None = None,
        generator: torch.Generator | None = None,
    ) -> Audio:
        """Render ``num_samples`` samples.

        Args:
            controls: ``magnitude`` of shape ``(batch, frames, num_bands)``.
            num_samples: Length of the sound.
            source: Not heard.
            noise: White noise to filter, ``(batch, at least num_samples + n_fft)``.
            generator: Draws the noise instead of the global generator.

        Raises:
            ValueError: A shape does not fit.
        """
        magnitude = controls["magnitude"]
        if num_samples < 1 or magnitude.shape[-1] != self.num_bands:
            raise ValueError(
                f"Need at least 1 sample and magnitude (batch, frames, {self.num_bands}), "
                f"got {num_samples=} and {tuple(magnitude.shape)}."
            )
        magnitude = self._on_hops(magnitude, num_samples)
        hops = -(-num_samples // self.hop_length)
        if noise is None:
            shape = len(magnitude), hops * self.hop_length + self.n_fft
            where = source_of(generator, magnitude.device if self.draw_on_device else "cpu")
            _, count = who_draws(None, generator, shape[0], where)
            noise = torch.randn(count, shape[1], generator=generator, device=where)
            noise = noise.to(magnitude.device).expand(shape)
        elif noise.ndim != 2 or len(noise) != len(magnitude):
            raise ValueError(f"{len(magnitude)} sounds need noise of as many rows, got {tuple(noise.shape)}.")
        sound = stft_filter(noise, magnitude, n_fft=self.n_fft, hop_length=self.hop_length)
        return torch.nn.functional.pad(sound, (0, max(0, num_samples - sound.shape[1])))[:, :num_samples]

    def _on_hops(self, magnitude: Tensor, num_samples: int) -> Tensor:
        """One frame on every hop, and where the last hop is filled one on its end."""
        hops = -(-num_samples // self.hop_length)
        frames = magnitude.shape[1]
        if frames not in (hops, hops + 1):
            return interpolate_frames(magnitude.transpose(1, 2), hops + 1, align="center").transpose(1, 2)
        if frames == hops and (self.pad_last or hops == 1):
            return torch.cat([magnitude, magnitude[:, -1:]], dim=1)
        return magnitude
