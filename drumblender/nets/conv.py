"""Convolution over time that pads as it goes, fast on the CPU and plain elsewhere."""

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn
from torch.autograd.function import once_differentiable

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


class Pad(nn.Module):
    """Pads with the zeros that keep a stride-1 convolution as long as its input.

    Args:
        kernel_size: Taps of the convolution that follows.
        dilation: Frames between two taps.
        causal: All zeros before the sound, so that no output hears the future. Otherwise half on each
            side; where their number is odd the output is one frame shorter.
    """

    def __init__(self, kernel_size: int, dilation: int = 1, causal: bool = True) -> None:
        super().__init__()
        if min(kernel_size, dilation) < 1:
            raise ValueError(f"Need at least 1, got {kernel_size=} and {dilation=}.")
        total = dilation * (kernel_size - 1)
        self.padding = (total, 0) if causal else (total // 2, total // 2)

    def forward(self, x: Float[Tensor, "*batch frames"]) -> Float[Tensor, "*batch padded"]:
        return F.pad(x, self.padding)


class PaddedConv(nn.Sequential):
    """A :class:`Pad` and the convolution after it, in one step that makes no padded copy.

    Args:
        pad: Entry 0.
        conv: Entry 1; without padding or groups of its own.
        elu: Ends in an ELU (which has no weights, hence no entry).
    """

    def __init__(self, pad: Pad, conv: nn.Conv1d, *, elu: bool = False) -> None:
        super().__init__(pad, conv)
        self.elu = elu

    def forward(
        self, x: Float[Tensor, "batch channels frames"]
    ) -> Float[Tensor, "batch out_channels out_frames"]:
        pad, conv = self
        return conv1d(
            x,
            conv.weight,
            conv.bias,
            stride=conv.stride[0],
            dilation=conv.dilation[0],
            padding=pad.padding,
            elu=self.elu,
        )


def conv1d(
    x: Float[Tensor, "batch channels frames"],
    weight: Float[Tensor, "out_channels in_channels taps"],
    bias: Float[Tensor, "out_channels"] | None = None,
    *,
    stride: int = 1,
    dilation: int = 1,
    padding: tuple[int, int] = (0, 0),
    elu: bool = False,
) -> Float[Tensor, "batch out_channels out_frames"]:
    """``torch.nn.functional.conv1d`` with zeros of its own on each side, and an ELU where asked for.

    On the CPU in float32 and bfloat16 the result is stored as rows of channels (its ``transpose(1, 2)`` is
    contiguous), it keeps no padded copy, and of an ELU only the result; a second derivative is not defined.

    Args:
        x: Sound or features.
        weight: As that of ``nn.Conv1d``.
        bias: One number a channel, or none.
        stride: Frames of the input for one of the output.
        dilation: Frames between two taps.
        padding: Zeros before and after.
        elu: Apply an ELU to the result.

    Raises:
        ValueError: The input has other channels than the weight takes, or fewer frames than one output sees.
    """
    geometry = Geometry(stride, dilation, *padding)
    if x.shape[1] != weight.shape[1]:
        raise ValueError(f"Needs {weight.shape[1]} channels, got {x.shape[1]}.")
    if geometry.num_frames(x.shape[-1], weight.shape[-1]) < 1:
        needed = geometry.span(weight.shape[-1]) - sum(padding)
        raise ValueError(f"Needs at least {needed} frames, got {x.shape[-1]}.")
    if not tiled(x):
        y = F.conv1d(F.pad(x, padding) if any(padding) else x, weight, bias, stride, 0, dilation)
        return F.elu(y) if elu else y
    rows, weight, bias = cast(to_rows(x), weight, bias)
    with torch.autocast("cpu", enabled=False):
        return TiledConv.apply(rows, weight, bias, geometry, elu).transpose(1, 2)


def tiled(x: Tensor) -> bool:
    """Whether the layers in tiles serve ``x``: on the CPU, in float32 or bfloat16, and not under a tracer."""
    if x.device.type != "cpu" or torch.compiler.is_compiling() or torch.jit.is_tracing():
        return False
    return x.dtype in (torch.float32, torch.bfloat16)


def to_rows(x: Float[Tensor, "batch channels frames"]) -> Float[Tensor, "batch frames channels"]:
    """Contiguous rows of channels; free where ``x`` came from a tiled layer."""
    return x.transpose(1, 2).contiguous()


def cast(*tensors: Tensor | None) -> tuple[Tensor | None, ...]:
    """Tensors in the type that autocast asks matrix products to run in, where it is on."""
    if not torch.is_autocast_enabled("cpu"):
        return tensors
    dtype = torch.get_autocast_dtype("cpu")
    return tuple(tensor if tensor is None else tensor.to(dtype) for tensor in tensors)


def elu_and_slope(x: Tensor, scratch: Scratch, name: str) -> tuple[Tensor, Tensor]:
    """ELU and its derivative from one exponential; ``expm1`` of torch costs five times as much.

    Both lie in ``scratch``, under names made of ``name``.
    """
    slope = scratch.room(f"{name} slope", len(x))
    value = scratch.room(f"{name} value", len(x))
    torch.minimum(x, x.new_zeros(()), out=slope).exp_()  # clamp has no wider result
    torch.sub(slope, 1, out=value)  # at most 0, and never below x where x is
    return torch.maximum(value, x, out=value), slope


class TiledConv(torch.autograd.Function):
    """Rows ``(batch, frames, channels)`` to rows."""

    @staticmethod
    def forward(ctx, x, weight, bias, geometry: Geometry, elu: bool) -> Tensor:
        out_channels, in_channels, size = weight.shape
        y = x.new_empty(len(x), geometry.num_frames(x.shape[1], size), out_channels)
        widest = max(out_channels, in_channels * geometry.stride)
        scratch = Scratch(y, out_channels, min(tile_length(widest), y.shape[1]))
        for item, start, stop in tiles(y, widest):
            tile = conv_rows(x[item], start, stop, weight, bias, geometry)
            y[item, start:stop] = elu_and_slope(tile, scratch, "out")[0] if elu else tile
        ctx.save_for_backward(x, weight, *([y] if elu else []))
        ctx.geometry, ctx.has_bias = geometry, bias is not None
        return y

    @staticmethod
    @once_differentiable
    def backward(ctx, grad: Tensor):
        x, weight, *result = ctx.saved_tensors
        geometry, grad = ctx.geometry, grad.contiguous()
        widest = max(weight.shape[0], weight.shape[1] * geometry.stride)
        scratch = Scratch(grad, len(weight), min(tile_length(widest), grad.shape[1]))
        if result:
            slope_from, grad, above = result[0], torch.empty_like(grad), grad
        grad_weight, grad_bias = torch.zeros_like(wide(weight)), wide(weight).new_zeros(len(weight))
        for item, start, stop in tiles(grad, widest):
            tile = grad[item, start:stop]
            if result:  # the slope of an ELU below 0 is its result + 1
                slope = scratch.room("slope", stop - start)
                torch.minimum(slope_from[item, start:stop], grad.new_zeros(()), out=slope)
                tile.copy_(slope.add_(1).mul_(above[item, start:stop]))
            grad_bias += wide(tile).sum(dim=0)
            if ctx.needs_input_grad[1]:
                grad_weight += weight_grad(x[item], tile, start, stop, weight, geometry)
        grad_x = None
        if ctx.needs_input_grad[0]:
            grad_x = torch.zeros_like(x)
            for into, out in zip(grad_x, grad, strict=True):
                add_input_grad(into, out, weight, geometry)
        grad_bias = grad_bias.to(weight.dtype) if ctx.has_bias else None
        return grad_x, grad_weight.to(weight.dtype), grad_bias, None, None
