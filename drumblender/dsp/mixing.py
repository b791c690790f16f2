"""Two sounds in one."""

import torch
from jaxtyping import Float
from torch import Tensor

from drumblender.types import Audio


def crossfade(first: Audio, second: Audio, fade: Float[Tensor, "batch"]) -> Audio:
    """Blend at equal power: ``sqrt(fade) * first + sqrt(1 - fade) * second``.

    Args:
        first, second: What is heard alone at a fade of 1, and of 0.
        fade: From 0 to 1; the gradient at either end is infinite.

    Examples:
        >>> crossfade(torch.ones(2, 3), torch.zeros(2, 3), fade=torch.tensor([1.0, 0.25])).tolist()
        [[1.0, 1.0, 1.0], [0.5, 0.5, 0.5]]
    """
    return torch.sqrt(fade)[:, None] * first + torch.sqrt(1 - fade)[:, None] * second
