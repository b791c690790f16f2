"""From the control frames of a string to its filters at every sample."""

from typing import NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor

from drumblender.dsp.kernels import read_along
from drumblender.dsp.splines import spline_upsample
from drumblender.dsp.strings import constrain_loop_coefficients, share_out
from drumblender.dsp.units import Range, db_to_gain
from drumblender.types import Controls


class Span(NamedTuple):
    """``count`` samples from ``first`` on, of ``num_samples`` that the frames are spread over."""

    num_samples: int
    first: int
    count: int


class LoopCurves(NamedTuple):
    """The loop of a string at every sample of the internal rate."""

    period: Float[Tensor, "batch samples"]
    coefficients: Float[Tensor, "batch samples taps"]


class WindowCurves(NamedTuple):
    """What shapes the excitation at every sample of a window."""

    poles: Float[Tensor, "batch window order"]
    burst: Float[Tensor, "batch window windows"] | None  # linear level


def loop_from_controls(controls: Controls, period: Tensor, span: Span, gain: Range) -> LoopCurves:
    """Join logits by splines, then squash and share out: the published audio path."""
    taps = spline_upsample(torch.logit(inside(controls["loop_taps"])), *span)
    total = spline_upsample(torch.logit(inside(controls["loop_gain"])), *span)
    return LoopCurves(_spread(period, span), constrain_loop_coefficients(taps, total, gain.low, gain.high))


def windows_from_controls(controls: Controls, window: int, burst_db: Range) -> WindowCurves:
    """The same for the excitation, over one window."""
    names = [name for name in ("excitation_taps", "excitation_gain", "burst") if name in controls]
    curves = {
        name: torch.sigmoid(spline_upsample(torch.logit(inside(controls[name])), window)) for name in names
    }
    burst = db_to_gain(burst_db.denormalize(curves["burst"])) if "burst" in curves else None
    return WindowCurves(share_out(curves["excitation_taps"], curves["excitation_gain"]), burst)


def loop_from_units(units: Controls, period: Tensor, span: Span) -> LoopCurves:
    """Join finished coefficients by splines and clip them to [0, 1]: the published synthetic strings."""
    gain = spline_upsample(units["loop_gain"], *span).clamp(0, 1)
    loop = spline_upsample(units["loop_coefficients"], *span).clamp(0, 1)
    return LoopCurves(_spread(period, span), gain * loop)


def windows_from_units(units: Controls, window: int) -> WindowCurves:
    """The same for the excitation, over one window."""
    burst = db_to_gain(spline_upsample(units["burst_db"], window)) if "burst_db" in units else None
    return WindowCurves(spline_upsample(units["excitation_coefficients"], window).clamp(0, 1), burst)


def inside(control: Tensor) -> Tensor:
    """Keep a control off 0 and 1, where a squashing network ends up by rounding."""
    tiny = torch.finfo(control.dtype).eps
    return control.clamp(tiny, 1 - tiny)


def hold_unvoiced(f0_hz: Float[Tensor, "batch frames 1"]) -> Float[Tensor, "batch frames 1"]:
    """Give a frame without a pitch (0, NaN) the one before it; those at the start get the first there is."""
    voiced = (f0_hz > 0) & f0_hz.isfinite()
    if not read_along() and not voiced.any(dim=1).all():
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


def _spread(period: Tensor, span: Span) -> Tensor:
    return spline_upsample(period, *span).squeeze(2)
