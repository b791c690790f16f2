"""A residual unit of a SoundStream encoder in one pass over tiles (CPU).

    c = conv(x),  y = x + elu(pointwise(elu(c)))

It keeps ``x`` and ``c`` for the way back; both ELUs and the 1 x 1 product are made again.
"""

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from drumblender.nets.conv import convolve
from drumblender.nets.tiles import Tiling, filled_up, gradient_of, mirrored, packed_weight, stored


class ResidualUnit(torch.autograd.Function):
    """Sound ``(batch, channels, frames)`` to sound of the same shape; ``left`` zeros come before it."""

    @staticmethod
    def forward(ctx, x, weight, bias, point_weight, point_bias, dilation: int, left: int) -> Tensor:
        from drumblender.nets.kernels.unit_cpu import unit

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
        from drumblender.nets.kernels.unit_cpu import unit_adjoint

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
