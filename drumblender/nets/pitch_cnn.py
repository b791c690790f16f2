"""The parts of a pitch network that reads constant-Q frames: where a tone is shifted, its answer is too."""

import math
from collections.abc import Sequence
from typing import Literal

import torch
from jaxtyping import Float
from torch import Tensor, nn

from drumblender.nets.conv import conv1d
from drumblender.nets.cpu import tiled
from drumblender.nets.exp_sigmoid import exp_sigmoid

_FRAMES_AT_ONCE = 64

Activation = Literal["leaky", "relu", "silu"]


class ToeplitzLinear(nn.Module):
    """A linear layer whose weight depends on the distance of input and output only (Riou et al., PESTO 2023).

    ``y[j] = sum_i w[i - j + out - 1] x[i]``, without a bias: a shift of the input shifts the output.

    Args:
        in_features: Inputs.
        out_features: Outputs.
    """

    def __init__(self, in_features: int, out_features: int) -> None:
        super().__init__()
        if min(in_features, out_features) < 1:
            raise ValueError(f"Sizes start at 1, got {in_features=}, {out_features=}.")
        self.in_features = in_features
        taps = in_features + out_features - 1
        self.weight = nn.Parameter(torch.empty(1, 1, taps))
        nn.init.kaiming_uniform_(self.weight, a=math.sqrt(5))  # as a convolution starts

    def forward(self, x: Float[Tensor, "*batch inputs"]) -> Float[Tensor, "*batch outputs"]:
        return x @ self.weight[0, 0].unfold(0, self.in_features, 1).flip(0).T


class ExpSigmoid(nn.Module):
    """``max_value * sigmoid(x) ^ ln(exponent) + threshold``: amplitudes that can come near 0 (DDSP)."""

    def __init__(self, exponent: float = 10.0, max_value: float = 2.0, threshold: float = 1e-7) -> None:
        super().__init__()
        if exponent <= 1 or max_value <= 0:
            raise ValueError(f"Need exponent > 1 and max_value > 0, got {exponent=}, {max_value=}.")
        self.exponent, self.max_value, self.threshold = exponent, max_value, threshold

    def forward(self, x: Tensor) -> Tensor:
        return exp_sigmoid(x, self.threshold, exponent=self.exponent, max_value=self.max_value)

    def inverse(self, y: Tensor) -> Tensor:
        """What gives ``y``, which lies between the threshold and ``max_value``."""
        return torch.logit(((y - self.threshold) / self.max_value) ** (1 / math.log(self.exponent)))


def soft_argmax(
    logits: Float[Tensor, "*batch bins"], temperature: float = 1.0
) -> tuple[Float[Tensor, "*batch"], Float[Tensor, "*batch bins"]]:
    """The mean place in [0, 1] of bins weighted by their softmax, and the weights.

    Examples:
        >>> soft_argmax(torch.tensor([0.0, 9.0, 0.0]), 0.1)[0]
        tensor(0.5000)
    """
    if not temperature > 0:
        raise ValueError(f"The temperature must be above 0, got {temperature}.")
    shares = (logits / temperature).softmax(dim=-1)
    places = torch.linspace(0, 1, logits.shape[-1], device=logits.device, dtype=logits.dtype)
    return (shares * places).sum(dim=-1), shares


class PitchConv(nn.Module):
    """Convolutions over the bins of a frame, with as many bins out: the body of the 46,012 parameters.

    Args:
        num_bins: Bins of a frame.
        channels: Channels after each stage; the last is what is left of a bin.
        kernel_size: Taps of the first two stages, odd.
        num_prefilters: Convolutions with that many taps, the first included.
        residual: Add the input of the later ones to their output.
        activation: What follows each convolution.
        slope: Of the leaky ReLU below 0.
        dropout: Share of values dropped before the last stage.
        num_output_layers: Square Toeplitz layers that follow, plus 1.

    Attributes:
        num_features: Numbers a frame has at the end: bins times last channels.
    """

    def __init__(
        self,
        num_bins: int = 285,
        channels: Sequence[int] = (40, 30, 30, 10, 3),
        kernel_size: int = 15,
        num_prefilters: int = 2,
        residual: bool = True,
        activation: Activation = "leaky",
        slope: float = 0.3,
        dropout: float = 0.5,
        num_output_layers: int = 1,
    ) -> None:
        super().__init__()
        if len(channels) != 5 or min(channels) < 1 or min(num_bins, num_prefilters, num_output_layers) < 1:
            raise ValueError(f"Need bins, stages and five numbers of channels, got {tuple(channels)}.")
        if kernel_size < 1 or kernel_size % 2 == 0:
            raise ValueError(f"A kernel that keeps the number of bins is odd, got {kernel_size=}.")
        if activation not in ("leaky", "relu", "silu"):
            raise ValueError(f"activation is 'leaky', 'relu' or 'silu', got {activation!r}.")

        def act() -> nn.Module:
            return {"leaky": nn.LeakyReLU(slope), "relu": nn.ReLU(), "silu": nn.SiLU()}[activation]

        wide = {"kernel_size": kernel_size, "padding": kernel_size // 2}
        c1, c2, c3, c4, c5 = channels
        self.residual = residual
        self.layernorm = nn.LayerNorm([1, num_bins])
        self.conv1 = nn.Sequential(nn.Conv1d(1, c1, **wide), act())
        self.prefilt_list = nn.ModuleList(
            nn.Sequential(nn.Conv1d(c1, c1, **wide), act()) for _ in range(num_prefilters - 1)
        )
        self.conv2 = nn.Sequential(nn.Conv1d(c1, c2, 1), act())
        self.conv3 = nn.Sequential(nn.Conv1d(c2, c3, 1), act())
        self.conv4 = nn.Sequential(nn.Conv1d(c3, c4, 1), act(), nn.Dropout(dropout), nn.Conv1d(c4, c5, 1))
        self.num_features = num_bins * c5
        layers = [ToeplitzLinear(self.num_features, self.num_features) for _ in range(num_output_layers - 1)]
        self.pre_fc = nn.Sequential(*[part for layer in layers for part in (layer, act())])

    def forward(self, frames: Float[Tensor, "frames bins"]) -> Float[Tensor, "frames features"]:
        x = self.layernorm(frames[:, None])
        # Frames know nothing of each other: a few at a time stay in the cache from layer to layer.
        parts = x.split(_FRAMES_AT_ONCE) if tiled(x) else [x]
        x = torch.cat([self._widened(part) for part in parts])
        dropped, last = self.conv4[2:]  # on all frames, so that what is dropped hangs on the seed alone
        x = _convolved(last, dropped(x))
        return self.pre_fc(x.flatten(1))

    def _widened(self, x: Float[Tensor, "frames 1 bins"]) -> Float[Tensor, "frames channels bins"]:
        conv, act = self.conv1
        x = act(_convolved(conv, x))
        for conv, act in self.prefilt_list:
            y = act(_convolved(conv, x))
            x = y + x if self.residual else y
        for conv, act in (self.conv2, self.conv3, self.conv4[:2]):
            x = act(_convolved(conv, x))
        return x


def _convolved(conv: nn.Conv1d, x: Tensor) -> Tensor:
    left = conv.padding[0]
    return conv1d(x, conv.weight, conv.bias, padding=(left, left))
