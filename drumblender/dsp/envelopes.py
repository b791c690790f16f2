"""From frames to samples."""

from typing import Literal

from jaxtyping import Float
from torch import Tensor
from torch.nn import functional as F

from drumblender.dsp.precision import in_full_precision

Align = Literal["center", "hop"]
"""Where T frames lie in N samples. ``center``: each in the middle of its share, so the first reaches half
a share into the sound before anything moves. ``hop``: frame t at sample ``t N / (T - 1)``, as centred
analysis frames lie when N is a whole number of hops."""


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
    """
    if frames.shape[-1] < 1 or num_samples < 1:
        raise ValueError(
            f"Need at least 1 frame and sample, got {frames.shape[-1]} frames and {num_samples=}."
        )
    if align not in ("center", "hop"):
        raise ValueError(f"align is 'center' or 'hop', got {align!r}.")
    rows = frames.reshape(1, -1, frames.shape[-1])
    if align == "center":
        samples = F.interpolate(rows, size=num_samples, mode="linear", align_corners=False)
    else:  # the last frame lies on sample N, one past the end
        samples = F.interpolate(rows, size=num_samples + 1, mode="linear", align_corners=True)[..., :-1]
    return samples.reshape(*frames.shape[:-1], num_samples)
