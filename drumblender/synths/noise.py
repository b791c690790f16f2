"""Noise whose spectrum moves from frame to frame."""

import torch
from torch import Tensor

from drumblender.dsp.envelopes import interpolate_frames
from drumblender.dsp.filtered_noise import NoiseFilter, filtered_noise
from drumblender.dsp.noise import source_of, white_noise, who_draws
from drumblender.dsp.precision import raise_half
from drumblender.dsp.units import Range, db_to_gain
from drumblender.synths.base import Synth
from drumblender.types import Audio, Controls


class NoiseSynth(Synth):
    """White noise through a filter that changes every half window (Shier et al., Forum Acusticum 2023).

    Control ``magnitude``: linear gain, of any sign, in bands at equal steps from 0 Hz to Nyquist; or with a
    range ``level`` in (0, 1), which spreads decibels. Its frames lie half a window apart. Fewer than the
    sound needs are spread evenly over it; more are left unheard.

    Args:
        num_bands: Bands of the filter, at least 2.
        win_length: Samples in a frame of noise, at least 2.
        seed: Draw the same noise in every call and for every sound of a batch, as a search needs: what a
            candidate sounds like must not depend on its place. Without it each call and sound has its own.
        draw_on_device: Draw the noise where the controls are, or where a given generator is. False: on the
            CPU, so that one seed is one noise on every device; a GPU waits for it.
        level_db: Gains that ``level`` can have; None: the control is ``magnitude``.
        filter: ``linear`` keeps bands apart: two bands away, one is 40 dB down. ``published`` lets each leak
            into all others, as the published system and its checkpoints do.

    Examples:
        >>> synth = NoiseSynth(num_bands=5, win_length=256, seed=0)
        >>> rumble = synth({"magnitude": torch.tensor([[[1.0, 0.5, 0.0, 0.0, 0.0]]])}, num_samples=16000)
        >>> spectrum = torch.fft.rfft(rumble)[0].abs()  # the upper half is more than 40 dB down
        >>> bool(spectrum[4000:].mean() < 0.01 * spectrum[:1000].mean())
        True
    """

    takes_noise = True

    def __init__(
        self,
        num_bands: int,
        win_length: int = 1024,
        seed: int | None = None,
        draw_on_device: bool = True,
        level_db: Range | None = None,
        filter: NoiseFilter = "linear",
    ) -> None:
        super().__init__()
        if num_bands < 2 or win_length < 2:
            raise ValueError(
                f"Need at least 2 bands and samples a window, got {num_bands=} and {win_length=}."
            )
        if filter not in ("linear", "published"):
            raise ValueError(f"filter is 'linear' or 'published', got {filter!r}.")
        self.num_bands, self.level_db, self.filter = num_bands, level_db, filter
        if level_db is None:
            self.linear = ("magnitude",)
        else:
            self.ranges, self.units = {"level": level_db}, {"level": "db"}
        self.control_sizes = {"magnitude" if level_db is None else "level": num_bands}
        self.win_length, self.hop_length = win_length, win_length // 2
        self.seed, self.draw_on_device = seed, draw_on_device

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
            controls: ``magnitude`` or ``level``, of shape ``(batch, frames, num_bands)``.
            num_samples: Length of the sound.
            source: Not heard.
            noise: The noise to filter, in [-1, 1): ``(batch, frames, win_length)``.
            generator: Draws the noise instead of the seed or the global generator.

        Raises:
            ValueError: A shape does not fit.
        """
        self.check(controls)
        if self.level_db is None:
            magnitude = controls["magnitude"]
        else:  # raised before a range stretches it: half precision would step audibly
            magnitude = db_to_gain(self.level_db.denormalize(raise_half(controls["level"])))
        magnitude = self._spread(magnitude, num_samples)
        shape = (*magnitude.shape[:2], self.win_length)
        if noise is None:
            noise = self._draw(shape, magnitude, generator)
        elif noise.shape != shape:
            raise ValueError(f"The sound needs noise of shape {shape}, got {tuple(noise.shape)}.")
        return filtered_noise(magnitude, noise, self.filter)[:, :num_samples]

    def _spread(self, magnitude: Tensor, num_samples: int) -> Tensor:
        if num_samples < 1:
            raise ValueError(f"A sound has at least 1 sample, got {num_samples=}.")
        needed = max(0, -(-(num_samples - self.win_length) // self.hop_length)) + 1
        if magnitude.shape[1] >= needed:
            return magnitude
        return interpolate_frames(magnitude.transpose(-1, -2), needed).transpose(-1, -2)

    def _draw(self, shape: tuple[int, ...], like: Tensor, generator: torch.Generator | None) -> Tensor:
        device = source_of(generator, like.device if self.draw_on_device else "cpu")
        generator, count = who_draws(self.seed, generator, shape[0], device)
        dtype = torch.float64 if like.dtype == torch.float64 else torch.float32
        noise = white_noise(
            (count, *shape[1:]),
            generator=generator,
            device=like.device,
            dtype=dtype,
            draw_on_device=self.draw_on_device,
        )
        return noise.expand(shape)
