"""What every synth is."""

from abc import ABC, abstractmethod
from collections.abc import Mapping

import torch
from jaxtyping import Float
from torch import Tensor, nn

from drumblender.dsp.units import Range
from drumblender.types import Audio, Controls

_UNITS = ("_hz", "_rad", "_midi", "_db", "_s", "_ms", "_samples", "_frames")


def has_unit(name: str) -> bool:
    """Whether a control is given in real units instead of in (0, 1): its name ends in one.

    Examples:
        >>> has_unit("f0_hz"), has_unit("osc1.freq")
        (True, False)
    """
    return name.endswith(_UNITS)


def check_controls(
    player: str,
    controls: Controls,
    sizes: Mapping[str, int | None],
    frames: Mapping[str, int] | None = None,
) -> None:
    """Make sure that there is every control, as ``(batch, frames, size)``.

    Args:
        player: Who needs them, for the message.
        controls: What there is.
        sizes: Size of each control that must be there; None where any size will do.
        frames: Frames of those that must have a certain number.

    Raises:
        ValueError: A control is missing or has another shape.
    """
    for name, size in sizes.items():
        shape = None if name not in controls else tuple(controls[name].shape)
        wanted = (frames or {}).get(name)
        fits = shape is not None and len(shape) == 3 and 0 not in shape
        if not fits or (wanted or shape[1], size or shape[2]) != shape[1:]:
            raise ValueError(
                f"Control {name} of {player} needs shape (batch, {wanted or 'frames'}, {size or 'size'}), "
                f"got {shape or 'nothing'}."
            )


class Synth(nn.Module, ABC):
    """Turns named controls into sound.

    Attributes:
        control_sizes: How many numbers a frame of each control holds. A control whose name ends in a
            unit (``freq_rad``) is given in that unit; any other is in (0, 1) and meets its ``Range``
            once, in here, or is one of ``linear``.
        control_frames: Frames that a control must have, for those that may not have any number: 1 for
            one value held through the sound. A control without an entry takes any number of frames,
            spread evenly over the sound.
        ranges: What (0, 1) stands for, for the controls that have a range.
        units: The unit of those ranges, as a name ends in it (``hz``); a range of plain numbers has none.
        linear: Controls that may have any sign and size, such as gains, and need not stay in (0, 1).
        sample_rate: Samples per second; None for a synth that plays the same at any rate.
        needs_source: The synth works on a sound given as ``source`` (the mix of the voices before it, the
            excitation of a string) and cannot play without it.
        takes_noise: ``forward`` takes the white noise that it would draw as ``noise``.

    Examples:
        >>> class Sine(Synth):
        ...     def __init__(self):
        ...         super().__init__()
        ...         self.control_sizes, self.sample_rate = {"freq": 1}, 16000
        ...         self.ranges, self.units = {"freq": Range(20, 2000, log=True)}, {"freq": "hz"}
        ...
        ...     def forward(self, controls, num_samples, source=None):
        ...         freq_hz = self.to_units(controls)["freq_hz"][:, 0]
        ...         return torch.sin(2 * torch.pi * freq_hz / self.sample_rate * torch.arange(num_samples))
        >>> sine = Sine()
        >>> sine(sine.from_units({"freq": 440.0}), num_samples=100).shape
        torch.Size([1, 100])
    """

    control_sizes: dict[str, int]
    control_frames: dict[str, int]
    ranges: dict[str, Range]
    units: dict[str, str]
    linear: tuple[str, ...] = ()
    sample_rate: int | None = None
    needs_source: bool = False
    takes_noise: bool = False

    def __init__(self) -> None:
        super().__init__()
        self.control_sizes, self.control_frames = {}, {}
        self.ranges, self.units = {}, {}

    @abstractmethod
    def forward(self, controls: Controls, num_samples: int, source: Audio | None = None) -> Audio:
        """Render ``num_samples`` samples.

        Args:
            controls: A tensor ``(batch, frames, size)`` for every name in ``control_sizes``.
            num_samples: Length of the sound.
            source: What a synth that ``needs_source`` works on; the others ignore it.
        """

    def check(self, controls: Controls) -> None:
        """Make sure that there is every control, in its shape.

        Raises:
            ValueError: A control is missing or has another shape.
        """
        check_controls(type(self).__name__, controls, self.control_sizes, self.control_frames)

    def to_units(self, controls: Controls) -> Controls:
        """The same controls in real units, each under its name with the unit (``freq`` becomes ``freq_hz``).

        Controls without a range pass through.
        """
        return {
            self.unit_name(name): self.ranges[name].denormalize(value) if name in self.ranges else value
            for name, value in controls.items()
        }

    def from_units(self, values: Mapping[str, float | Tensor]) -> Controls:
        """Controls from real units, under the names of the controls or those that :meth:`to_units` gives.

        Values beyond a range give controls beyond (0, 1).

        Args:
            values: Numbers, tensors ``(batch,)`` of controls with one number, or ``(batch, frames, size)``.

        Raises:
            ValueError: A control is missing, unknown or has another shape, or a value that no control stands
                for: not a number, or below 0 in a range of ratios.
        """
        known = {self.unit_name(name): name for name in self.control_sizes}
        named = {known.get(name, name): value for name, value in values.items()}
        if wrong := sorted(set(named) ^ set(self.control_sizes)):
            raise ValueError(
                f"{', '.join(wrong)}: {type(self).__name__} has {', '.join(self.control_sizes)}."
            )
        shaped = {name: self._shaped(name, value) for name, value in named.items()}
        rows = max((len(value) for value in shaped.values()), default=1)
        controls = {
            name: (self.ranges[name].normalize(shaped[name]) if name in self.ranges else shaped[name]).expand(
                rows, -1, -1
            )
            for name in self.control_sizes
        }
        self.check(controls)
        if lost := [name for name, value in controls.items() if value.isnan().any()]:
            raise ValueError(f"{lost[0]} of {type(self).__name__} cannot be {named[lost[0]]}.")
        return controls

    def unit_name(self, name: str) -> str:
        """What a control is called in real units."""
        unit = self.units.get(name)
        return f"{name}_{unit}" if unit else name

    def extra_repr(self) -> str:
        """Rate, controls and what they reach, for ``print(synth)``."""
        rate = [] if self.sample_rate is None else [f"sample_rate={self.sample_rate}"]
        shown = []
        for name, size in self.control_sizes.items():
            span, unit = self.ranges.get(name), self.units.get(name, "")
            reach = "" if span is None else f" {span.low:g} to {span.high:g} {unit}".rstrip()
            shown.append(f"{name}: ({self.control_frames.get(name, 'frames')}, {size}){reach}")
        return ", ".join([*rate, *shown])

    def _shaped(self, name: str, value: float | Tensor) -> Float[Tensor, "batch frames size"]:
        given = torch.as_tensor(value, dtype=torch.float32)
        if given.ndim == 3:
            return given
        shape = self.control_frames.get(name, 1), self.control_sizes[name]
        return given.reshape(-1, 1, 1).expand(-1, *shape)
