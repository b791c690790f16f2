"""What every controller is."""

from abc import ABC, abstractmethod
from typing import Any

from torch import nn

from drumblender.types import Controls

UNITS = ("_hz", "_rad", "_midi", "_db", "_s", "_samples", "_frames")


class Controller(nn.Module, ABC):
    """Plays a synth: turns a batch into its named controls."""

    @abstractmethod
    def serve(self, synth_name: str, control_sizes: dict[str, int], control_frames: dict[str, int]) -> None:
        """Get to know the synth, once, when the voice is put together; weights are made here.

        Args:
            synth_name: For messages.
            control_sizes: As the synth declares them.
            control_frames: As the synth declares them.
        """

    @abstractmethod
    def forward(self, batch: dict[str, Any]) -> Controls:
        """The controls, each ``(batch, frames, size)``."""


def module_key(control: str) -> str:
    """A control's name as torch accepts it for a part of a module: ``osc1.freq`` becomes ``osc1/freq``."""
    return control.replace(".", "/")


def names_a_unit(control: str) -> bool:
    """Whether a control is given in the unit that its name ends in."""
    return control.endswith(UNITS)
