"""Convolution over time in tiles that stay in the cache: what the fused layers on the CPU are made of.

Sound is long and its networks are narrow, so the plain ``(batch, channels, frames)`` layout spends its
time on memory: each layer streams tensors of tens of megabytes that the kernel hands out page by page.
Here frames are rows of channels, ``(batch, frames, channels)``, and a layer does all its work on some
thousand rows before it goes on. A tile is a dense 1 x frames picture in channels-last order, oneDNN's
fastest case; padding is copied only where a tile meets the end of the sound.
"""

from collections.abc import Iterator
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

_TILE_NUMBERS = 2**18  # 1 MB of float32: half of the second-level cache of current cores
_FOLD_FROM_DILATION = 32  # above, oneDNN's float32 weight gradient is faster on (frames / dilation, dilation)


class Geometry(NamedTuple):
    """How a convolution reads its input: frame ``i`` of the output starts at ``i * stride - left``."""

    stride: int = 1
    dilation: int = 1
    left: int = 0
    right: int = 0

    def span(self, kernel_size: int) -> int:
        """Frames that one frame of the output sees, first to last."""
        return (kernel_size - 1) * self.dilation + 1

    def num_frames(self, num_frames: int, kernel_size: int) -> int:
        """Length of the output; below 1 where the input is too short."""
        return (num_frames + self.left + self.right - self.span(kernel_size)) // self.stride + 1

    def seen(self, start: int, stop: int, kernel_size: int) -> tuple[int, int]:
        """Rows of the input that the rows ``start:stop`` of the output see; they may lie outside."""
        first = start * self.stride - self.left
        return first, first + (stop - 1 - start) * self.stride + self.span(kernel_size)


