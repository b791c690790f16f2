"""Runs compiled layers over tiles of sound that stay in the cache, on as many threads as torch may use.

Sound is long and its networks are narrow: in plain torch a layer streams tensors of tens of megabytes, one
operation after another. Here a layer does all its work on some thousand frames before it goes on.
"""

from collections.abc import Callable

import numpy as np
import torch
from torch import Tensor

from drumblender.dsp.kernels.threads import parallel_for
from drumblender.nets.cpu.lanes import CHANNELS, PAIRS, STEP, packed

_TILE_NUMBERS = 2**15  # of float32: some such tiles fit into the second-level cache of current cores
_LONGEST = 4096


class Tiling:
    """Cuts ``like`` ``(batch, channels, frames)`` into tiles.

    Args:
        like: What is covered.
        channels: Width of the widest tensor that a tile touches.
    """

    def __init__(self, like: Tensor, channels: int) -> None:
        steps = max(min(_TILE_NUMBERS // channels, _LONGEST) // STEP, 1)
        steps = (steps - 1) | 1  # odd: rows a power of 2 apart would share few lines of the cache
        self.length = min(steps, -(-like.shape[2] // STEP)) * STEP
        self.starts = torch.arange(0, like.shape[2], self.length)
        self.num_tiles = len(like) * len(self.starts)

    def run(self, kernel: Callable, *args: object) -> list[np.ndarray]:
        """Call ``kernel(*args, length, start, stop)`` on spans of tiles and sum what the calls return."""
        parts = {}

        def body(start: int, stop: int) -> None:
            parts[start] = kernel(*args, self.length, start, stop) or ()

        parallel_for(body, self.num_tiles)
        return [sum(part[1:], start=part[0]) for part in zip(*(parts[n] for n in sorted(parts)), strict=True)]


def stored(*tensors: Tensor) -> list[np.ndarray]:
    """The memory of contiguous tensors; bfloat16 as its bits."""
    views = (t.detach().view(torch.uint16) if t.dtype == torch.bfloat16 else t.detach() for t in tensors)
    return [view.numpy() for view in views]


def packed_weight(weight: Tensor, sound: Tensor) -> np.ndarray:
    """``(out, in, taps)`` as the kernels take it for sound of that type."""
    return packed(weight.detach().float().numpy(), pairs=PAIRS and sound.dtype == torch.bfloat16)


def mirrored(weight: Tensor) -> Tensor:
    """The convolution with it brings a gradient back through that with ``weight``."""
    return weight.flip(-1).transpose(0, 1)


def filled_up(values: Tensor | None, size: int) -> np.ndarray:
    """One number a channel, zeros for none and up to what the kernels work on at once."""
    room = np.zeros(-(-size // CHANNELS) * CHANNELS, np.float32)
    if values is not None:
        room[:size] = values.detach().float().numpy()
    return room


def gradient_of(tensor: Tensor, sums: np.ndarray) -> Tensor:
    """The gradient of a weight ``(out, in, taps)`` or a bias from the sums of a kernel."""
    rows = sums[: len(tensor)].reshape(len(tensor), -1)[:, : tensor[0].numel()]
    return torch.from_numpy(np.ascontiguousarray(rows)).reshape(tensor.shape).to(tensor.dtype)
