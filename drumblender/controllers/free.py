"""Controls held as plain parameters: nothing is heard, only the loss decides."""

from typing import Literal

import torch
from jaxtyping import Float
from torch import Tensor, nn

from drumblender.controllers.base import module_key
from drumblender.types import Controls


class FreeControls(nn.Module):
    """One set of controls for a synth, learned directly.

    Args:
        control_sizes: As the synth declares them.
        num_frames: Frames of the controls that may have any number.
        control_frames: As the synth declares them.
        init: Start from draws of U(0, 1) (``uniform``), from ``scale`` everywhere (``constant``), or from
            draws of N(0, scale²) (``normal``).
        scale: See ``init``; ``uniform`` has no use for it.
        bounded: Keep the controls in (0, 1): what is learned, and drawn by ``init``, goes through a sigmoid.
        num_sounds: Sounds with controls of their own; 1: every sound of a batch is played alike.
        generator: Makes the draws; None: torch's own.

    Raises:
        ValueError: An unknown ``init``, or a count below 1.
    """

    def __init__(
        self,
        control_sizes: dict[str, int],
        num_frames: int = 1,
        control_frames: dict[str, int] | None = None,
        init: Literal["uniform", "constant", "normal"] = "uniform",
        scale: float = 1.0,
        bounded: bool = False,
        num_sounds: int = 1,
        generator: torch.Generator | None = None,
    ) -> None:
        super().__init__()
        if min(num_frames, num_sounds, *control_sizes.values()) < 1:
            raise ValueError(f"Need at least 1, got {num_frames=}, {num_sounds=} and {control_sizes=}.")
        self.control_sizes = dict(control_sizes)
        self.bounded, self.num_sounds = bounded, num_sounds
        frames = dict.fromkeys(control_sizes, num_frames) | dict(control_frames or {})
        self.params = nn.ParameterDict(
            {
                module_key(name): nn.Parameter(
                    _start(init, scale, (num_sounds, frames[name], size), generator)
                )
                for name, size in control_sizes.items()
            }
        )

    def forward(self, batch_size: int | None = None) -> Controls:
        """The controls, ``(batch, frames, size)`` by name.

        Args:
            batch_size: Sounds to play; None: as many as have controls of their own.

        Raises:
            ValueError: Some but not all of the sounds with controls of their own are asked for.
        """
        batch_size = self.num_sounds if batch_size is None else batch_size
        if self.num_sounds not in (1, batch_size):
            raise ValueError(f"Holds controls of {self.num_sounds} sounds, asked for {batch_size}.")
        controls = {
            name: self.params[module_key(name)].expand(batch_size, -1, -1) for name in self.control_sizes
        }
        if not self.bounded:
            return controls
        return {name: value.sigmoid() for name, value in controls.items()}


class ModeGains(nn.Module):
    """A learned gain on the amplitude of each mode that comes in.

    Args:
        num_modes: Gains to hold; sounds may have fewer modes.
        ones: Start from 1 instead of draws of U(0, 1).
    """

    def __init__(self, num_modes: int, ones: bool = True) -> None:
        super().__init__()
        if num_modes < 1:
            raise ValueError(f"Needs at least 1 mode, got {num_modes=}.")
        self.params = nn.Parameter(torch.ones(num_modes) if ones else torch.rand(num_modes))

    def forward(self, controls: Controls) -> Controls:
        """The same controls with ``amp`` ``(batch, frames, modes)`` multiplied.

        Raises:
            ValueError: No ``amp``, or more modes than gains.
        """
        if "amp" not in controls:
            raise ValueError(f"Gains are for a control named amp; the synth has {sorted(controls)}.")
        amp: Float[Tensor, "batch frames modes"] = controls["amp"]
        num_modes = amp.shape[-1]
        if num_modes > len(self.params):
            raise ValueError(f"Got {num_modes} modes but has gains for {len(self.params)}.")
        return {**controls, "amp": amp * self.params[:num_modes]}


def _start(
    init: str, scale: float, shape: tuple[int, ...], generator: torch.Generator | None
) -> Float[Tensor, "..."]:
    if init == "uniform":
        return torch.rand(shape, generator=generator)
    if init == "constant":
        return torch.full(shape, scale)
    if init == "normal":
        return scale * torch.randn(shape, generator=generator)
    raise ValueError(f"init must be uniform, constant or normal, got {init!r}.")