def tile_length(num_channels: int) -> int:
    """Rows of a tile whose widest tensor has that many channels."""
    return max(_TILE_NUMBERS // num_channels, 256)


class Scratch:
    """Room for what a tile computes on the way, in at least float32.

    A fresh megabyte for every step costs more than the step: the system hands it out page by page, and the
    allocator gives it back at once.
    """

    def __init__(self, like: Tensor, num_channels: int, num_frames: int) -> None:
        dtype = like.dtype if like.itemsize >= 4 else torch.float32
        self._rooms: dict[str, Tensor] = {}
        self._make = lambda: like.new_empty(num_frames, num_channels, dtype=dtype)

    def room(self, name: str, num_rows: int) -> Tensor:
        """The first rows of the room of that name."""
        if name not in self._rooms:
            self._rooms[name] = self._make()
        return self._rooms[name][:num_rows]


def tiles(rows: Tensor, num_channels: int) -> Iterator[tuple[int, int, int]]:
    """Item, start and stop of the tiles that cover ``rows`` ``(batch, frames, channels)``.

    Args:
        rows: The tensor to cover.
        num_channels: Width of the widest tensor that a tile touches.
    """
    length = tile_length(num_channels)
    for item in range(rows.shape[0]):
        for start in range(0, rows.shape[1], length):
            yield item, start, min(start + length, rows.shape[1])


def wide(tile: Tensor) -> Tensor:
    """The tile in at least float32: what is not a matrix product is computed so under autocast too."""
    return tile.float() if tile.itemsize < 4 else tile


def conv_rows(
    rows: Tensor, start: int, stop: int, weight: Tensor, bias: Tensor | None, geometry: Geometry
) -> Tensor:
    """Rows ``start:stop`` of the convolution of one item ``(frames, channels)``."""
    seen = _window(rows, *geometry.seen(start, stop, weight.shape[-1]))
    picture = F.conv2d(
        _picture(seen),
        weight[:, :, None],
        bias,
        stride=(1, geometry.stride),
        dilation=(1, geometry.dilation),
    )
    return picture[0, :, 0].T


def weight_grad(
    rows: Tensor, grad: Tensor, start: int, stop: int, weight: Tensor, geometry: Geometry
) -> Tensor:
    """What rows ``start:stop`` of the output add to the gradient of the weight.

    Args:
        rows: One item of the input.
        grad: Gradient of the rows ``start:stop`` of its output.
    """
    size = weight.shape[-1]
    if geometry.stride == 1 and geometry.dilation >= _FOLD_FROM_DILATION and rows.dtype == torch.float32:
        return _folded_weight_grad(rows, grad, start, stop, weight, geometry)
    seen = _window(rows, *geometry.seen(start, stop, size))
    return _backward(grad, seen, weight, geometry, wanted=1)[:, :, 0]


def _folded_weight_grad(
    rows: Tensor, grad: Tensor, start: int, stop: int, weight: Tensor, geometry: Geometry
) -> Tensor:
    """Time as a picture of ``dilation`` columns: the dilated kernel is a dense one down each column."""
    size, columns = weight.shape[-1], geometry.dilation
    lines = -(-(stop - start) // columns)
    grad = F.pad(grad, (0, 0, 0, lines * columns - (stop - start)))
    first = start - geometry.left
    seen = _window(rows, first, first + (lines + size - 1) * columns)
    picture = seen.reshape(1, -1, columns, seen.shape[-1]).permute(0, 3, 1, 2)
    grad = grad.reshape(1, lines, columns, grad.shape[-1]).permute(0, 3, 1, 2)
    return _convolution_backward(grad, picture, weight[..., None], (1, 1), (1, 1), wanted=1)[..., 0]


def add_input_grad(into: Tensor, grad: Tensor, weight: Tensor, geometry: Geometry) -> None:
    """Add the gradient of one item of the input, ``(frames, channels)``, to ``into``.

    Args:
        into: Where to.
        grad: Gradient of that item's whole output.
        weight: ``(out, in, kernel)``.
        geometry: Of the forward convolution.
    """
    size = weight.shape[-1]
    if geometry.stride == 1:  # the gradient is a convolution with the mirrored kernel
        mirrored = weight.flip(-1).transpose(0, 1)
        back = Geometry(dilation=geometry.dilation, left=geometry.span(size) - 1 - geometry.left)
        for _, start, stop in tiles(into[None], max(weight.shape[:2])):
            into[start:stop] += conv_rows(grad, start, stop, mirrored, None, back)
        return
    for _, start, stop in tiles(grad[None], max(weight.shape[:2]) * geometry.stride):
        first, last = geometry.seen(start, stop, size)
        like = grad.new_empty(last - first, weight.shape[1])
        part = _backward(grad[start:stop], like, weight, geometry, wanted=0)[0, :, 0].T
        low, high = max(first, 0), min(last, len(into))
        into[low:high] += part[low - first : high - first]


def _window(rows: Tensor, start: int, stop: int) -> Tensor:
    """Rows ``start:stop``, zero where they lie outside; no copy where none does."""
    if start >= 0 and stop <= len(rows):
        return rows[start:stop]
    low = min(max(start, 0), len(rows))
    high = max(min(stop, len(rows)), low)
    before = min(max(-start, 0), stop - start)
    return F.pad(rows[low:high], (0, 0, before, stop - start - before - (high - low)))


def _picture(rows: Tensor) -> Tensor:
    """Rows ``(frames, channels)`` as a dense channels-last picture ``(1, channels, 1, frames)``."""
    return rows.contiguous()[None, None].permute(0, 3, 1, 2)


def _backward(grad: Tensor, seen: Tensor, weight: Tensor, geometry: Geometry, *, wanted: int) -> Tensor:
    stride, dilation = (1, geometry.stride), (1, geometry.dilation)
    return _convolution_backward(
        _picture(grad), _picture(seen), weight[:, :, None], stride, dilation, wanted=wanted
    )


def _convolution_backward(
    grad: Tensor,
    picture: Tensor,
    weight: Tensor,
    stride: tuple[int, int],
    dilation: tuple[int, int],
    *,
    wanted: int,
) -> Tensor:
    """The gradient of the picture (``wanted`` 0) or of the weight (1)."""
    mask = [wanted == 0, wanted == 1, False]
    return torch.ops.aten.convolution_backward(
        grad, picture, weight, None, stride, (0, 0), dilation, False, (0, 0), 1, mask
    )[wanted]
