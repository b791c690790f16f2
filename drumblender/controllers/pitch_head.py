"""From the features of a pitch network to a fundamental in Hz and amplitudes."""

import torch
from jaxtyping import Float
from torch import Tensor, nn

from drumblender.controllers.base import module_key
from drumblender.dsp.precision import raise_half
from drumblender.dsp.units import Range
from drumblender.nets.pitch_cnn import ExpSigmoid, ToeplitzLinear, soft_argmax
from drumblender.types import Controls

PITCHES, AMPLITUDES = ("f0_hz", "f0", "freq_hz"), ("amp", "gain")


class PitchHead(nn.Module):
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

    Raises:
        ValueError: A number is out of range.
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
    ) -> None:
        super().__init__()
        if not temperature > 0 or num_bins < 2:
            raise ValueError(f"Need a temperature above 0 and 2 bins, got {temperature=}, {num_bins=}.")
        if first_amp is not None and not (0 < first_amp < 2 and 0 < amp_ratio <= 1):
            raise ValueError(
                f"Need first_amp in (0, 2) and amp_ratio in (0, 1], got {first_amp=}, {amp_ratio=}."
            )
        if not range_hz:
            range_hz = Range(32.7, 32.7 * 2 ** (284 / 36), log=True)
        if not range_hz.log:
            raise ValueError(f"Bins of pitch are spread in octaves: need log: true, got {range_hz}.")
        self.range_hz, self.temperature, self.num_bins = range_hz, temperature, num_bins
        self.first_amp, self.amp_ratio = first_amp, amp_ratio
        self.amp_scale, self.pitch_scale = amp_scale, pitch_scale
        self.squash = ExpSigmoid()
        self.layers = nn.ModuleDict()
        self.names: tuple[str, ...] = ()

    def makes(self, name: str) -> bool:
        """Pitches in Hz or in the range of the synth, and linear amplitudes."""
        return name in PITCHES + AMPLITUDES

    def build(
        self, num_features: int, control_sizes: dict[str, int], control_frames: dict[str, int] | None = None
    ) -> None:
        """Make the layers for a synth, once."""
        if unknown := [name for name in control_sizes if not self.makes(name)]:
            raise ValueError(
                f"PitchHead makes {', '.join(PITCHES + AMPLITUDES)}, not {', '.join(unknown)}: take a "
                "LinearHead, or a synth whose amplitudes have no range."
            )
        self.names = tuple(control_sizes)
        for name, size in control_sizes.items():
            if name in PITCHES:
                layers = [ToeplitzLinear(num_features, self.num_bins) for _ in range(size)]
                self.layers[module_key(name)] = nn.ModuleList(layers)
            else:
                self.layers[module_key(name)] = nn.Linear(num_features, size)
        self._calm()

    @torch.no_grad()
    def _calm(self) -> None:
        for name in self.names:
            layer = self.layers[module_key(name)]
            if name in PITCHES:
                for pitch in layer:
                    pitch.weight *= self.pitch_scale
                continue
            layer.weight *= self.amp_scale
            if self.first_amp is not None:
                order = torch.arange(layer.out_features)
                layer.bias.copy_(self.squash.inverse(self.first_amp * self.amp_ratio**order))

    def forward(self, features: Float[Tensor, "batch frames features"]) -> Controls:
        controls = {}
        for name in self.names:
            if name in PITCHES:
                place, _ = self.pitch(features, name)
                controls[name] = place if name == "f0" else self.range_hz.denormalize(place)
            else:
                controls[name] = self.squash(raise_half(self.layers[module_key(name)](features)))
        return controls

    def pitch(
        self, features: Float[Tensor, "batch frames features"], name: str = "f0_hz"
    ) -> tuple[Float[Tensor, "batch frames pitches"], Float[Tensor, "batch frames pitches bins"]]:
        """Where each pitch lies in (0, 1), and the share of every bin."""
        logits = torch.stack([layer(features) for layer in self.layers[module_key(name)]], dim=2)
        return soft_argmax(raise_half(logits), self.temperature)
