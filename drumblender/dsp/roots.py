"""Roots that may be asked for their slope where they have none."""

import torch
from jaxtyping import Float
from torch import Tensor


def safe_root(value: Float[Tensor, "..."], p: float = 2.0) -> Float[Tensor, "..."]:
    """``value ** (1 / p)`` whose gradient is 0 where the value is 0; what rounding left below is 0 as well.

    The slope of a root is infinite at 0, and NaN times what a chain of sums of squares makes of it: so would
    be the gradient of silence, and of a prediction that is its target. NaN stays NaN.

    Args:
        value: What the root is taken of.
        p: Which root, above 0.

    Examples:
        >>> value = torch.tensor([0.0, 9.0], requires_grad=True)
        >>> safe_root(value).tolist(), torch.autograd.grad(safe_root(value).sum(), value)[0].tolist()
        ([0.0, 3.0], [0.0, 0.1666666716337204])
    """
    nothing = value <= 0
    lifted = torch.where(nothing, 1.0, value)
    root = lifted.sqrt() if p == 2 else lifted ** (1 / p)
    return torch.where(nothing, 0.0, root)
