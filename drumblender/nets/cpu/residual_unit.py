"""A residual unit of a SoundStream encoder in one pass over tiles (CPU).

    c = conv(x),  y = x + elu(pointwise(elu(c)))

It keeps ``x`` and ``c`` for the way back; both ELUs and the 1 x 1 product are made again.
"""

import torch
from torch import Tensor, nn
from torch.autograd.function import once_differentiable

from drumblender.nets.cpu import under_autocast
from drumblender.nets.cpu.conv import convolve
from drumblender.nets.cpu.residual_unit_loops import unit, unit_adjoint
from drumblender.nets.cpu.tiling import Tiling, filled_up, gradient_of, mirrored, packed_weight, stored


def residual_unit(x: Tensor, conv: nn.Conv1d, left: int, point: nn.Conv1d) -> Tensor:
    """``x + elu(point(elu(conv(x))))``, with ``left`` zeros before the sound."""
    weights = conv.weight, conv.bias, point.weight, point.bias
    return ResidualUnit.apply(under_autocast(x), *weights, conv.dilation[0], left)


class ResidualUnit(torch.autograd.Function):
    """Sound ``(batch, channels, frames)`` to sound of the same shape; ``left`` zeros come before it."""

    @staticmethod
    def forward(ctx, x, weight, bias, point_weight, point_bias, dilation: int, left: int) -> Tensor:
        c, y, channels = torch.empty_like(x), torch.empty_like(x), x.shape[1]
        Tiling(x, channels).run(
            unit,
            *stored(x),
            packed_weight(weight, x),
            filled_up(bias, channels),
            weight.shape[2],
            dilation,
            left,
            packed_weight(point_weight, x),
            filled_up(point_bias, channels),
            *stored(c, y),
        )
        ctx.save_for_backward(x, c, weight, bias, point_weight, point_bias)
        ctx.settings = dilation, left
        return y

    @staticmethod
    @once_differentiable
    def backward(ctx, grad_y: Tensor):
        x, c, *weights = ctx.saved_tensors
        (weight, _, point_weight, point_bias), (dilation, left) = weights, ctx.settings
        grad_y, grad_c, taps = grad_y.contiguous(), torch.empty_like(c), weight.shape[2]
        sums = Tiling(x, x.shape[1]).run(
            unit_adjoint,
            *stored(x, c, grad_y),
            taps,
            dilation,
            left,
            packed_weight(point_weight, x),
            filled_up(point_bias, x.shape[1]),
            packed_weight(mirrored(point_weight), x),
            *stored(grad_c),
        )
        grad_x = None
        if ctx.needs_input_grad[0]:
            grad_x = torch.empty_like(x)
            right = (taps - 1) * dilation - left
            convolve(grad_c, mirrored(weight), None, dilation, right, grad_x, skip=grad_y)
        return grad_x, *map(gradient_of, weights, sums), None, None
