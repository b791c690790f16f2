"""Recursions that read a few neighbouring samples a varying delay ago, and their inverses.

``y[n] = x[n] - sum_k a_k[n] y[n - lag[n] - k]``: with a long lag this is a comb or a plucked string,
with a lag of 1 a time-varying all-pole filter. The state between two blocks is the last outputs, so
rendering in blocks of any size equals rendering at once. Everything is computed in float64 where the
device has it and returned in the type of the input. Differentiable once, in signal, taps and state.
"""

from collections.abc import Sequence

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor
from torch.autograd.function import once_differentiable

from drumblender.dsp.kernels.recursion import Inverse, Recursion

Starts = Sequence[int] | Int[Tensor, "batch starts"]
"""First samples of windows: the same for all items, or given for each."""


def working_dtype(device: torch.device) -> torch.dtype:
    """float64 where the device has it: long recursions lose about two digits in float32."""
    return torch.float32 if device.type == "mps" else torch.float64


def sparse_all_pole(
    excitation: Float[Tensor, "batch samples"],
    lag: Int[Tensor, "batch samples"],
    taps: Float[Tensor, "batch samples taps"],
    zi: Float[Tensor, "batch state"] | None = None,
) -> Float[Tensor, "batch samples"]:
    """Filter with ``y[n] = x[n] - sum_k taps[n, k] y[n - lag[n] - k]``.

    Args:
        excitation: x.
        lag: Smallest delay read at each sample, at least 1.
        taps: Denominator coefficients that follow the lag, sign as in ``scipy.signal.lfilter``.
        zi: Outputs before the start, oldest first, at least as many as the longest delay read. None: zeros.

    Raises:
        ValueError: A lag is below 1 or reaches behind ``zi``.
    """
    return _run(Recursion, excitation, lag, taps, zi)


def sparse_all_pole_inverse(
    signal: Float[Tensor, "batch samples"],
    lag: Int[Tensor, "batch samples"],
    taps: Float[Tensor, "batch samples taps"],
    zi: Float[Tensor, "batch state"] | None = None,
) -> Float[Tensor, "batch samples"]:
    """Undo :func:`sparse_all_pole`: ``x[n] = y[n] + sum_k taps[n, k] y[n - lag[n] - k]``.

    Arguments as there; ``zi`` holds what stood in ``signal`` before its start.
    """
    return _run(Inverse, signal, lag, taps, zi)


def final_state(
    zi: Float[Tensor, "batch state"], signal: Float[Tensor, "batch samples"]
) -> Float[Tensor, "batch state"]:
    """The state to start the next block with: the newest samples of the filtered signal."""
    return torch.cat([zi, signal.to(zi)], dim=1)[:, signal.shape[1] :]


def windowed_all_pole(
    signal: Float[Tensor, "batch samples"],
    coefficients: Float[Tensor, "batch window order"],
    starts: Starts,
    *,
    inverse: bool = False,
) -> Float[Tensor, "batch samples"]:
    """All-pole filter with time-varying coefficients, in short windows; silence everywhere else.

    Every window starts from rest and uses the same coefficients. Windows that overlap add up; one that
    runs past the end is cut.

    Args:
        signal: What is filtered.
        coefficients: e in ``v[m] = q[m] - sum_k e_k[m] v[m - k]``, k from 1, m from the start of a window.
        starts: First sample of each window.
        inverse: Undo the filter: ``q[m] = v[m] + sum_k e_k[m] v[m - k]``.
    """
    segments = take_windows(signal, starts, coefficients.shape[1])
    num_starts = segments.shape[1]
    filtered = all_pole(
        segments.flatten(0, 1), coefficients.repeat_interleave(num_starts, dim=0), inverse=inverse
    )
    return place_windows(filtered.unflatten(0, (-1, num_starts)), starts, signal.shape[1])


def all_pole(
    signal: Float[Tensor, "batch samples"],
    coefficients: Float[Tensor, "batch samples order"],
    *,
    inverse: bool = False,
) -> Float[Tensor, "batch samples"]:
    """Time-varying all-pole filter from rest, ``v[n] = q[n] - sum_k e_k[n] v[n - k]``, or its inverse."""
    lag = torch.ones_like(signal, dtype=torch.int64)
    return (sparse_all_pole_inverse if inverse else sparse_all_pole)(signal, lag, coefficients)


