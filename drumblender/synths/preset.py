"""Presets: JSON files of named controls, in real units, with how far a mapper may move each."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor

from drumblender.atomic import read_json
from drumblender.dsp.units import Range
from drumblender.shipped import find_shipped
from drumblender.synths.base import Synth
from drumblender.synths.stacking import has_unit
from drumblender.types import Controls

_MOST = 3e38  # what float32 holds
_SLACK = 1e-6  # of a range: what rounding to decimals and back may add


class Preset(NamedTuple):
    """A synth's controls in (0, 1) as one row, what damps changes of each, and its other controls."""

    values: Float[Tensor, "1 params"]
    damping: Float[Tensor, "1 params"]
    held: Controls  # those that are given in real units, which nothing moves


def load_preset(path: str | Path, synth: Synth) -> Preset:
    """Read ``{"preset": {name: value}, "damping": {name: factor}}``; the order of names means nothing.

    Values are in real units for a synth that has a range for each control, and for controls whose name ends
    in a unit; else in (0, 1). A control with several numbers has a list of them, frame after frame, or one
    number for all. Damping is 1 where it is not given.

    Raises:
        FileNotFoundError: No such file, neither here nor among the presets of the package.
        ValueError: The file is no preset, or a name is missing, unknown, or out of its range.
    """
    found = Path(path) if Path(path).is_file() else find_shipped(str(path))
    if found is None:
        raise FileNotFoundError(f"No preset {path}.")
    try:
        content = read_json(found)
        values, damping = dict(content["preset"].items()), dict(content.get("damping", {}).items())
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise ValueError(f'{path} is no preset: expected {{"preset": {{...}}}} in JSON. {error}') from error
    if missing := sorted(set(synth.control_sizes) - set(values)):
        raise ValueError(f"{path} lacks {', '.join(missing)}.")
    if unknown := sorted((set(values) | set(damping)) - set(synth.control_sizes)):
        raise ValueError(
            f"{path} names {', '.join(unknown)}; {type(synth).__name__} has {', '.join(synth.control_sizes)}."
        )
    rows, factors, held = [], [], {}
    for name, size in synth.control_sizes.items():
        shape = synth.control_frames.get(name, 1), size
        numbers = _numbers(path, name, values[name], shape[0] * size)
        if has_unit(name):
            held[name] = numbers.view(1, *shape)
            continue
        rows.append(_normalized(path, name, numbers, synth))
        factors.append(_numbers(path, f"damping of {name}", damping.get(name, 1.0), len(numbers)))
    return Preset(torch.cat(rows)[None], torch.cat(factors)[None], held)


def save_preset(
    path: str | Path, values: Mapping[str, object], damping: Mapping[str, float] | None = None
) -> None:
    """Write values in real units, as :func:`load_preset` reads them."""
    content = {"preset": dict(values)} | ({"damping": dict(damping)} if damping else {})
    Path(path).write_text(json.dumps(content, indent=2) + "\n")


def _numbers(path: str | Path, name: str, value: object, count: int) -> Float[Tensor, "count"]:
    listed = value if isinstance(value, list) else [value] * count
    numbers = [number for number in listed if type(number) in (int, float) and abs(number) < _MOST]
    if len(listed) != count or len(numbers) < count:  # NaN is below nothing
        wanted = "a number" if count == 1 else f"{count} numbers"
        raise ValueError(f"{path}: {name} needs {wanted}, got {value!r:.60}.")
    return torch.tensor(listed, dtype=torch.float32)


def _normalized(path: str | Path, name: str, numbers: Float[Tensor, "count"], synth: Synth) -> Tensor:
    span: Range = getattr(synth, "ranges", {}).get(name, Range(0, 1))
    unit = span.normalize(numbers)
    if not bool(((unit >= -_SLACK) & (unit <= 1 + _SLACK)).all()):  # NaN is in no range either
        given = ", ".join(f"{number:g}" for number in numbers.tolist())
        raise ValueError(f"{path}: {name} is {given}; it goes from {span.low:g} to {span.high:g}.")
    return unit.clamp(0, 1)
