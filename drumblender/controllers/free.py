"""Controls held as plain parameters: nothing is heard, only the loss decides."""

from collections.abc import Mapping
from typing import Literal

import torch
from jaxtyping import Float
from torch import Tensor, nn

from drumblender.controllers.base import Batch, Controller, module_key
from drumblender.synths.base import Synth, has_unit
from drumblender.types import Controls


class FreeControls(Controller):
    """One set of controls for a synth, learned directly.

    In a voice, controls in a unit are fields of the batch: a start drawn from (0, 1) would be no pitch.

    Args:
        num_frames: Frames of the controls that may have any number.
        init: Start from draws of U(0, 1) (``uniform``), from ``scale`` everywhere (``constant``), or from
            draws of N(0, scale²) (``normal``).
        scale: See ``init``; ``uniform`` has no use for it.
        bounded: Keep the controls in (0, 1): what is learned, and drawn by ``init``, goes through a sigmoid.
            Without it they are as they are learned, for synths whose controls have any sign and size.
        num_sounds: Sounds with controls of their own; 1: every sound of a batch is played alike.
        generator: Makes the draws; None: torch's own.

    Raises:
        ValueError: An unknown ``init``, or a count below 1.

    >>> free = FreeControls(num_frames=4, init="constant", scale=0.0).hold({"amp": 3})
    >>> free.values(2)["amp"].shape
    torch.Size([2, 4, 3])
    """

    def __init__(
        self,
        num_frames: int = 1,
        init: Literal["uniform", "constant", "normal"] = "uniform",
        scale: float = 1.0,
        bounded: bool = True,
        num_sounds: int = 1,
        generator: torch.Generator | None = None,
    ) -> None:
        super().__init__()
        if min(num_frames, num_sounds) < 1:
            raise ValueError(f"Need at least 1, got {num_frames=} and {num_sounds=}.")
        if init not in ("uniform", "constant", "normal"):
            raise ValueError(f"init must be uniform, constant or normal, got {init!r}.")
        self.num_frames, self.init, self.scale = num_frames, init, scale
        self.bounded, self.num_sounds, self._generator = bounded, num_sounds, generator
        self.params = nn.ParameterDict()

    def build(self, synth: Synth) -> None:
        free = {name: size for name, size in synth.control_sizes.items() if not has_unit(name)}
        self.hold(free, synth.control_frames)

    def hold(
        self, control_sizes: Mapping[str, int], control_frames: Mapping[str, int] | None = None
    ) -> "FreeControls":
        """Draw the start of these controls, whatever synth they are for.

        Args:
            control_sizes: As a synth declares them.
            control_frames: Frames of those that must have a certain number.

        Returns:
            This controller.
        """
        if min(control_sizes.values(), default=1) < 1:
            raise ValueError(f"Need at least 1, got {dict(control_sizes)}.")
        frames = dict.fromkeys(control_sizes, self.num_frames) | dict(control_frames or {})
        self.free_names = list(control_sizes)
        self.params = nn.ParameterDict(
            {
                module_key(name): nn.Parameter(self._start((self.num_sounds, frames[name], size)))
                for name, size in control_sizes.items()
            }
        )
        return self

    def values(self, batch_size: int | None = None) -> Controls:
        """The learned controls, ``(batch, frames, size)`` by name.

        Args:
            batch_size: Sounds to play; None: as many as have controls of their own.

        Raises:
            ValueError: Some but not all of the sounds with controls of their own are asked for.
        """
        batch_size = self.num_sounds if batch_size is None else batch_size
        if self.num_sounds not in (1, batch_size):
            raise ValueError(f"Holds controls of {self.num_sounds} sounds, asked for {batch_size}.")
        held = {name: self.params[module_key(name)].expand(batch_size, -1, -1) for name in self.free_names}
        return {name: value.sigmoid() for name, value in held.items()} if self.bounded else held

    def forward(self, batch: Batch) -> Controls:
        size = next(len(value) for value in batch.values() if isinstance(value, Tensor))
        values = self.values(size)
        return {
            name: values[name] if name in values else self.from_batch(batch, name)
            for name in self.control_sizes
        }

    def _start(self, shape: tuple[int, ...]) -> Float[Tensor, "..."]:
        if self.init == "uniform":
            return torch.rand(shape, generator=self._generator)
        if self.init == "constant":
            return torch.full(shape, self.scale)
        return self.scale * torch.randn(shape, generator=self._generator)
