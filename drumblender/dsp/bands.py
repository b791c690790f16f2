"""Frequency bands as wide as the ear's (ERB), and back to equal steps of frequency."""

from functools import cache

import torch
from jaxtyping import Float
from torch import Tensor


@cache
def erb_centres_hz(num_bands: int, low_hz: float, high_hz: float) -> Float[Tensor, "bands"]:
    """Frequencies at equal steps of the ERB-rate scale, both ends included (Glasberg and Moore 1990).

    Raises:
        ValueError: Fewer than 2 bands, or ends that are not in order.
    """
    if num_bands < 2 or not 0 <= low_hz < high_hz:
        raise ValueError(f"Needs 2 bands and 0 <= low_hz < high_hz, got {num_bands=}, {low_hz=}, {high_hz=}.")
    ends = 21.4 * torch.log10(1 + 0.00437 * torch.tensor([low_hz, high_hz], dtype=torch.float64))
    return (10 ** (torch.linspace(*ends.tolist(), num_bands, dtype=torch.float64) / 21.4) - 1) / 0.00437


@cache
def straight_lines(
    num_bands: int, low_hz: float, high_hz: float, num_points: int, nyquist_hz: float
) -> Float[Tensor, "bands points"]:
    """What each ERB band gives to equal steps from 0 Hz to Nyquist: lines between centres, the ends held."""
    centres = erb_centres_hz(num_bands, low_hz, high_hz)
    points = torch.linspace(0, nyquist_hz, num_points, dtype=torch.float64).clamp(low_hz, high_hz)
    right = torch.searchsorted(centres, points).clamp(1, num_bands - 1)
    share = ((points - centres[right - 1]) / (centres[right] - centres[right - 1])).clamp(0, 1)
    matrix = torch.zeros(num_bands, num_points, dtype=torch.float64)
    column = torch.arange(num_points)
    matrix[right - 1, column] = 1 - share
    matrix[right, column] += share
    return matrix.float()
