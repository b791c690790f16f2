"""Filters one frame by a gain of each frequency; for ONNX, which has no complex numbers, by real products."""

import math

import torch
from jaxtyping import Float
from torch import Tensor

from drumblender.dsp.tables import placed, table


def filter_frame(
    frame: Float[Tensor, "*batch n_fft"], gain: Float[Tensor, "*batch bins"]
) -> Float[Tensor, "*batch n_fft"]:
    """Multiply the spectrum of a frame by real gains, from 0 Hz to Nyquist.

    Examples:
        >>> frame, halves = torch.randn(8), torch.full((5,), 0.5)
        >>> torch.allclose(filter_frame(frame, halves), frame / 2, atol=1e-6)
        True
    """
    if torch.onnx.is_in_onnx_export():
        return real_filter_frame(frame, gain)
    return torch.fft.irfft(torch.fft.rfft(frame) * gain, frame.shape[-1])


def real_filter_frame(
    frame: Float[Tensor, "*batch n_fft"], gain: Float[Tensor, "*batch bins"]
) -> Float[Tensor, "*batch n_fft"]:
    """What :func:`filter_frame` computes, in matrices of the factors of ``n_fft`` (Cooley and Tukey 1965).

    1024 points are two steps of 32: 0.3 million products there and back, where one matrix has 2 million.

    Raises:
        ValueError: ``n_fft`` is no power of two.

    Examples:
        >>> frame, gain = torch.randn(64), torch.rand(33)
        >>> torch.allclose(real_filter_frame(frame, gain), filter_frame(frame, gain), atol=1e-5)
        True
    """
    n_fft = int(frame.shape[-1])
    rows, turn, columns, place = (placed(part, frame, part.dtype) for part in _factors(n_fft))
    size_a, size_b = rows.shape[-1], columns.shape[-1]
    grid = frame.unflatten(-1, (size_a, size_b))
    real, imag = rows[0] @ grid, rows[1] @ grid
    real, imag = real * turn[0] - imag * turn[1], real * turn[1] + imag * turn[0]
    real, imag = real @ columns[0] - imag @ columns[1], real @ columns[1] + imag @ columns[0]
    weight = gain[..., place].unflatten(-1, (size_a, size_b)) / n_fft
    real, imag = real * weight, imag * weight  # and back, turning the other way
    real, imag = real @ columns[0] + imag @ columns[1], imag @ columns[0] - real @ columns[1]
    real, imag = real * turn[0] + imag * turn[1], imag * turn[0] - real * turn[1]
    return (rows[0] @ real + rows[1] @ imag).flatten(-2)


@table
def _factors(n_fft: int) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Cosines and sines of both steps and of what lies between, and the bin of each place."""
    bits = n_fft.bit_length() - 1
    if n_fft < 4 or 1 << bits != n_fft:
        raise ValueError(f"Needs a power of two of at least 4, got {n_fft=}.")
    size_a, size_b = 1 << bits // 2, 1 << bits - bits // 2
    over_a, over_b = torch.arange(size_a, dtype=torch.float64), torch.arange(size_b, dtype=torch.float64)
    angles = (
        over_a.outer(over_a) / size_a,
        over_a.outer(over_b) / n_fft,
        over_b.outer(over_b) / size_b,
    )
    waves = [torch.stack([(-2 * math.pi * turns).cos(), (-2 * math.pi * turns).sin()]) for turns in angles]
    bins = (torch.arange(size_a)[:, None] + size_a * torch.arange(size_b)).flatten()
    return *(wave.float() for wave in waves), torch.minimum(bins, n_fft - bins)
