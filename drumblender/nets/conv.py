"""Convolution over time that pads as it goes, fast on the CPU and plain elsewhere."""

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn
from torch.autograd.function import once_differentiable

from drumblender.nets.tiles import Tiling, filled_up, gradient_of, mirrored, packed_weight, stored


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

    On the CPU in float32 and bfloat16 it keeps no padded copy, and of an ELU only the result; a second
    derivative is not defined. A dilation goes with stride 1 only there.

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
    span = (weight.shape[-1] - 1) * dilation + 1
    if x.shape[1] != weight.shape[1]:
        raise ValueError(f"Needs {weight.shape[1]} channels, got {x.shape[1]}.")
    if x.shape[-1] + sum(padding) < span:
        raise ValueError(f"Needs at least {span - sum(padding)} frames, got {x.shape[-1]}.")
    if not tiled(x) or (stride > 1 and dilation > 1):
        y = F.conv1d(F.pad(x, padding) if any(padding) else x, weight, bias, stride, 0, dilation)
        return F.elu(y) if elu else y
    if stride > 1:
        x, weight, padding = fold(x, weight, stride, padding)
    return TiledConv.apply(under_autocast(x), weight, bias, dilation, padding, elu)


def tiled(x: Tensor) -> bool:
    """Whether the layers in tiles serve ``x``: on the CPU, in float32 or bfloat16, and not under a tracer."""
    if x.device.type != "cpu" or torch.compiler.is_compiling() or torch.jit.is_tracing():
        return False
    return x.dtype in (torch.float32, torch.bfloat16)


def under_autocast(x: Tensor) -> Tensor:
    """``x``, contiguous and in the type in which autocast keeps what lies between layers, where it is on."""
    dtype = torch.get_autocast_dtype("cpu") if torch.is_autocast_enabled("cpu") else x.dtype
    return x.to(dtype).contiguous()


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
        from drumblender.nets.kernels.conv_cpu import conv_weight_grad

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
    from drumblender.nets.kernels.conv_cpu import conv

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
