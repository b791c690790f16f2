"""DDSP's squashing: amplitudes that range over decades without ever being negative."""

import math

import torch
from jaxtyping import Float
from torch import Tensor


def exp_sigmoid(
    x: Float[Tensor, "..."], threshold: float = 1e-7, *, exponent: float = 10.0, max_value: float = 2.0
) -> Float[Tensor, "..."]:
    """``max_value sigmoid(x) ^ ln(exponent) + threshold``: exponential below 0 (DDSP, ICLR 2020).

    Examples:
        >>> exp_sigmoid(torch.tensor([-5.0, 0.0, 50.0]))
        tensor([1.9793e-05, 4.0540e-01, 2.0000e+00])
    """
    return max_value * torch.sigmoid(x) ** math.log(exponent) + threshold
