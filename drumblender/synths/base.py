"""What every synth is."""

from abc import ABC, abstractmethod

from torch import nn

from drumblender.types import Audio, Controls


class Synth(nn.Module, ABC):
    """Turns named controls into sound.

    Attributes:
        control_sizes: How many numbers a frame of each control holds. A control whose name ends in a
            unit (``freq_rad``) is given in that unit; any other is in (0, 1) and meets its ``Range``
            once, in here, or is linear where the class says so.
        control_frames: Frames that a control must have, for those that may not have any number: 1 for
            one value held through the sound. A control without an entry takes any number of frames,
            spread evenly over the sound.
        hears: The synth works on a sound given as ``source`` (the mix of the voices before it, the
            excitation of a string) and cannot play without it.
    """

    control_sizes: dict[str, int]
    control_frames: dict[str, int]
    hears: bool = False

    def __init__(self) -> None:
        super().__init__()
        self.control_frames = {}

    @abstractmethod
    def forward(self, controls: Controls, num_samples: int, source: Audio | None = None) -> Audio:
        """Render ``num_samples`` samples.

        Args:
            controls: A tensor ``(batch, frames, size)`` for every name in ``control_sizes``.
            num_samples: Length of the sound.
            source: What a synth that ``hears`` works on; the others ignore it.
        """

    def to_units(self, controls: Controls) -> Controls:
        """The same controls in real units, each under its name with the unit (``freq`` becomes ``freq_hz``).

        Controls that are already in their unit pass through; a synth with ranges overrides this.
        """
        return dict(controls)
