"""Short windows of a signal: cut out, put in their places, or kept while all else is silenced."""

from collections.abc import Sequence

import torch
from jaxtyping import Float, Int
from torch import Tensor

from drumblender.dsp.kernels import served
from drumblender.dsp.tables import placed, table

Starts = Sequence[int] | Int[Tensor, "batch starts"]
"""First samples of windows: the same for all items, or given for each."""


def take_windows(
    signal: Float[Tensor, "batch samples"], starts: Starts, window: int
) -> Float[Tensor, "batch starts window"]:
    """Cut windows that begin at ``starts``; 0 where one is outside of the signal.

    Examples:
        >>> take_windows(torch.arange(6.0)[None], starts=[1, 4], window=3).tolist()
        [[[1.0, 2.0, 3.0], [4.0, 5.0, 0.0]]]
    """
    places = _window_places(starts, window, signal)
    padded = torch.nn.functional.pad(signal, (0, 1))
    return padded.gather(1, places.flatten(1)).view(places.shape)


def place_windows(
    windows: Float[Tensor, "batch starts window"], starts: Starts, num_samples: int
) -> Float[Tensor, "batch samples"]:
    """Add windows up at ``starts`` in silence; what lies before 0 or past the end is left out.

    Examples:
        >>> place_windows(torch.ones(1, 2, 2), starts=[0, 1], num_samples=4).tolist()
        [[1.0, 2.0, 1.0, 0.0]]
    """
    padded = windows.new_zeros(windows.shape[0], num_samples + 1)  # the last place takes what lies outside
    places = _window_places(starts, windows.shape[2], padded[:, :-1])
    return padded.scatter_add(1, places.flatten(1), windows.flatten(1))[:, :-1]


def _starts_for(starts: Starts, signal: Tensor) -> Int[Tensor, "batch starts"]:
    if not torch.is_tensor(starts):
        return placed(_row(tuple(map(int, starts))), signal, torch.int64).expand(len(signal), -1)
    return starts.to(signal.device)


@table
def _row(starts: tuple[int, ...]) -> Int[Tensor, "1 starts"]:
    return torch.tensor([starts], dtype=torch.int64)


def _window_places(starts: Starts, window: int, signal: Tensor) -> Tensor:
    """Indices ``(batch, starts, window)`` into the signal; its length stands for every place outside."""
    num_samples = signal.shape[1]
    places = _starts_for(starts, signal)[..., None] + torch.arange(window, device=signal.device)
    return torch.where((places >= 0) & (places < num_samples), places, num_samples)


def keep_windows(
    signal: Float[Tensor, "batch samples"], starts: Starts, window: int
) -> Float[Tensor, "batch samples"]:
    """Silence everywhere outside of the windows.

    Examples:
        >>> keep_windows(torch.ones(1, 5), starts=[1], window=2).tolist()
        [[0.0, 1.0, 1.0, 0.0, 0.0]]
    """
    starts = _starts_for(starts, signal)
    if served(signal):
        from drumblender.dsp.kernels.all_pole import Keep  # numba is slow to import

        return Keep.apply(signal, starts, window)
    ones = signal.new_ones(*starts.shape, window)
    return signal * (place_windows(ones, starts, signal.shape[1]) > 0)
