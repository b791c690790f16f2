"""Presets: JSON files of named controls, in real units, with how far a mapper may move each."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor

from drumblender.atomic import read_json
from drumblender.shipped import find_shipped
from drumblender.synths.base import Synth, has_unit
from drumblender.types import Controls

_MOST = 3e38  # what float32 holds
_SLACK = 1e-6  # of a range: what rounding to decimals and back may add


class Preset(NamedTuple):
    """A synth's controls in (0, 1) as one row, what damps changes of each, and its other controls."""

    values: Float[Tensor, "1 params"]
    damping: Float[Tensor, "1 params"]
    held: Controls  # those that are given in real units, which nothing moves


def load_preset(path: str | Path, synth: Synth) -> Preset:
    """Read a preset as what a mapper moves: one frame of each control that may have any number.

    Damping is 1 where it is not given.

    Raises:
        FileNotFoundError, ValueError: As :func:`load_controls`; or a control moves from frame to frame.
    """
    controls, content = load_controls(path, synth), _read(path)
    damping = _section(path, content, "damping", synth) if "damping" in content else {}
    rows, factors, held = [], [], {}
    for name, value in controls.items():
        if value.shape[1] != synth.control_frames.get(name, 1):
            raise ValueError(
                f"{path}: {name} has {value.shape[1]} frames; a mapper moves presets that are held."
            )
        if has_unit(name):
            held[name] = value
            continue
        rows.append(value.flatten())
        factor = _frames(path, f"damping of {name}", damping.get(name, 1.0), *value.shape[1:])
        if not factor.isfinite().all():
            raise ValueError(f"{path}: damping of {name} is {factor.flatten()[0].item()}; it is finite.")
        factors.append(factor.flatten())
    return Preset(torch.cat(rows)[None], torch.cat(factors)[None], held)


def load_controls(path: str | Path, synth: Synth) -> Controls:
    """Read ``{"preset": {name: value}}`` as a synth is played: ``(1, frames, size)`` by name.

    The order of names means nothing; a control may be called as it is (``freq``) or as its unit says
    (``freq_hz``). Values are in real units for controls that have a range or are in a unit, else as the synth
    takes them: one number for all of the control, a list of its numbers (frame after frame, where it has a
    certain number of frames), or a list of frames.

    Raises:
        FileNotFoundError: No such file, neither here nor among the presets of the package.
        ValueError: The file is no preset, or a name is missing, unknown, or out of its range.

    Examples:
        >>> from drumblender.synths import Snare808
        >>> controls = load_controls("cfg/presets/808_snare_1.json", Snare808(44100))
        >>> len(controls), controls["osc1.freq"].shape
        (14, torch.Size([1, 1, 1]))
    """
    values = _section(path, _read(path), "preset", synth)
    if missing := sorted(set(synth.control_sizes) - set(values)):
        raise ValueError(f"{path} lacks {', '.join(missing)}.")
    return controls_of(values, synth, source=path)


def controls_of(values: Mapping[str, object], synth: Synth, *, source: str | Path) -> Controls:
    """Some or all controls, ``(1, frames, size)`` as the synth takes them, from values as in a preset.

    Args:
        values: By the names of the controls, with or without their unit.
        synth: What they are for.
        source: The file or the option that they come from, for messages.

    Raises:
        ValueError: A name is unknown, or a value does not fit or is out of its range.

    >>> from drumblender.synths import NoiseSynth
    >>> from drumblender.dsp.units import Range
    >>> synth = NoiseSynth(2, 64, level_db=Range(-80, 0))
    >>> controls_of({"level_db": -20}, synth, source="--fix")
    {'level': tensor([[[0.7500, 0.7500]]])}
    """
    named = _section(source, {"preset": dict(values)}, "preset", synth)
    controls = {}
    for name, size in synth.control_sizes.items():
        if name in named:
            numbers = _frames(source, name, named[name], synth.control_frames.get(name), size)
            controls[name] = numbers if has_unit(name) else _normalized(source, name, numbers, synth)
    return controls


