"""A residual unit of a SoundStream encoder in one pass over tiles (CPU).

    c = conv(x),  y = x + elu(pointwise(elu(c)))

It keeps ``x`` and ``c`` for the way back; both ELUs and the 1 x 1 product are made again.
"""

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from drumblender.nets.conv import elu_and_slope
from drumblender.nets.tiles import (
    Geometry,
    Scratch,
    add_input_grad,
    conv_rows,
    tile_length,
    tiles,
    weight_grad,
    wide,
)


class ResidualUnit(torch.autograd.Function):
    """Rows ``(batch, frames, channels)`` to rows of the same shape."""

    @staticmethod
    def forward(ctx, x, weight, bias, point_weight, point_bias, geometry: Geometry) -> Tensor:
        c, y = torch.empty_like(x), torch.empty_like(x)
        scratch = _scratch(x)
        for item, start, stop in tiles(x, x.shape[-1]):
            tile = conv_rows(x[item], start, stop, weight, bias, geometry)
            c[item, start:stop] = tile
            inner, _ = elu_and_slope(tile, scratch, "inner")
            outer = _pointwise(inner.to(x.dtype), point_weight, point_bias, scratch)
            y[item, start:stop] = elu_and_slope(outer, scratch, "outer")[0].add_(x[item, start:stop])
        ctx.save_for_backward(x, c, weight, point_weight, point_bias)
        ctx.geometry = geometry
        return y

    @staticmethod
    @once_differentiable
    def backward(ctx, grad: Tensor):
        x, c, weight, point_weight, point_bias = ctx.saved_tensors
        grad, grad_c = grad.contiguous(), torch.empty_like(c)
        grads = [torch.zeros_like(wide(p)) for p in (weight, point_bias, point_weight, point_bias)]
        grad_weight, grad_bias, grad_point, grad_point_bias = grads
        scratch = _scratch(x)
        for item, start, stop in tiles(x, x.shape[-1]):
            inner, inner_slope = elu_and_slope(c[item, start:stop], scratch, "inner")
            inner = inner.to(x.dtype)
            outer = _pointwise(inner, point_weight, point_bias, scratch)
            outer_slope = outer.to(inner_slope.dtype).clamp_(max=0).exp_()
            outer = outer_slope.mul_(grad[item, start:stop])
            grad_point_bias += outer.sum(dim=0)
            outer = outer.to(x.dtype)
            grad_point += outer.T @ inner
            tile = inner_slope.mul_(_times(outer, point_weight, scratch))
            grad_bias += tile.sum(dim=0)
            tile = tile.to(x.dtype)
            grad_weight += weight_grad(x[item], tile, start, stop, weight, ctx.geometry)
            grad_c[item, start:stop] = tile
        grad_x = None
        if ctx.needs_input_grad[0]:
            grad_x = grad.clone()
            for into, out in zip(grad_x, grad_c, strict=True):
                add_input_grad(into, out, weight, ctx.geometry)
        return grad_x, *(g.to(weight.dtype) for g in grads), None


def _scratch(x: Tensor) -> Scratch:
    return Scratch(x, x.shape[-1], min(tile_length(x.shape[-1]), x.shape[1]))


def _pointwise(rows: Tensor, weight: Tensor, bias: Tensor, scratch: Scratch) -> Tensor:
    room = scratch.room("pointwise", len(rows))
    out = room if room.dtype == rows.dtype else None
    return torch.addmm(bias, rows, weight.T, out=out)


def _times(rows: Tensor, weight: Tensor, scratch: Scratch) -> Tensor:
    room = scratch.room("times", len(rows))
    return torch.mm(rows, weight, out=room if room.dtype == rows.dtype else None)
