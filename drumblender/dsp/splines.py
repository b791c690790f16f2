"""Frames to samples along a natural cubic spline."""

import torch
from jaxtyping import Float
from torch import Tensor

from drumblender.dsp.kernels import served
from drumblender.dsp.precision import in_full_precision
from drumblender.dsp.tables import placed, table


@in_full_precision
def spline_upsample(
    frames: Float[Tensor, "batch frames channels"],
    num_samples: int,
    first: int = 0,
    count: int | None = None,
) -> Float[Tensor, "batch count channels"]:
    """Spread frames evenly over ``num_samples`` samples, ends included, on a natural cubic spline.

    The curve passes through every frame, has two continuous derivatives and no curvature at either end. It
    may leave the span of the frames between two of them. One frame is held.

    Args:
        frames: Values at the first sample, at the last, and evenly between.
        num_samples: Length that the frames are spread over.
        first: First sample to return; a long curve can be had in blocks.
        count: Samples to return, all from ``first`` on when None. Samples past the end hold its value.

    Raises:
        ValueError: There are no frames, or no samples.

    Examples:
        >>> spline_upsample(torch.tensor([[[0.0], [1.0], [0.0]]]), num_samples=5).flatten()
        tensor([0.0000, 0.6875, 1.0000, 0.6875, 0.0000])
    """
    num_frames = frames.shape[1]
    count = num_samples - first if count is None else count
    if num_frames < 1 or num_samples < 1 or first < 0 or count < 0:
        raise ValueError(
            f"A curve needs frames and samples, got {num_frames} frames, {num_samples=}, {first=}, {count=}."
        )
    if num_frames == 1:
        return frames.expand(-1, count, -1)
    inside = min(max(num_samples - first, 0), count)
    slopes = placed(_slope_matrix(num_frames), frames) @ frames
    if served(frames):
        from drumblender.dsp.kernels.splines import Hermite  # numba is slow to import

        curve = Hermite.apply(frames.contiguous(), slopes, first, num_samples, inside)
    else:
        curve = _hermite_plain(frames, slopes, first, num_samples, inside)
    if inside == count:
        return curve
    return torch.cat([curve, frames[:, -1:].expand(-1, count - inside, -1)], dim=1)


@table
def _slope_matrix(num_frames: int) -> Float[Tensor, "frames frames"]:
    """Maps the values at the frames to the slopes there (per frame): the spline is linear in its values."""
    eye = torch.eye(num_frames, dtype=torch.float64)
    system = 4 * eye + eye.roll(1, dims=0) + eye.roll(-1, dims=0)
    system[0], system[-1] = 0, 0
    system[0, 0] = system[-1, -1] = 2
    system[0, 1] = system[-1, -2] = 1
    after = torch.cat([eye[1:], eye[-1:]])
    before = torch.cat([eye[:1], eye[:-1]])
    return torch.linalg.solve(system, 3 * (after - before))


def _hermite_plain(values: Tensor, slopes: Tensor, first: int, num_samples: int, count: int) -> Tensor:
    """Evaluate the curve in torch, for every device."""
    num_frames, span = values.shape[1], max(num_samples - 1, 1)
    scaled = torch.arange(first, first + count, device=values.device) * (num_frames - 1)
    interval = (scaled // span).clamp(max=num_frames - 2)
    t = ((scaled - interval * span).to(values.dtype) / span)[:, None]
    late = t * t * (3 - 2 * t)
    # Gradients of index_select are added up where they land; those of indexing are sorted first, on CUDA.
    left, right = (values.index_select(1, frame) for frame in (interval, interval + 1))
    rise, fall = (slopes.index_select(1, frame) for frame in (interval, interval + 1))
    return (1 - late) * left + late * right + t * (1 - t) ** 2 * rise - t * t * (1 - t) * fall
