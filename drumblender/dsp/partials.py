"""Where the partials of a stiff string lie."""

import torch
from jaxtyping import Float
from torch import Tensor


def partials_hz(
    f0_hz: Float[Tensor, "*frames"], stiffness: Float[Tensor, "*frames"], count: int
) -> Float[Tensor, "*frames {count}"]:
    """Frequencies ``k f0 sqrt(1 + B k^2)`` of the first partials of a stiff string (Fletcher, 1964).

    Args:
        f0_hz: What the string would have if it were not stiff.
        stiffness: B, 0 for whole multiples; some 1e-4 for strings of a guitar.
        count: Partials, the lowest first.

    Examples:
        >>> partials_hz(torch.tensor([100.0]), torch.tensor([1e-4]), 20)[0, [0, 9, 19]].round()
        tensor([ 100., 1005., 2040.])
    """
    order = torch.arange(1, count + 1, device=f0_hz.device, dtype=f0_hz.dtype)
    return f0_hz[..., None] * order * (1 + stiffness[..., None] * order.square()).sqrt()


def partial_order(
    order: Float[Tensor, "*frames bins"], stiffness: Float[Tensor, "*frames"]
) -> Float[Tensor, "*frames bins"]:
    """Which partial, whole or between two, lies at so many times the pitch: undoes :func:`partials_hz`.

    Examples:
        >>> place = partials_hz(torch.tensor([1.0]), torch.tensor([1e-4]), 30)
        >>> partial_order(place, torch.tensor([1e-4]))[0, [0, 29]].round(decimals=3)
        tensor([ 1., 30.])
    """
    return order * (2 / (1 + (1 + 4 * stiffness[..., None] * order.square()).sqrt())).sqrt()
