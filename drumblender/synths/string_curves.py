"""From the control frames of a string to its filters at every sample."""

from typing import NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor

from drumblender.dsp.all_pole import working_dtype
from drumblender.dsp.splines import spline_upsample
from drumblender.dsp.strings import constrain_loop_coefficients, share_out
from drumblender.dsp.units import Range, db_to_gain
from drumblender.types import Audio, Controls


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


def of_one_batch(controls: Controls, source: Audio | None) -> Controls:
    """The controls for every item, in the type that the recursions are computed in.

    Raises:
        ValueError: Controls and source have batches of different sizes, none of them 1.
    """
    lengths = {name: len(value) for name, value in controls.items()}
    lengths |= {} if source is None else {"source": len(source)}
    batch = max(lengths.values())
    if set(lengths.values()) - {1, batch}:
        raise ValueError(f"Controls and source have batches of different sizes: {lengths}.")
    dtype = working_dtype(controls["f0_hz"].device)
    return {name: value.to(dtype).expand(batch, -1, -1) for name, value in controls.items()}


def units_of(controls: Controls, gain: Range, burst_db: Range) -> Controls:
    """Finished coefficients at the frames; those of the loop sum to 1 and are multiplied by ``loop_gain``.

    Between frames, the logits follow another curve than these do.
    """
    loop_gain = gain.denormalize(inside(controls["loop_gain"]))
    excitation = share_out(inside(controls["excitation_taps"]), inside(controls["excitation_gain"]))
    units = {
        "f0_hz": controls["f0_hz"],
        "loop_coefficients": share_out(inside(controls["loop_taps"]), torch.ones_like(loop_gain)),
        "loop_gain": loop_gain,
        "excitation_coefficients": excitation,
    }
    if "burst" in controls:
        units["burst_db"] = burst_db.denormalize(controls["burst"])
    if "onset_s" in controls:
        units["onset_s"] = controls["onset_s"]
    return units


def inside(control: Tensor) -> Tensor:
    """Keep a control off 0 and 1, where a squashing network ends up by rounding."""
    tiny = torch.finfo(control.dtype).eps
    return control.clamp(tiny, 1 - tiny)


def _spread(period: Tensor, span: Span) -> Tensor:
    return spline_upsample(period, *span).squeeze(2)
