"""From features of an onset to changes of a synth's controls: small enough to run at every hit."""

import copy

import torch
from jaxtyping import Float
from torch import Tensor, nn


class Mapper(nn.Module):
    """Maps ``in_size`` features to how far each of ``out_size`` controls moves.

    Examples:
        >>> class Average(Mapper):
        ...     def forward(self, features):
        ...         return (features + self.input_bias).mean(dim=1, keepdim=True).expand(-1, self.out_size)
        >>> Average(in_size=3, out_size=14, input_bias=-0.5)(torch.ones(2, 3)).shape
        torch.Size([2, 14])
    """

    in_size: int
    out_size: int

    def __init__(self, in_size: int, out_size: int, input_bias: float) -> None:
        super().__init__()
        if min(in_size, out_size) < 1:
            raise ValueError(f"A mapper has sizes of at least 1, got {in_size=}, {out_size=}.")
        self.in_size, self.out_size, self.input_bias = in_size, out_size, input_bias


class LinearMapping(Mapper):
    """One matrix.

    Args:
        in_size: Features that come in.
        out_size: Controls to move.
        input_bias: Added to every feature.
        bias: Add a learned bias.
        clamp: Limit the result to [-1, 1].
        init_std: The weights are drawn from N(0, init_std²); the bias starts at 0.

    Examples:
        >>> mapping = LinearMapping(in_size=3, out_size=14)
        >>> moved = mapping(torch.rand(2, 3))
        >>> moved.shape, bool(moved.abs().max() < 0.1)  # untrained, it hardly moves anything
        (torch.Size([2, 14]), True)
    """

    def __init__(
        self,
        in_size: int,
        out_size: int,
        input_bias: float = 0.0,
        bias: bool = False,
        clamp: bool = False,
        init_std: float = 1e-3,
    ) -> None:
        super().__init__(in_size, out_size, input_bias)
        self.clamp = clamp
        self.net = nn.Linear(in_size, out_size, bias=bias)
        _draw([self.net], init_std)

    def forward(self, features: Float[Tensor, "batch in_size"]) -> Float[Tensor, "batch out_size"]:
        moved = self.net(features + self.input_bias)
        return moved.clamp(-1.0, 1.0) if self.clamp else moved


class MLPMapping(Mapper):
    """A multi-layer perceptron.

    Args:
        in_size: Features that come in.
        hidden_size: Units of each hidden layer.
        out_size: Controls to move.
        num_layers: Hidden layers.
        activation: After each hidden layer; every layer gets a copy of its own. Sigmoid by default.
        scale_output: Squash the result to (-1, 1) by a tanh.
        input_bias: Added to every feature.
        layer_norm: Normalise each hidden layer, without learned scale, before its activation.
        init_std: The weights of all layers are drawn from N(0, init_std²); biases start at 0.

    Examples:
        >>> mapping = MLPMapping(in_size=3, hidden_size=32, out_size=14, num_layers=2, scale_output=True)
        >>> moved = mapping(torch.rand(2, 3))
        >>> moved.shape, bool(moved.abs().max() < 1)
        (torch.Size([2, 14]), True)
    """

    def __init__(
        self,
        in_size: int,
        hidden_size: int,
        out_size: int,
        num_layers: int,
        activation: nn.Module | None = None,
        scale_output: bool = False,
        input_bias: float = 0.0,
        layer_norm: bool = False,
        init_std: float = 1e-3,
    ) -> None:
        super().__init__(in_size, out_size, input_bias)
        if min(hidden_size, num_layers) < 1:
            raise ValueError(f"An MLP has hidden layers and units, got {hidden_size=}, {num_layers=}.")
        layers: list[nn.Module] = []
        for size in [in_size] + [hidden_size] * (num_layers - 1):
            layers.append(nn.Linear(size, hidden_size))
            if layer_norm:
                layers.append(nn.LayerNorm(hidden_size, elementwise_affine=False))
            layers.append(copy.deepcopy(activation) if activation is not None else nn.Sigmoid())
        layers.append(nn.Linear(hidden_size, out_size))
        self.scale_output = scale_output
        self.net = nn.Sequential(*layers)
        _draw([layer for layer in layers if isinstance(layer, nn.Linear)], init_std)

    def forward(self, features: Float[Tensor, "batch in_size"]) -> Float[Tensor, "batch out_size"]:
        moved = self.net(features + self.input_bias)
        return torch.tanh(moved) if self.scale_output else moved


def _draw(layers: list[nn.Linear], std: float) -> None:
    # After the default draws of all layers, in their order: a seed then gives the published weights.
    for layer in layers:
        nn.init.normal_(layer.weight, std=std)
        if layer.bias is not None:
            nn.init.zeros_(layer.bias)
