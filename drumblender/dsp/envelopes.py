"""From frames to samples."""

from typing import Literal

import numpy as np
import torch
from jaxtyping import Float, Int64
from torch import Tensor
from torch.nn import functional as F

from drumblender.dsp.precision import in_full_precision
from drumblender.dsp.tables import placed, table

Align = Literal["center", "hop"]
"""Where T frames lie in N samples. ``center``: each in the middle of its share, so the first reaches half
a share into the sound before anything moves. ``hop``: frame t at sample ``t N / (T - 1)``, as centred
analysis frames lie when N is a whole number of hops."""

Upsampling = Literal["center", "hop", "ends", "windows", "hop_windows"]
"""How T frames become N samples. ``center`` and ``hop``: straight lines, aligned as above. ``ends``: straight
lines, the first frame on the first sample and the last on the last. ``windows``: overlapping Hann windows,
frame t at sample ``t N / T``; after the last frame its value is held. ``hop_windows``: such windows where
``hop`` has the frames, so that the last one is reached at the end."""


@in_full_precision
def interpolate_frames(
    frames: Float[Tensor, "*channels frames"], num_samples: int, *, align: Align = "center"
) -> Float[Tensor, "*channels samples"]:
    """Join frames by straight lines; before the first and after the last the value is held.

    With ``center``, sample n reads frame position ``(n + 1/2) T / N - 1/2``; with ``hop``, ``n (T - 1) / N``.
    A single frame is held throughout. Fewer samples than frames are points on the same lines.

    Args:
        frames: Values, one a frame, on the last axis.
        num_samples: Length of the output.
        align: Where the frames lie.

    Raises:
        ValueError: There are no frames, no samples are asked for, or ``align`` is unknown.

    Examples:
        >>> interpolate_frames(torch.tensor([0.0, 1.0]), 4)
        tensor([0.0000, 0.2500, 0.7500, 1.0000])
        >>> interpolate_frames(torch.tensor([0.0, 1.0]), 4, align="hop")
        tensor([0.0000, 0.2500, 0.5000, 0.7500])
    """
    if frames.shape[-1] < 1 or num_samples < 1:
        raise ValueError(
            f"Need at least 1 frame and sample, got {frames.shape[-1]} frames and {num_samples=}."
        )
    if align not in ("center", "hop"):
        raise ValueError(f"align is 'center' or 'hop', got {align!r}.")
    if torch.onnx.is_in_onnx_export():  # whose Resize knows no float64
        return upsample_frames(frames, num_samples, align)
    rows = frames.reshape(1, -1, frames.shape[-1])
    if align == "center":
        samples = F.interpolate(rows, size=num_samples, mode="linear", align_corners=False)
    else:  # the last frame lies on sample N, one past the end
        samples = F.interpolate(rows, size=num_samples + 1, mode="linear", align_corners=True)[..., :-1]
    return samples.reshape(*frames.shape[:-1], num_samples)


@in_full_precision
def upsample_frames(
    frames: Float[Tensor, "*channels frames"], num_samples: int, upsampling: Upsampling
) -> Float[Tensor, "*channels samples"]:
    """Spread frames over samples; each sample is a blend of the two frames around it.

    Raises:
        ValueError: There are no frames, no samples are asked for, or ``upsampling`` is unknown.

    Examples:
        >>> upsample_frames(torch.tensor([0.0, 1.0]), 5, "ends")
        tensor([0.0000, 0.2500, 0.5000, 0.7500, 1.0000])
    """
    left, blend = frame_blends(frames.shape[-1], num_samples, upsampling)
    left, blend = placed(left, frames, left.dtype), placed(blend, frames)
    right = (left + 1).clamp(max=frames.shape[-1] - 1)
    # Gradients of index_select are added up where they land; those of indexing are sorted first, on CUDA.
    return torch.lerp(frames.index_select(-1, left), frames.index_select(-1, right), blend)


@in_full_precision
def cubic_frames(
    frames: Float[Tensor, "*channels frames"],
    num_samples: int,
    *,
    align: Literal["center", "ends"] = "center",
) -> Float[Tensor, "*channels samples"]:
    """Join frames by cubic curves without corners (Keys 1981, a = -3/4), which may overshoot between them.

    Each sample hears four frames; those beyond the first and the last are their like.

    Args:
        frames: Values, one a frame, on the last axis.
        num_samples: Length of the output.
        align: ``center``: each frame in the middle of its share of the samples. ``ends``: the first frame on
            the first sample, the last on the last.

    Raises:
        ValueError: There are no frames, no samples are asked for, or ``align`` is unknown.

    Examples:
        >>> cubic_frames(torch.tensor([0.0, 0.0, 1.0, 1.0]), 7, align="ends")[:4]
        tensor([ 0.0000, -0.0938,  0.0000,  0.5000])
    """
    if min(frames.numel(), num_samples) < 1:
        raise ValueError(
            f"Need at least 1 frame and sample, got {frames.shape[-1]} frames and {num_samples=}."
        )
    if align not in ("center", "ends"):
        raise ValueError(f"align is 'center' or 'ends', got {align!r}.")
    rows = frames.reshape(1, -1, frames.shape[-1], 1)
    samples = F.interpolate(rows, size=(num_samples, 1), mode="bicubic", align_corners=align == "ends")
    return samples.reshape(*frames.shape[:-1], num_samples)


@table
def frame_blends(
    num_frames: int, num_samples: int, upsampling: Upsampling
) -> tuple[Int64[Tensor, "samples"], Float[Tensor, "samples"]]:
    """For every sample the frame before it, and the share of the frame after that, 0 to 1 in float64.

    Examples:
        >>> frame_blends(2, 5, "ends")
        (tensor([0, 0, 0, 0, 1]), tensor([0.0000, 0.2500, 0.5000, 0.7500, 0.0000], dtype=torch.float64))
    """
    if num_frames < 1 or num_samples < 1:
        raise ValueError(f"Need at least 1 frame and sample, got {num_frames} frames and {num_samples=}.")
    # Sample n lies at frame position (scale n + shift) / share: integers, so that none is off by one.
    places = {
        "center": (2 * num_frames, num_frames - num_samples, 2 * num_samples),
        "hop": (num_frames - 1, 0, num_samples),
        "ends": (num_frames - 1, 0, max(num_samples - 1, 1)),
        "windows": (num_frames, 0, num_samples),
        "hop_windows": (num_frames - 1, 0, num_samples),
    }
    if upsampling not in places:
        raise ValueError(f"upsampling is one of {', '.join(places)}, got {upsampling!r}.")
    scale, shift, share = places[upsampling]
    frame, rest = np.divmod(scale * np.arange(num_samples) + shift, share)
    blend = rest / share
    if upsampling.endswith("windows"):
        blend = (1 - np.cos(np.pi * blend)) / 2
    blend[(frame < 0) | (frame >= num_frames - 1)] = 0  # held before the first frame and after the last
    return torch.from_numpy(frame.clip(0, num_frames - 1)), torch.from_numpy(blend)


@table
def frame_starts(
    num_frames: int, num_samples: int, upsampling: Upsampling
) -> Int64[Tensor, "frames_and_end"]:
    """The first sample that lies on each frame or after it, and the end.

    Examples:
        >>> frame_starts(2, 5, "ends")
        tensor([0, 4, 5])
    """
    left, _ = frame_blends(num_frames, num_samples, upsampling)
    return torch.searchsorted(left, torch.arange(num_frames + 1))
