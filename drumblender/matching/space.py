"""What a search may turn: numbers in (0, 1), and the controls that they stand for."""

import math
from collections.abc import Mapping
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from drumblender.controllers.base import module_key
from drumblender.controllers.free import FreeControls
from drumblender.dsp.units import Range
from drumblender.synths.base import Synth, has_unit
from drumblender.synths.stacking import stack, stacked_size, unstack
from drumblender.types import Controls

RANGES = {"freq_rad": Range(0.002, 3.14, log=True), "phase_rad": Range(-math.pi, math.pi)}
"""Where controls in a unit are looked for unless a search says otherwise, by the end of their name."""

_MARGIN = 1e-3  # from 0 and 1: a start on the edge would have no gradient


@dataclass(frozen=True)
class Around:
    """A region in proportion to a first guess.

    Args:
        guess: ``(1, frames, size)``, above 0.
        cents: How far to look on either side.
    """

    guess: Float[Tensor, "1 frames size"]
    cents: float

    def denormalize(self, unit: Float[Tensor, "batch frames size"]) -> Float[Tensor, "batch frames size"]:
        """From (0, 1): 1/2 is the guess."""
        return self.guess.to(unit) * torch.exp2((2 * unit - 1) * self.cents / 1200)

    def normalize(self, value: Float[Tensor, "batch frames size"]) -> Float[Tensor, "batch frames size"]:
        """Back to (0, 1)."""
        return (torch.log2(value / self.guess.to(value)) * 1200 / self.cents + 1) / 2


@dataclass(frozen=True)
class Within:
    """Part of the range of a control that is played in (0, 1).

    Args:
        part: Where to look, in the control's unit.
        whole: What the synth makes of (0, 1).
    """

    part: Range
    whole: Range

    def denormalize(self, unit: Float[Tensor, "batch frames size"]) -> Float[Tensor, "batch frames size"]:
        """From (0, 1) of the part to (0, 1) of the whole."""
        return self.whole.normalize(self.part.denormalize(unit))

    def normalize(self, value: Float[Tensor, "batch frames size"]) -> Float[Tensor, "batch frames size"]:
        """Back; what lies outside of the part lies outside of (0, 1)."""
        return self.part.normalize(self.whole.denormalize(value))


