"""Heads: from the features of an encoder to the named controls of a synth."""

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence

import torch
from jaxtyping import Float
from torch import Tensor, nn

from drumblender.controllers.base import module_key
from drumblender.dsp.precision import HALF
from drumblender.synths.base import has_unit
from drumblender.types import Controls


class Head(nn.Module, ABC):
    """Makes controls of features; it is built once it is known for which.

    Attributes:
        control_sizes: Controls that it makes, after :meth:`build`.
        control_frames: Frames of those that must have a certain number.
    """

    control_sizes: dict[str, int]
    control_frames: dict[str, int]

    squashes: bool = True
    """It keeps what it makes in (0, 1), as all controls need but those that are ``linear``."""

    def makes(self, name: str) -> bool:
        """Whether it can make a control of that name; one that squashes makes none in a unit."""
        return not has_unit(name)

    @abstractmethod
    def build(
        self, num_features: int, control_sizes: Mapping[str, int], control_frames: Mapping[str, int]
    ) -> None:
        """Make the weights.

        Args:
            num_features: Features a frame that will come in.
            control_sizes: The controls to make, as the synth declares them.
            control_frames: Their frames, as the synth declares them.
        """

    @abstractmethod
    def forward(self, features: Float[Tensor, "batch frames features"]) -> Controls:
        """The controls, each ``(batch, frames, size)``."""


class LinearHead(Head):
    """A linear layer for each control, squashed to (0, 1) by a sigmoid.

    A control that must have a fixed number of frames gets them from its own share of the output of one linear
    layer on the features averaged over time; the others keep the frames of the features.

    >>> head = LinearHead()
    >>> head.build(8, {"amp": 3}, {})
    >>> head(torch.zeros(2, 10, 8))["amp"].shape
    torch.Size([2, 10, 3])
    """

    def build(
        self,
        num_features: int,
        control_sizes: Mapping[str, int],
        control_frames: Mapping[str, int] | None = None,
    ) -> None:
        self.control_sizes, self.control_frames = dict(control_sizes), dict(control_frames or {})
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


class SplitHead(Head):
    """Hands the features on as controls, cut in the order of the synth's; no weights, no squashing.

    It suits controls that may have any sign and size, such as the magnitudes of a noise filter.

    Args:
        units: Controls in a unit that the encoder already makes in that unit.

    >>> head = SplitHead()
    >>> head.build(5, {"amp": 3, "level": 2}, {})
    >>> [tuple(value.shape) for value in head(torch.zeros(2, 10, 5)).values()]
    [(2, 10, 3), (2, 10, 2)]
    """

    squashes = False

    def __init__(self, units: Sequence[str] = ()) -> None:
        super().__init__()
        self.in_units = tuple(units)

    def makes(self, name: str) -> bool:
        return super().makes(name) or name in self.in_units

    def build(
        self,
        num_features: int,
        control_sizes: Mapping[str, int],
        control_frames: Mapping[str, int] | None = None,
    ) -> None:
        """Take the sizes.

        Raises:
            ValueError: The encoder makes more or fewer features than the controls hold.
        """
        if num_features != sum(control_sizes.values()):
            raise ValueError(
                f"The encoder makes {num_features} features a frame but SplitHead cuts them into "
                f"{dict(control_sizes)}: make them equal or take LinearHead."
            )
        self.control_sizes, self.control_frames = dict(control_sizes), dict(control_frames or {})

    def forward(self, features: Float[Tensor, "batch frames features"]) -> Controls:
        parts = features.split(list(self.control_sizes.values()), dim=-1)
        return dict(zip(self.control_sizes, parts, strict=True))


def _full(logits: Tensor) -> Tensor:
    """Out of half precision, which has no number between 0.996 and 1: the loop of a string needs many."""
    return logits.float() if logits.dtype in HALF else logits
