"""A convolution over tiles as an autograd function."""

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.autograd.function import once_differentiable

from drumblender.nets.cpu.conv_loops import conv, conv_weight_grad
from drumblender.nets.cpu.tiling import Tiling, filled_up, gradient_of, mirrored, packed_weight, stored


def fold(
    x: Tensor, weight: Tensor, stride: int, padding: tuple[int, int]
) -> tuple[Tensor, Tensor, tuple[int, int]]:
    """A convolution of stride 1 over ``stride`` times the channels that equals one of that stride."""
    size = -(-weight.shape[-1] // stride) * stride
    left, right = padding
    num_frames = (x.shape[-1] + left + right - weight.shape[-1]) // stride + 1
    seen = (num_frames - 1) * stride + size
    x = F.pad(x, (left, seen - left - x.shape[-1])).unflatten(-1, (-1, stride)).transpose(2, 3).flatten(1, 2)
    weight = F.pad(weight, (0, size - weight.shape[-1])).unflatten(-1, (-1, stride))
    return x, weight.transpose(2, 3).flatten(1, 2), (0, 0)


class TiledConv(torch.autograd.Function):
    """A convolution of stride 1 and an ELU where asked for."""

    @staticmethod
    def forward(ctx, x, weight, bias, dilation: int, padding: tuple[int, int], elu: bool) -> Tensor:
        y = x.new_empty(len(x), len(weight), x.shape[2] + sum(padding) - (weight.shape[2] - 1) * dilation)
        convolve(x, weight, bias, dilation, padding[0], y, elu=elu)
        ctx.save_for_backward(x, weight, *([] if bias is None else [bias]), *([y] if elu else []))
        ctx.settings = dilation, padding[0], elu
        return y

    @staticmethod
    @once_differentiable
    def backward(ctx, grad_y: Tensor):
        (x, weight, *rest), (dilation, left, elu) = ctx.saved_tensors, ctx.settings
        grad_y, taps = grad_y.contiguous(), weight.shape[2]
        y, grad = (rest[-1], torch.empty_like(grad_y)) if elu else (grad_y, grad_y)
        tiling = Tiling(grad_y, max(weight.shape[:2]))
        sums = tiling.run(conv_weight_grad, *stored(x, y, grad_y), taps, dilation, left, elu, *stored(grad))
        grad_x = None
        if ctx.needs_input_grad[0]:
            grad_x = torch.empty_like(x)
            convolve(grad, mirrored(weight), None, dilation, (taps - 1) * dilation - left, grad_x)
        grad_bias = gradient_of(rest[0], sums[1]) if ctx.needs_input_grad[2] else None
        return grad_x, gradient_of(weight, sums[0]), grad_bias, None, None, None


def convolve(
    x: Tensor,
    weight: Tensor,
    bias: Tensor | None,
    dilation: int,
    left: int,
    into: Tensor,
    *,
    skip: Tensor | None = None,
    elu: bool = False,
) -> None:
    """Write a convolution with ``left`` zeros before ``x``, and ``skip`` added where given, to ``into``."""
    out_channels, _, taps = weight.shape
    skip = into[:0] if skip is None else skip
    Tiling(into, max(weight.shape[:2])).run(
        conv,
        *stored(x),
        packed_weight(weight, x),
        filled_up(bias, out_channels),
        taps,
        dilation,
        left,
        elu,
        *stored(skip, into),
    )
