"""Which pitches a string plays."""

import logging
from typing import Literal

import torch
from jaxtyping import Float
from torch import Tensor

from drumblender.dsp.kernels import check_on_cuda, readable

log = logging.getLogger(__name__)

Unvoiced = Literal["error", "hold"]


class PlayablePitch:
    """Looks a pitch over before it is played, and counts the frames that are too low.

    Args:
        lowest_hz: Lower ones will be raised to it: they are counted, and logged once.
        limit_hz: Above all that a string plays.
        unvoiced: A frame with a pitch of 0 or NaN is an ``error``, or must ``hold`` the one before it.
    """

    def __init__(self, lowest_hz: float, limit_hz: float, unvoiced: Unvoiced) -> None:
        self.lowest_hz, self.limit_hz, self.unvoiced = lowest_hz, limit_hz, unvoiced
        self.clamped_frames = 0

    def __call__(self, f0_hz: Float[Tensor, "batch frames 1"]) -> Float[Tensor, "batch frames 1"]:
        if self.unvoiced == "hold":
            f0_hz = hold_unvoiced(f0_hz)
        check_on_cuda(f0_hz, 0.0, self.limit_hz, "A pitch of a string is NaN or out of its range.")
        if not readable(f0_hz):
            return f0_hz
        lowest = check_pitch(f0_hz, self.limit_hz)
        if lowest < self.lowest_hz:
            if not self.clamped_frames:
                log.warning(
                    "A pitch of %.2f Hz is below the lowest of this string, %.2f Hz, and is raised to it; "
                    "set min_f0_hz lower to play it. Said once.",
                    lowest,
                    self.lowest_hz,
                )
            self.clamped_frames += int((f0_hz < self.lowest_hz).sum())
        return f0_hz


def hold_unvoiced(f0_hz: Float[Tensor, "batch frames 1"]) -> Float[Tensor, "batch frames 1"]:
    """Give a frame without a pitch (0, NaN) the one before it; those at the start get the first there is."""
    voiced = (f0_hz > 0) & f0_hz.isfinite()
    if readable(voiced) and not voiced.any(dim=1).all():
        item = int((~voiced.any(dim=1)).flatten().nonzero()[0])
        raise ValueError(f"Item {item} has no frame with a pitch, so there is none to hold.")
    frames = torch.arange(f0_hz.shape[1], device=f0_hz.device)[:, None]
    latest = torch.where(voiced, frames, -1).cummax(dim=1).values
    first = voiced.int().argmax(dim=1, keepdim=True)
    return f0_hz.gather(1, torch.where(latest < 0, first, latest))


def check_pitch(f0_hz: Float[Tensor, "batch frames 1"], limit_hz: float) -> float:
    """The lowest pitch.

    Raises:
        ValueError: A pitch is NaN, or not between 0 and the limit.
    """
    lowest, highest = (bound.item() for bound in f0_hz.detach().aminmax())  # NaN where one is
    if not 0 < lowest <= highest < limit_hz:
        item, frame, _ = (~((f0_hz > 0) & (f0_hz < limit_hz))).nonzero()[0].tolist()
        raise ValueError(
            f"f0_hz of item {item} at frame {frame} is {f0_hz[item, frame, 0].item():.6g}; a string plays "
            f"between 0 and {limit_hz} Hz. unvoiced='hold' fills frames without a pitch."
        )
    return lowest