class SearchSpace:
    """The controls of a synth that a search turns, and those it leaves alone.

    Args:
        synth: What will play them.
        frames: Frames of a control that may have any number: one count for all, or one for some names and
            the count under ``""`` for the others.
        fixed: Controls that are given, ``(1, frames, size)``, as the synth takes them.
        regions: Where to look, in the unit of the control; names as in ``frames`` are with or without it.
            :data:`RANGES` holds some of controls that the synth takes in a unit.

    Attributes:
        bounded: Controls that were given a region.

    Raises:
        ValueError: A name is unknown or a shape does not fit; a control in a unit is neither fixed nor has a
            region; a region reaches beyond its control; nothing is left to search.

    Examples:
        >>> from drumblender.synths import SimpleDrumSynth
        >>> space = SearchSpace(SimpleDrumSynth(44100), 1, regions={"osc.freq_hz": Range(50, 80)})
        >>> played = space.controls({name: torch.ones(1, 1, 1) for name in space.names})
        >>> space.synth.to_units(played)["osc.freq_hz"].item()
        80.0
    """

    def __init__(
        self,
        synth: Synth,
        frames: int | Mapping[str, int] = 32,
        fixed: Controls | None = None,
        regions: Mapping[str, Range | Around] | None = None,
    ) -> None:
        fixed, sizes = dict(fixed or {}), synth.control_sizes
        known = {synth.unit_name(name): name for name in sizes}
        given = list(regions or {})
        regions = {known.get(name, name): region for name, region in (regions or {}).items()}
        if len(regions) < len(given):
            raise ValueError(f"A control is named twice, with and without its unit: {', '.join(given)}.")
        counts = {"": frames} if isinstance(frames, int) else {"": 32} | dict(frames)
        counts = {known.get(name, name): count for name, count in counts.items()}
        if unknown := sorted((set(fixed) | set(regions) | set(counts) - {""}) - set(sizes)):
            raise ValueError(f"No control {', '.join(unknown)}; the synth has {', '.join(sizes)}.")
        for name, value in fixed.items():
            wanted = synth.control_frames.get(name, value.shape[1] if value.ndim == 3 else "any")
            if tuple(value.shape) != (1, wanted, sizes[name]):
                shape = tuple(value.shape)
                raise ValueError(f"Control {name} is (1, {wanted}, {sizes[name]}), got {shape}.")
        self.synth, self.names, self.fixed = synth, list(sizes), fixed
        self.sizes = {name: size for name, size in sizes.items() if name not in fixed}
        self.frames = {
            name: synth.control_frames.get(name, counts.get(name, counts[""])) for name in self.sizes
        }
        if not self.sizes:
            raise ValueError("Every control is fixed: there is nothing to search.")
        self.bounded = sorted(set(regions) - set(fixed))
        self.regions = {
            name: region_of(synth, name, regions[name]) if name in regions else _usual_region(name)
            for name in self.sizes
        }

    def controls(self, unit: Controls) -> Controls:
        """What the synth is played with, for searched controls in (0, 1)."""
        batch = len(next(iter(unit.values())))
        found = dict(unit)
        for name, region in self.regions.items():
            if region is not None:
                found[name] = region.denormalize(unit[name])
        like = next(iter(found.values()))
        return {
            name: found[name] if name in found else self.fixed[name].to(like).expand(batch, -1, -1)
            for name in self.names
        }

    def unit(self, controls: Controls) -> Controls:
        """The searched part of controls, back in (0, 1); frames are joined by lines where counts differ.

        Raises:
            ValueError: A searched control is missing or of another size.
        """
        found = {}
        for name, size in self.sizes.items():
            if name not in controls or controls[name].ndim != 3 or controls[name].shape[2] != size:
                given = tuple(controls[name].shape) if name in controls else "nothing"
                raise ValueError(f"Control {name} is (batch, frames, {size}), got {given}.")
            region, value = self.regions[name], controls[name].float()
            if value.shape[1] != self.frames[name]:
                value = torch.nn.functional.interpolate(
                    value.mT, self.frames[name], mode="linear", align_corners=True
                ).mT
            found[name] = (value if region is None else region.normalize(value)).clamp(0, 1)
        return found

    def free(
        self, count: int, generator: torch.Generator, start: Controls | None = None, jitter: float = 0.5
    ) -> FreeControls:
        """Controls of ``count`` sounds to search from.

        Args:
            count: Sounds.
            generator: Makes the draws.
            start: Searched controls in (0, 1) of the first sounds. The others are the same over again, moved
                by noise. Without it all are drawn evenly from (0, 1) and held over their frames, because what
                starts rough stays rough; a control with a guess starts there.
            jitter: Standard deviation of that noise, on logits.
        """
        free = FreeControls(init="constant", scale=0.0, num_sounds=count)
        free.hold(self.sizes, self.frames)
        with torch.no_grad():
            for name in self.sizes:
                logits = free.params[module_key(name)]
                shape = logits.shape
                if start is None:
                    drawn = torch.rand((count, 1, shape[2]), generator=generator)
                    drawn = drawn.logit(eps=_MARGIN)
                    drawn = drawn * (not isinstance(self.regions[name], Around))
                else:
                    known = start[name].cpu().logit(eps=1e-6)
                    noise = jitter * torch.randn(shape, generator=generator)
                    noise[: len(known)] = 0
                    drawn = known[torch.arange(count) % len(known)] + noise
                logits.copy_(drawn)
        return free

    @property
    def num_genes(self) -> int:
        """Numbers that a search turns."""
        return stacked_size(self.sizes, self.frames)

    def genes(self, free: FreeControls) -> Float[Tensor, "sounds genes"]:
        """Logits of all controls as rows, in the order of the synth."""
        logits = {name: free.params[module_key(name)].detach() for name in self.sizes}
        return stack(logits, self.sizes, self.frames)

    def from_genes(self, genes: Float[Tensor, "sounds genes"]) -> Controls:
        """Searched controls in (0, 1) from rows of logits."""
        return {name: value.sigmoid() for name, value in unstack(genes, self.sizes, self.frames).items()}


def region_of(synth: Synth, name: str, region: Range | Around) -> Range | Around | Within:
    """A region in the unit of a control, as the synth takes the control.

    Raises:
        ValueError: It reaches beyond the control.
    """
    whole = synth.ranges.get(name)
    if isinstance(region, Around) or (whole is None and (has_unit(name) or name in synth.linear)):
        return region
    reach = whole or Range(0, 1)
    if region.low < reach.low or region.high > reach.high:
        raise ValueError(
            f"{synth.unit_name(name)} is to be looked for from {region.low:g} to {region.high:g}; it goes "
            f"from {reach.low:g} to {reach.high:g}."
        )
    return Within(region, reach)


def _usual_region(name: str) -> Range | None:
    """Where a control in a unit is looked for; None for one in (0, 1)."""
    for ending, region in RANGES.items():
        if name.endswith(ending):
            return region
    if has_unit(name):
        raise ValueError(
            f"Control {name} is in a unit, so a search needs its value or the range to look in: "
            f"--fix {name}=VALUE or --range {name}=LOW:HIGH."
        )
    return None
