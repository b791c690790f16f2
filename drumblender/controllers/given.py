"""Controls that the batch brings."""

import torch
from jaxtyping import Float
from torch import Tensor, nn

from drumblender.controllers.base import Batch, Controller
from drumblender.types import Controls


class GivenControls(Controller):
    """Every control is a field of the batch, as the modes that were found in a recording are.

    Args:
        gains: Learned gains on the mode amplitudes that the batch brings.
    """

    def __init__(self, gains: "ModeGains | None" = None) -> None:
        super().__init__()
        self.gains = gains

    def forward(self, batch: Batch) -> Controls:
        controls = {name: self.from_batch(batch, name) for name in self.control_sizes}
        return controls if self.gains is None else self.gains(controls)


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
