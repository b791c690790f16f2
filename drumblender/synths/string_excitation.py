"""What enters the loop of a string: bursts of noise, or what a recording leaves."""

from typing import NamedTuple

from jaxtyping import Float, Int
from torch import Tensor

from drumblender.dsp.all_pole import Kernel, all_pole, sparse_all_pole_inverse, windowed_all_pole
from drumblender.dsp.windows import Starts, keep_windows
from drumblender.synths.string_curves import WindowCurves
from drumblender.types import Audio


class StringSignals(NamedTuple):
    """What a string played, and what went into it."""

    audio: Audio  # at the outer rate
    excitation: Float[Tensor, "batch internal_samples"]  # what enters the loop, at the internal rate
    residual: Float[Tensor, "batch internal_samples"] | None  # after both inverse filters; on request


def bursts(
    noise: Float[Tensor, "windows window"], windows: WindowCurves, kernel: Kernel
) -> Float[Tensor, "batch windows window"]:
    """The burst of each window at its level, through the excitation filter."""
    levelled = (windows.burst * noise.to(windows.burst).T).transpose(1, 2)
    poles = windows.poles.repeat_interleave(levelled.shape[1], dim=0)
    return all_pole(levelled.flatten(0, 1), poles, kernel=kernel).view_as(levelled)


def what_is_left(
    heard: Float[Tensor, "batch samples"],
    lag: Int[Tensor, "batch samples"],
    taps: Float[Tensor, "batch samples taps"],
    windows: WindowCurves,
    starts: Starts,
    with_residual: bool = False,
) -> tuple[Float[Tensor, "batch samples"], Float[Tensor, "batch samples"] | None]:
    """What the inverse loop leaves of a recording, in the windows; on request, what both inverses leave.

    The excitation filter does not come in: it would undo its own inverse here, sample for sample.
    """
    whitened = sparse_all_pole_inverse(heard, lag, taps)
    excitation = keep_windows(whitened, starts, windows.poles.shape[1])
    residual = windowed_all_pole(whitened, windows.poles, starts, inverse=True) if with_residual else None
    return excitation, residual