def save_preset(
    path: str | Path, synth: Synth, controls: Controls, damping: Mapping[str, float] | None = None
) -> None:
    """Write the first sound of ``controls`` in real units, as :func:`load_preset` reads it.

    Raises:
        ValueError: A control is missing or has another shape.

    Examples:
        >>> from drumblender.synths import SimpleDrumSynth
        >>> drum = SimpleDrumSynth(44100)
        >>> controls = {name: torch.full((1, 1, 1), 0.5) for name in drum.control_sizes}
        >>> save_preset("kick.json", drum, controls)
        >>> torch.allclose(load_controls("kick.json", drum)["osc.freq"], controls["osc.freq"])
        True
    """
    synth.check(controls)
    listed = {name: listed_frames(value) for name, value in real_units(synth, controls).items()}
    content = {"preset": listed} | ({"damping": dict(damping)} if damping else {})
    Path(path).write_text(json.dumps(content, indent=2) + "\n")


def real_units(synth: Synth, controls: Controls) -> Controls:
    """The synth's controls, each under its own name and in the unit of its range."""
    return {
        name: synth.ranges[name].denormalize(controls[name]) if name in synth.ranges else controls[name]
        for name in synth.control_sizes
    }


def listed_frames(value: Float[Tensor, "batch frames size"]) -> float | list[float] | list[list[float]]:
    """The first sound's numbers as :func:`load_controls` reads them, without lists of one."""
    rows = [[float(f"{number:.9g}") for number in row] for row in value[0].detach().float().cpu().tolist()]
    if len(rows) > 1:
        return rows
    return rows[0][0] if len(rows[0]) == 1 else rows[0]


def _read(path: str | Path) -> dict[str, object]:
    found = Path(path) if Path(path).is_file() else find_shipped(str(path))
    if found is None:
        raise FileNotFoundError(f"No preset {path}.")
    try:
        content = read_json(found)
    except ValueError as error:
        raise ValueError(f'{path} is no preset: expected {{"preset": {{...}}}} in JSON. {error}') from error
    if not isinstance(content, dict) or "preset" not in content:
        raise ValueError(f'{path} is no preset: expected {{"preset": {{...}}}} in JSON.')
    return content


def _section(path: str | Path, content: dict[str, object], section: str, synth: Synth) -> dict[str, object]:
    """Values by the names of the synth's controls."""
    values = content[section]
    if not isinstance(values, dict):
        raise ValueError(f"{path}: {section} holds names and values, got {type(values).__name__}.")
    known = {synth.unit_name(name): name for name in synth.control_sizes}
    named = {known.get(name, name): value for name, value in values.items()}
    if unknown := sorted(set(named) - set(synth.control_sizes)):
        raise ValueError(
            f"{path} names {', '.join(unknown)}; {type(synth).__name__} has {', '.join(synth.control_sizes)}."
        )
    if len(named) < len(values):
        raise ValueError(f"{path}: {section} names a control twice, with and without its unit.")
    return named


def _frames(
    path: str | Path, name: str, value: object, frames: int | None, size: int
) -> Float[Tensor, "1 frames size"]:
    """The numbers of a control, for every frame that it must have."""
    nested = isinstance(value, list) and value and all(isinstance(row, list) for row in value)
    rows = value if nested else None
    flat = [number for row in rows for number in row] if rows is not None else value
    flat = flat if isinstance(flat, list) else [flat] * ((frames or 1) * size)
    count = len(rows) if rows is not None and frames is None else frames or 1
    numbers = all(type(number) in (int, float) for number in flat)
    if not numbers or len(flat) != count * size or any(len(row) != size for row in rows or []):
        wanted = "a number" if count * size == 1 else f"{count * size} numbers"
        raise ValueError(f"{path}: {name} needs {wanted}, got {str(value)[:80]}.")
    return torch.tensor(flat, dtype=torch.float32).view(1, count, size)


def _normalized(path: str | Path, name: str, numbers: Tensor, synth: Synth) -> Tensor:
    span = synth.ranges.get(name)
    if span is None:  # linear, of any sign and size: only what has a range has bounds
        return numbers
    unit = span.normalize(numbers)
    if not bool(((unit >= -_SLACK) & (unit <= 1 + _SLACK)).all()):  # NaN is in no range either
        given = ", ".join(f"{number:g}" for number in numbers.flatten()[:4].tolist())
        raise ValueError(f"{path}: {name} is {given}; it goes from {span.low:g} to {span.high:g}.")
    return unit.clamp(0, 1)
