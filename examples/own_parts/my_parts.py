"""A synth, an encoder and a loss of one's own, beside the configuration that names them. No registering."""

import torch
from torch import Tensor, nn

from drumblender import Range
from drumblender.encoders import Encoder
from drumblender.synths import Synth


class Buzz(Synth):
    """A sine whose pitch and level a network finds; ``print`` shows what it is played with."""

    def __init__(self, sample_rate: int, freq_hz: Range) -> None:
        super().__init__()
        self.sample_rate = sample_rate
        self.control_sizes = {"freq": 1, "amp": 1}
        self.ranges, self.units = {"freq": freq_hz}, {"freq": "hz"}

    def forward(self, controls: dict[str, Tensor], num_samples: int, source: Tensor | None = None) -> Tensor:
        self.check(controls)
        units = {name: value.mean(dim=1) for name, value in self.to_units(controls).items()}
        time_s = torch.arange(num_samples) / self.sample_rate
        return units["amp"] * torch.sin(2 * torch.pi * units["freq_hz"] * time_s)


class Loudness(Encoder):
    """Describes each hundredth of the sound by its RMS level."""

    num_features = 1

    def forward(self, audio: Tensor) -> Tensor:
        return audio.unfold(-1, len(audio[0]) // 100, len(audio[0]) // 100).square().mean(-1, True).sqrt()


class EnvelopeLoss(nn.Module):
    """Distance of the sounds' RMS levels."""

    def forward(self, prediction: Tensor, target: Tensor) -> Tensor:
        return (prediction.square().mean(-1).sqrt() - target.square().mean(-1).sqrt()).abs().mean()
