"""All controls of a synth in one vector, and back: what a mapper moves and a preset stores."""

from collections.abc import Mapping

import torch
from jaxtyping import Float
from torch import Tensor

from drumblender.types import Controls


def stacked_size(control_sizes: Mapping[str, int], control_frames: Mapping[str, int]) -> int:
    """Length of the vector; a control that may have any number of frames has one."""
    return sum(size * control_frames.get(name, 1) for name, size in control_sizes.items())


def stack(
    controls: Controls, control_sizes: Mapping[str, int], control_frames: Mapping[str, int]
) -> Float[Tensor, "batch params"]:
    """Join controls in the order of ``control_sizes``, whatever their own order.

    Raises:
        ValueError: A control is missing, or has another shape than the synth declares.
    """
    parts = []
    for name, size in control_sizes.items():
        shape = (control_frames.get(name, 1), size)
        value = controls.get(name)
        if not isinstance(value, Tensor) or value.shape[1:] != shape:
            given = tuple(value.shape) if isinstance(value, Tensor) else "nothing" if value is None else value
            raise ValueError(f"Control {name} needs shape (batch, {shape[0]}, {size}), got {given}.")
        parts.append(controls[name].flatten(1))
    batch = max(len(part) for part in parts)
    return torch.cat([part.expand(batch, -1) for part in parts], dim=1)


def unstack(
    params: Float[Tensor, "batch params"], control_sizes: Mapping[str, int], control_frames: Mapping[str, int]
) -> Controls:
    """Cut a vector into the controls that it stacks.

    Raises:
        ValueError: The vector has another length than the controls together.
    """
    expected = stacked_size(control_sizes, control_frames)
    if params.shape[-1] != expected:
        raise ValueError(f"The synth has {expected} parameters, got {params.shape[-1]}.")
    shapes = {name: (control_frames.get(name, 1), size) for name, size in control_sizes.items()}
    parts = params.split([frames * size for frames, size in shapes.values()], dim=-1)
    return {
        name: part.unflatten(-1, shape) for (name, shape), part in zip(shapes.items(), parts, strict=True)
    }