def take_windows(
    signal: Float[Tensor, "batch samples"], starts: Starts, window: int
) -> Float[Tensor, "batch starts window"]:
    """Cut windows that begin at ``starts``; 0 where one is outside of the signal."""
    places = _window_places(starts, window, signal)
    padded = torch.nn.functional.pad(signal, (0, 1))
    return padded.gather(1, places.flatten(1)).view(places.shape)


def place_windows(
    windows: Float[Tensor, "batch starts window"], starts: Starts, num_samples: int
) -> Float[Tensor, "batch samples"]:
    """Add windows up at ``starts`` in silence; what lies before 0 or past the end is left out."""
    padded = windows.new_zeros(windows.shape[0], num_samples + 1)  # the last place takes what lies outside
    places = _window_places(starts, windows.shape[2], padded[:, :-1])
    return padded.scatter_add(1, places.flatten(1), windows.flatten(1))[:, :-1]


def _starts_for(starts: Starts, signal: Tensor) -> Int[Tensor, "batch starts"]:
    if not torch.is_tensor(starts):
        starts = torch.tensor([list(starts)], dtype=torch.int64).expand(len(signal), -1)
    return starts.to(signal.device)


def _window_places(starts: Starts, window: int, signal: Tensor) -> Tensor:
    """Indices ``(batch, starts, window)`` into the signal; its length stands for every place outside."""
    num_samples = signal.shape[1]
    places = _starts_for(starts, signal)[..., None] + torch.arange(window, device=signal.device)
    return torch.where((places >= 0) & (places < num_samples), places, num_samples)


def keep_windows(
    signal: Float[Tensor, "batch samples"], starts: Starts, window: int
) -> Float[Tensor, "batch samples"]:
    """Silence everywhere outside of the windows."""
    starts = _starts_for(starts, signal)
    if signal.device.type == "cpu":
        return _Keep.apply(signal, starts, window)
    ones = signal.new_ones(*starts.shape, window)
    return signal * (place_windows(ones, starts, signal.shape[1]) > 0)


def bounds(values: Tensor) -> tuple[float, float]:
    """Smallest and largest value; NaN where one is."""
    if values.device.type == "cpu":  # without torch, whose thread teams spin between kernels
        array = values.detach().numpy()
        return array.min().item(), array.max().item()
    return tuple(bound.item() for bound in values.detach().aminmax())


class _Keep(torch.autograd.Function):
    """In numpy, which leaves torch's thread teams alone."""

    @staticmethod
    def forward(ctx, signal, starts, window):
        ctx.windows = starts.tolist(), window
        return torch.from_numpy(_kept(signal.numpy(), *ctx.windows))

    @staticmethod
    @once_differentiable
    def backward(ctx, grad):
        return torch.from_numpy(_kept(grad.numpy(), *ctx.windows)), None, None


def _kept(signal: np.ndarray, starts: list[list[int]], window: int) -> np.ndarray:
    kept = np.zeros_like(signal)
    for item, firsts in enumerate(starts):
        for first in firsts:
            span = slice(max(first, 0), max(first + window, 0))
            kept[item, span] = signal[item, span]
    return kept


def _run(function, signal: Tensor, lag: Tensor, taps: Tensor, zi: Tensor | None) -> Tensor:
    if signal.shape[1] == 0 or signal.shape[0] == 0 or taps.shape[2] == 0:
        return signal
    nearest, farthest = (int(bound) for bound in bounds(lag))
    reach = farthest + taps.shape[2] - 1
    if nearest < 1:
        raise ValueError(f"A recursion can't read the present or the future: got a lag of {nearest}.")
    if zi is not None and zi.shape[1] < reach:
        raise ValueError(f"The state holds {zi.shape[1]} samples, but the taps read {reach} back.")
    dtype = working_dtype(signal.device)
    if zi is None:
        zi = signal.new_zeros(signal.shape[0], reach)
    out = function.apply(signal.to(dtype), lag, taps.to(dtype).contiguous(), zi.to(dtype), nearest)
    return out.to(signal.dtype)
