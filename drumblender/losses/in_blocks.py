"""A loss over a large batch, some items at a time, so that the spectra of few exist at once."""

from collections.abc import Callable

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from drumblender.dsp.kernels import read_along
from drumblender.types import Audio

_WHOLE_BYTES, _BLOCK_BYTES = 2**28, 2**26
"""What a batch may take as a whole, and what a block of a larger one takes."""

Measure = Callable[[Audio, Audio], tuple[Tensor, ...]]
"""Some numbers of each item, ``(batch,)``, from a prediction and a target."""


def in_blocks(
    measure: Measure, prediction: Audio, target: Audio, *, item_bytes: int, slopes: int
) -> tuple[Tensor, ...]:
    """What ``measure`` gives, some items at a time where the whole batch would need much memory.

    Differentiable in the prediction, once: the way back is taken as soon as a block is measured, and only its
    gradient on the waveform is kept. That is one way back for each slope instead of one for all.

    Args:
        measure: Numbers of each item that depend on that item alone.
        prediction, target: Sounds.
        item_bytes: What one item takes until the way back is done.
        slopes: How many of the numbers, counted from the first, have a gradient.
    """
    many = len(prediction) * item_bytes > _WHOLE_BYTES and prediction.dtype == torch.float32 == target.dtype
    if not many or read_along() or (torch.is_grad_enabled() and target.requires_grad):
        return measure(prediction, target)
    size = max(1, _BLOCK_BYTES // item_bytes)
    return _InBlocks.apply(prediction, target.detach(), measure, size, slopes)


class _InBlocks(torch.autograd.Function):
    @staticmethod
    def forward(ctx, prediction: Tensor, target: Tensor, measure: Measure, size: int, slopes: int) -> tuple:
        wanted, values, grads = ctx.needs_input_grad[0], [], []
        for audio, goal in zip(prediction.split(size), target.split(size), strict=True):
            audio = audio.detach().requires_grad_(wanted)
            with torch.set_grad_enabled(wanted):
                found = measure(audio, goal)
            values.append([value.detach() for value in found])
            if wanted:
                sloping = found[:slopes]
                grads.append(
                    [
                        torch.autograd.grad(value, audio, torch.ones_like(value), value is not sloping[-1])[0]
                        for value in sloping
                    ]
                )
        ctx.save_for_backward(*(torch.cat(parts) for parts in zip(*grads, strict=True)))
        return tuple(torch.cat(parts) for parts in zip(*values, strict=True))

    @staticmethod
    @once_differentiable
    def backward(ctx, *grads: Tensor) -> tuple[Tensor, None, None, None, None]:
        total = None
        for slope, grad in zip(ctx.saved_tensors, grads, strict=False):
            part = slope * grad[:, None].to(slope.dtype)
            total = part if total is None else total.add_(part)
        return total, None, None, None, None
