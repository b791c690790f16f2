"""Filters one frame by a gain of each frequency; for ONNX, which has no complex numbers, by real products."""

import math

import torch
from jaxtyping import Float, Int64
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

    1024 points are two steps of 32: 0.4 million products there and back, where one matrix has 2 million. A
    complex product is four real ones; they lie side by side, so that the next step's matrix adds them up.

    Raises:
        ValueError: ``n_fft`` is no power of two.

    Examples:
        >>> frame, gain = torch.randn(64), torch.rand(33)
        >>> torch.allclose(real_filter_frame(frame, gain), filter_frame(frame, gain), atol=1e-5)
        True
    """
    return filter_by_places(frame, gain[..., bin_places(int(frame.shape[-1])).to(gain.device)])


def bin_places(n_fft: int) -> Int64[Tensor, "places"]:
    """Of which bin the gain is that :func:`filter_by_places` takes at each place.

    Examples:
        >>> bin_places(16).shape, int(bin_places(16).max())
        (torch.Size([24]), 8)
    """
    return _factors(n_fft)[-1].flatten()


def filter_by_places(
    frame: Float[Tensor, "*batch n_fft"], gain: Float[Tensor, "*batch places"]
) -> Float[Tensor, "*batch n_fft"]:
    """:func:`real_filter_frame` with gains in the order of its second step, which need not be looked up.

    Examples:
        >>> frame, gain = torch.randn(64), torch.rand(33)
        >>> placed = filter_by_places(frame, gain[bin_places(64)])
        >>> torch.allclose(placed, filter_frame(frame, gain), atol=1e-5)
        True
    """
    first, turn, second, back, turn_back, last, place = (
        placed(part, frame, part.dtype) for part in _factors(int(frame.shape[-1]))
    )
    size_a, size_b = last.shape[0], turn.shape[1]
    rows = (first @ frame.reshape(-1, size_a, size_b)) * turn
    spectrum = rows.reshape(-1, place.shape[0], 4 * size_b) @ second
    shaped = (spectrum * gain.reshape(-1, *place.shape)) @ back
    filtered = (last @ (shaped.reshape(-1, *turn.shape) * turn_back)).reshape(-1, size_a * size_b)
    return filtered if frame.ndim == 2 else filtered.reshape(frame.shape)


@table
def _factors(n_fft: int) -> tuple[Tensor, ...]:
    """Matrices of both steps there and back, what lies between them, and the bin of each place.

    Of the first step's rows those from 0 to the half suffice: a real frame's others are their conjugates.
    """
    bits = n_fft.bit_length() - 1
    if n_fft < 4 or 1 << bits != n_fft:
        raise ValueError(f"Needs a power of two of at least 4, got {n_fft=}.")
    size_a, size_b = 1 << bits // 2, 1 << bits - bits // 2
    over_a, over_b = torch.arange(size_a, dtype=torch.float64), torch.arange(size_b, dtype=torch.float64)
    kept = over_a[: size_a // 2 + 1]
    real_a, imag_a = _waves(kept.outer(over_a) / size_a)
    real_t, imag_t = _waves(kept.outer(over_b) / n_fft)
    real_b, imag_b = _waves(over_b.outer(over_b) / size_b)
    first = torch.stack([real_a, imag_a, imag_a, real_a], dim=1)
    turn = torch.stack([real_t, -imag_t, real_t, imag_t], dim=1)  # two parts are real, two imaginary
    of_real, of_imag = torch.cat([real_b, imag_b], dim=1), torch.cat([-imag_b, real_b], dim=1)
    second = torch.cat([of_real, of_real, of_imag, of_imag])
    bins = (torch.arange(len(kept))[:, None] + size_a * torch.arange(size_b)).repeat(1, 2)
    to_real, to_imag = torch.cat([real_b, imag_b]), torch.cat([-imag_b, real_b])  # turning the other way
    back = torch.cat([to_real, to_imag, to_imag, to_real], dim=1)
    turn_back = torch.stack([real_t, imag_t, real_t, -imag_t], dim=1)
    share = torch.full((len(kept), 1, 1), 2.0 / n_fft, dtype=torch.float64)  # of a row and its conjugate
    share[0] = share[-1] = 1.0 / n_fft
    last = (torch.stack([real_a, real_a, imag_a, imag_a], dim=1) * share).flatten(0, 1).T
    steps = first.flatten(0, 1), turn.flatten(0, 1), second, back, turn_back.flatten(0, 1), last
    return *(part.float().contiguous() for part in steps), torch.minimum(bins, n_fft - bins)


def _waves(turns: Tensor) -> tuple[Tensor, Tensor]:
    """Real and imaginary parts of a transform's matrix."""
    return (2 * math.pi * turns).cos(), -(2 * math.pi * turns).sin()
