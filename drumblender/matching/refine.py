"""Takes controls that a model found for one sound further, by descent on that sound alone."""

from collections.abc import Callable, Mapping
from typing import NamedTuple

import torch
from torch import Tensor, nn

from drumblender.types import Audio, Controls

_BETAS = (0.8, 0.98)  # noise is new in each step, and there are some fifty steps


class Refined(NamedTuple):
    """What refinement found.

    Attributes:
        controls: All that were given; those that moved are new tensors.
        losses: Of every step, before it; the first is the start's.
    """

    controls: Controls
    losses: list[float]


def refine(
    controls: Controls,
    play: Callable[[Controls], Audio],
    target: Audio,
    loss: nn.Module,
    *,
    step_sizes: Mapping[str, float],
    steps: int = 50,
) -> Refined:
    """Move some controls, so that they sound more like the target.

    By Adam, whose steps fall on a line from twice their size to none, with a memory as short as the descent.
    Let ``play`` draw fresh noise at each call: then the levels are fitted and not the draw, and hold for any
    other noise.

    Args:
        controls: Where to start.
        play: Renders controls as long as the target; differentiable.
        target: What to sound like.
        loss: Module ``(prediction, target) -> scalar``.
        step_sizes: Of the controls that may move, by name, in their own unit; the mean over the descent.
        steps: How often to step.

    Raises:
        ValueError: Nothing may move, a name that is no control, or a size or count that is not above 0.

    Examples:
        >>> from drumblender.losses import BandLoss
        >>> from drumblender.synths import StftNoiseSynth
        >>> synth = StftNoiseSynth(16000, num_bands=16, n_fft=256, hop_length=64)
        >>> target = synth({"level_db": torch.full((1, 1, 16), -20.0)}, 8000)
        >>> start = {"level_db": torch.full((1, 1, 16), -26.0)}
        >>> play = lambda controls: synth(controls, 8000)
        >>> found = refine(start, play, target, BandLoss(16000), step_sizes={"level_db": 0.5})
        >>> bool(found.losses[-1] < 0.6 * found.losses[0])
        True
    """
    if unknown := sorted(set(step_sizes) - set(controls)):
        raise ValueError(f"There is no control {', '.join(unknown)}, only {', '.join(sorted(controls))}.")
    if not step_sizes or steps < 1 or min(step_sizes.values()) <= 0:
        raise ValueError(
            f"Need a control to move, a step and sizes above 0, got {steps=}, {dict(step_sizes)}."
        )
    moved = {name: controls[name].detach().clone().requires_grad_() for name in step_sizes}
    groups = [{"params": [moved[name]], "lr": size} for name, size in step_sizes.items()]
    optimizer = torch.optim.Adam(groups, betas=_BETAS)
    falling = torch.optim.lr_scheduler.LambdaLR(optimizer, lambda step: 2 * (1 - step / steps))
    losses: list[float] = []
    for _ in range(steps):
        optimizer.zero_grad()
        distance: Tensor = loss(play(controls | moved), target)
        distance.backward()
        optimizer.step()
        falling.step()
        losses.append(distance.item())
    return Refined(controls | {name: value.detach() for name, value in moved.items()}, losses)
