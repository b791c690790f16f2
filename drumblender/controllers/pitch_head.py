"""From the features of a pitch network to a fundamental in Hz and amplitudes."""

from collections.abc import Mapping

import torch
from jaxtyping import Float
from torch import Tensor, nn

from drumblender.controllers.base import module_key
from drumblender.controllers.heads import Head
from drumblender.dsp.precision import raise_half
from drumblender.dsp.units import Range
from drumblender.nets.pitch_cnn import ExpSigmoid, ToeplitzLinear, soft_argmax
from drumblender.types import Controls

PITCHES, AMPLITUDES = ("f0_hz", "f0", "freq_hz"), ("amp", "gain")


class PitchHead(Head):
    """Pitch by a Toeplitz layer and soft-argmax, amplitudes by a linear layer and an exponential sigmoid.

    It makes Hz, so ``f0_hz`` needs no range: bins stand for frequencies that are spread evenly in octaves.

    Args:
        range_hz: Frequencies of the first bin and the last; by default those of the paper's transform.
        temperature: What the logits of pitch are divided by.
        num_bins: Bins of pitch.
        first_amp: Amplitude of the first partial before training; None: whatever the weights give (about
            0.4 for all of them, as published: a comb whose mean frequency is too high, so that transport
            pulls every pitch down at first).
        amp_ratio: Each next partial has so much of the one before.
        amp_scale: Factor on the first weights of the amplitudes.
        pitch_scale: Factor on the first weights of the pitch; 1 as published starts anywhere, by the seed.
        amp_rise: No partial has more than so many times the amplitude of the one before. A pure tone of f
            can then not be the second partial of f / 2, which it sounds exactly like. None: each has an
            amplitude of its own, as published.

    Raises:
        ValueError: A number is out of range.

    >>> head = PitchHead()
    >>> head.build(855, {"f0_hz": 1, "amp": 20})
    >>> {name: tuple(value.shape) for name, value in head(torch.zeros(2, 16, 855)).items()}
    {'f0_hz': (2, 16, 1), 'amp': (2, 16, 20)}
    """

    def __init__(
        self,
        range_hz: Range | None = None,
        temperature: float = 0.1,
        num_bins: int = 285,
        first_amp: float | None = None,
        amp_ratio: float = 0.8,
        amp_scale: float = 1.0,
        pitch_scale: float = 1.0,
        amp_rise: float | None = None,
    ) -> None:
        super().__init__()
        if not temperature > 0 or num_bins < 2:
            raise ValueError(f"Need a temperature above 0 and 2 bins, got {temperature=}, {num_bins=}.")
        if first_amp is not None and not (0 < first_amp < 2 and 0 < amp_ratio <= 1):
            raise ValueError(
                f"Need first_amp in (0, 2) and amp_ratio in (0, 1], got {first_amp=}, {amp_ratio=}."
            )
        if amp_rise is not None and not amp_rise > amp_ratio:
            raise ValueError(f"amp_rise must be above amp_ratio, got {amp_rise=}, {amp_ratio=}.")
        if not range_hz:
            range_hz = Range(32.7, 32.7 * 2 ** (284 / 36), log=True)
        if not range_hz.log:
            raise ValueError(f"Bins of pitch are spread in octaves: need log: true, got {range_hz}.")
        self.range_hz, self.temperature, self.num_bins = range_hz, temperature, num_bins
        self.first_amp, self.amp_ratio = first_amp, amp_ratio
        self.amp_scale, self.pitch_scale, self.amp_rise = amp_scale, pitch_scale, amp_rise
        self.squash = ExpSigmoid()
        self.layers = nn.ModuleDict()

    def makes(self, name: str) -> bool:
        """Pitches in Hz or in the range of the synth, and linear amplitudes."""
        return name in PITCHES + AMPLITUDES

    def build(
        self,
        num_features: int,
        control_sizes: Mapping[str, int],
        control_frames: Mapping[str, int] | None = None,
    ) -> None:
        """Make the layers for a synth, once.

        Raises:
            ValueError: A control that it cannot make, or one that must have a certain number of frames.
        """
        if unknown := [name for name in control_sizes if not self.makes(name)]:
            raise ValueError(
                f"PitchHead makes {', '.join(PITCHES + AMPLITUDES)}, not {', '.join(unknown)}: take a "
                "LinearHead, or a synth whose amplitudes have no range."
            )
        if control_frames:
            raise ValueError(
                f"PitchHead makes a pitch for each frame, but {', '.join(control_frames)} has a number of "
                "frames of its own: take a LinearHead."
            )
        self.control_sizes, self.control_frames = dict(control_sizes), {}
        for name, size in control_sizes.items():
            if name in PITCHES:
                layers = [ToeplitzLinear(num_features, self.num_bins) for _ in range(size)]
                self.layers[module_key(name)] = nn.ModuleList(layers)
            else:
                self.layers[module_key(name)] = nn.Linear(num_features, size)
        self._calm()

    @torch.no_grad()
    def _calm(self) -> None:
        for name in self.control_sizes:
            layer = self.layers[module_key(name)]
            if name in PITCHES:
                for pitch in layer:
                    pitch.weight *= self.pitch_scale
                continue
            layer.weight *= self.amp_scale
            if self.first_amp is not None:
                order = torch.arange(layer.out_features)
                layer.bias.copy_(self.squash.inverse(self.first_amp * self.amp_ratio**order))
                if self.amp_rise is not None:
                    layer.bias[1:] = torch.logit(torch.tensor(self.amp_ratio / self.amp_rise))

    def forward(self, features: Float[Tensor, "batch frames features"]) -> Controls:
        controls = {}
        for name in self.control_sizes:
            if name in PITCHES:
                place, _ = self.pitch(features, name)
                controls[name] = place if name == "f0" else self.range_hz.denormalize(place)
            else:
                controls[name] = self._amplitudes(raise_half(self.layers[module_key(name)](features)))
        return controls

    def _amplitudes(self, logits: Float[Tensor, "*frames partials"]) -> Float[Tensor, "*frames partials"]:
        if self.amp_rise is None:
            return self.squash(logits)
        first, later = self.squash(logits[..., :1]), self.amp_rise * torch.sigmoid(logits[..., 1:])
        return torch.cat([first, later], dim=-1).cumprod(dim=-1)

    def pitch(
        self, features: Float[Tensor, "batch frames features"], name: str = "f0_hz"
    ) -> tuple[Float[Tensor, "batch frames pitches"], Float[Tensor, "batch frames pitches bins"]]:
        """Where each pitch lies in (0, 1), and the share of every bin."""
        logits = torch.stack([layer(features) for layer in self.layers[module_key(name)]], dim=2)
        return soft_argmax(raise_half(logits), self.temperature)
