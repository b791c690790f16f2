"""From the features of an encoder to the named controls of a synth."""

import torch
from jaxtyping import Float
from torch import Tensor, nn

from drumblender.controllers.base import module_key
from drumblender.dsp.precision import HALF
from drumblender.types import Controls


class LinearHead(nn.Module):
    """Makes one control for every name in ``control_sizes``: a linear layer each, squashed to (0, 1).

    A control that must have a fixed number of frames gets them from its own share of the output of one linear
    layer on the features averaged over time; the others keep the frames of the features.

    Args:
        num_features: Features a frame that come in.
        control_sizes: As a synth declares them.
        control_frames: As a synth declares them.
    """

    def __init__(
        self, num_features: int, control_sizes: dict[str, int], control_frames: dict[str, int] | None = None
    ) -> None:
        super().__init__()
        self.control_sizes = dict(control_sizes)
        self.control_frames = dict(control_frames or {})
        self.layers = nn.ModuleDict(
            {
                module_key(name): nn.Linear(num_features, size * self.control_frames.get(name, 1))
                for name, size in control_sizes.items()
            }
        )

    def forward(self, features: Float[Tensor, "batch frames features"]) -> Controls:
        controls = {}
        for name in self.control_sizes:
            layer = self.layers[module_key(name)]
            frames = self.control_frames.get(name)
            if frames is None:
                controls[name] = torch.sigmoid(_full(layer(features)))
            else:
                held = torch.sigmoid(_full(layer(features.mean(dim=1))))
                controls[name] = held.unflatten(-1, (frames, self.control_sizes[name]))
        return controls


def _full(logits: Tensor) -> Tensor:
    """Out of half precision, which has no number between 0.996 and 1: the loop of a string needs many."""
    return logits.float() if logits.dtype in HALF else logits


class SplitHead(nn.Module):
    """Hands the features on as controls, cut in the order of ``control_sizes``; no weights, no squashing.

    Raises:
        ValueError: The encoder makes more or fewer features than the controls hold.
    """

    def __init__(self, num_features: int, control_sizes: dict[str, int]) -> None:
        super().__init__()
        if num_features != sum(control_sizes.values()):
            raise ValueError(
                f"The encoder makes {num_features} features a frame but the synth takes {control_sizes}; "
                "make them equal or use head: linear."
            )
        self.control_sizes = dict(control_sizes)

    def forward(self, features: Float[Tensor, "batch frames features"]) -> Controls:
        parts = features.split(list(self.control_sizes.values()), dim=-1)
        return dict(zip(self.control_sizes, parts, strict=True))
