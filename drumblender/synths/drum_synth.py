"""What the drum machines have in common: knobs with ranges, noise, and a rendering of one hit."""

from abc import abstractmethod

import torch
from jaxtyping import Float
from torch import Tensor

from drumblender.dsp.noise import who_draws
from drumblender.dsp.precision import raise_half
from drumblender.dsp.units import Range
from drumblender.synths.base import Synth
from drumblender.synths.stacking import stack, stacked_size, unstack
from drumblender.types import Audio, Controls

DECAY_MS = Range(10.0, 2000.0)
FREQ_HZ = Range(20.0, 2000.0)
SWEEP = Range(-1.0, 2.0)  # how far the pitch starts above where it ends, as a ratio
GAIN_DB = Range(-60.0, 6.0)
DRIVE_DB = Range(-24.0, 24.0)

Knobs = dict[str, Float[Tensor, "batch"]]
_UNITS = {"decay": "ms", "freq": "hz", "gain": "db", "in_gain": "db"}


class DrumSynth(Synth):
    """Plays one hit from knobs that are each held through the sound.

    A knob is named ``<part>.<what>``. What it is called decides its unit: ``decay`` milliseconds to fall by
    60 dB, ``freq`` Hz, ``gain`` and ``in_gain`` dB, ``mod`` and ``q`` plain numbers.

    Args:
        ranges: The knobs in the order of the parameter vector.
        sample_rate: Samples per second.
        noise_samples: Samples of noise drawn once, at construction, and used for every hit, so that a hit is
            repeatable; 0 draws anew each time. A hit cannot be longer than this.
    """

    takes_noise = True

    def __init__(self, ranges: dict[str, Range], sample_rate: int, noise_samples: int = 0) -> None:
        super().__init__()
        if sample_rate < 1000 or noise_samples < 0:
            raise ValueError(f"Needs sample_rate of 1000 or more, got {sample_rate=}, {noise_samples=}.")
        self.ranges, self.sample_rate = ranges, sample_rate
        self.control_sizes = dict.fromkeys(ranges, 1)
        self.control_frames = dict.fromkeys(ranges, 1)
        self.units = {name: _UNITS[what] for name in ranges if (what := name.rsplit(".", 1)[-1]) in _UNITS}
        self.noise: Tensor | None
        self.register_buffer("noise", 2 * torch.rand(1, noise_samples) - 1 if noise_samples else None)

    @abstractmethod
    def render(self, knobs: Knobs, noise: Float[Tensor, "#batch samples"]) -> Audio:
        """Play a hit as long as the noise, from knobs in real units."""

    def forward(
        self,
        controls: Controls,
        num_samples: int,
        source: Audio | None = None,
        noise: Float[Tensor, "#batch samples"] | None = None,
    ) -> Audio:
        """Render ``num_samples`` samples.

        Args:
            controls: A tensor ``(batch, 1, 1)`` in (0, 1) for every name in ``ranges``.
            num_samples: Length of the sound.
            source: Not used.
            noise: White noise in [-1, 1] to play with instead of the synth's own, at least as long.

        Raises:
            ValueError: A control is missing or has another shape, or the noise is too short.
        """
        if num_samples < 1:
            raise ValueError(f"A hit has at least 1 sample, got {num_samples=}.")
        self.check(controls)
        params = raise_half(stack(controls, self.control_sizes, self.control_frames))
        knobs = {
            name: span.denormalize(value)
            for (name, span), value in zip(self.ranges.items(), params.unbind(dim=1), strict=True)
        }
        return self.render(knobs, self._noise(noise, num_samples, params))

    def play(self, params: Float[Tensor, "batch params"], num_samples: int) -> Audio:
        """Render a vector of parameters in (0, 1), in the order of ``ranges``."""
        return self(unstack(params, self.control_sizes, self.control_frames), num_samples)

    @property
    def num_params(self) -> int:
        """Length of the parameter vector."""
        return stacked_size(self.control_sizes, self.control_frames)

    def _noise(
        self, noise: Tensor | None, num_samples: int, params: Tensor
    ) -> Float[Tensor, "#batch samples"]:
        if noise is None:
            noise = self.noise
        if noise is None:
            _, count = who_draws(None, None, len(params), params.device)
            shape = count, num_samples
            return 2 * torch.rand(shape, device=params.device, dtype=params.dtype) - 1
        if noise.shape[-1] < num_samples:
            raise ValueError(
                f"{num_samples} samples are asked for, but there are {noise.shape[-1]} of noise: ask for "
                f"less (`render --seconds {noise.shape[-1] / self.sample_rate:g}`), or set noise_samples to "
                f"{num_samples} in the synth's YAML, such as a copy of it for `render --synth`."
            )
        return noise[:, :num_samples].to(params)
