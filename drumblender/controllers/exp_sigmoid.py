"""The head of DDSP: amplitudes that range over decades without ever being negative."""

import math
from collections.abc import Mapping

from jaxtyping import Float
from torch import Tensor, nn

from drumblender.controllers.base import module_key
from drumblender.controllers.heads import Head
from drumblender.dsp.precision import raise_half
from drumblender.nets.exp_sigmoid import exp_sigmoid
from drumblender.types import Controls


class ExpSigmoidHead(Head):
    """A linear layer for each control, with an exponential sigmoid; for controls that are linear gains.

    A control that must have a fixed number of frames is made from the features' mean over time.

    Args:
        bias: Where the layers start, by control: -5 keeps noise out of an untrained sound.
        scale: Deviation of the layers' first weights.

    Examples:
        >>> import torch
        >>> head = ExpSigmoidHead(bias={"magnitude": -5.0})
        >>> head.build(num_features=8, control_sizes={"amp": 20, "magnitude": 65})
        >>> controls = head(torch.zeros(1, 50, 8))
        >>> {name: round(value.mean().item(), 5) for name, value in controls.items()}
        {'amp': 0.4054, 'magnitude': 2e-05}
    """

    squashes = False  # into gains up to 2, not into (0, 1)

    def __init__(self, bias: dict[str, float] | None = None, scale: float = 0.02) -> None:
        super().__init__()
        if not (math.isfinite(scale) and scale >= 0):
            raise ValueError(f"scale is a deviation, 0 or more, got {scale}.")
        self.bias, self.scale = dict(bias or {}), scale
        self.layers = nn.ModuleDict()

    def build(
        self,
        num_features: int,
        control_sizes: Mapping[str, int],
        control_frames: Mapping[str, int] | None = None,
    ) -> None:
        """Make the layers, for features of that size.

        Raises:
            ValueError: A bias for a control that there is not.
        """
        if unknown := sorted(set(self.bias) - set(control_sizes)):
            raise ValueError(f"bias names {unknown}; the controls are {sorted(control_sizes)}.")
        self.control_sizes, self.control_frames = dict(control_sizes), dict(control_frames or {})
        for name, size in control_sizes.items():
            layer = nn.Linear(num_features, size * self.control_frames.get(name, 1))
            nn.init.normal_(layer.weight, std=self.scale)
            nn.init.constant_(layer.bias, self.bias.get(name, 0.0))
            self.layers[module_key(name)] = layer

    def forward(self, features: Float[Tensor, "batch frames features"]) -> Controls:
        controls = {}
        for name, size in self.control_sizes.items():
            layer, frames = self.layers[module_key(name)], self.control_frames.get(name)
            if frames is None:
                controls[name] = exp_sigmoid(raise_half(layer(features)))
            else:
                held = exp_sigmoid(raise_half(layer(features.mean(dim=1))))
                controls[name] = held.unflatten(-1, (frames, size))
        return controls
