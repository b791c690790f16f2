"""Convolution over time that pads as it goes, fast on the CPU and plain elsewhere."""

import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

from drumblender.nets.cpu import tiled, under_autocast


class Pad(nn.Module):
    """Pads with the zeros that keep a stride-1 convolution as long as its input.

    Args:
        kernel_size: Taps of the convolution that follows.
        dilation: Frames between two taps.
        causal: All zeros before the sound, so that no output hears the future. Otherwise half on each
            side; where their number is odd the output is one frame shorter.

    Examples:
        >>> import torch
        >>> Pad(kernel_size=3, dilation=2)(torch.ones(1, 1, 2))  # causal: nothing after the sound
        tensor([[[0., 0., 0., 0., 1., 1.]]])
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

    Examples:
        >>> import torch
        >>> conv = PaddedConv(Pad(kernel_size=3, dilation=2), nn.Conv1d(1, 8, 3, dilation=2))
        >>> conv(torch.randn(2, 1, 100)).shape
        torch.Size([2, 8, 100])
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
    from drumblender.nets.cpu.conv import TiledConv, fold  # numba is slow to import

    if stride > 1:
        x, weight, padding = fold(x, weight, stride, padding)
    return TiledConv.apply(under_autocast(x), weight, bias, dilation, padding, elu)
