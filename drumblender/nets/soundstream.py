"""Blocks of a SoundStream encoder: residual units, then a strided convolution (Zeghidour et al. 2021)."""

import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

from drumblender.nets.conv import Pad, PaddedConv, conv1d
from drumblender.nets.cpu import tiled
from drumblender.nets.film import FiLM


class SoundStreamUnit(nn.Module):
    """``x + elu(FiLM(conv_1(elu(conv_k(x)))))``.

    Args:
        channels: Width, in and out.
        kernel_size, dilation: Of the first convolution.
        causal: Hear the past only.
        film: Size of the embedding and whether to normalise over the batch before; None: no FiLM.
    """

    def __init__(
        self, channels: int, kernel_size: int, dilation: int, *, causal: bool, film: tuple[int, bool] | None
    ) -> None:
        super().__init__()
        pad = Pad(kernel_size, dilation, causal)
        if sum(pad.padding) != dilation * (kernel_size - 1):
            raise ValueError(f"An encoder that is not causal needs an odd kernel_size, got {kernel_size=}.")
        self.net = nn.Sequential(
            pad,
            nn.Conv1d(channels, channels, kernel_size, dilation=dilation),
            nn.ELU(),
            nn.Conv1d(channels, channels, 1),
        )
        self.film = None if film is None else FiLM(film[0], channels, use_batch_norm=film[1])

    def forward(
        self,
        x: Float[Tensor, "batch channels frames"],
        film_embedding: Float[Tensor, "batch embedding"] | None = None,
    ) -> Float[Tensor, "batch channels frames"]:
        pad, conv, _, point = self.net
        if self.film is None and tiled(x):
            from drumblender.nets.cpu.residual_unit import residual_unit  # numba is slow to import

            return residual_unit(x, conv, pad.padding[0], point)
        h = conv1d(x, conv.weight, conv.bias, dilation=conv.dilation[0], padding=pad.padding, elu=True)
        h = conv1d(h, point.weight, point.bias if self.film is None else self.film.bias_before(point.bias))
        if self.film is not None:
            h = self.film(h, film_embedding)
        return x + F.elu(h)


class SoundStreamBlock(nn.Module):
    """Units with dilations 1, 3 and 9, then a convolution that steps by ``stride`` and doubles the width.

    Args:
        channels: Width that comes in; twice as many come out.
        kernel_size: Of the units.
        stride: Frames in for one out.
        causal, film: As :class:`SoundStreamUnit`.
    """

    def __init__(
        self, channels: int, kernel_size: int, stride: int, *, causal: bool, film: tuple[int, bool] | None
    ) -> None:
        super().__init__()
        self.net = nn.ModuleList(
            SoundStreamUnit(channels, kernel_size, dilation, causal=causal, film=film)
            for dilation in (1, 3, 9)
        )
        self.output = PaddedConv(
            Pad(2 * stride, 1, causal), nn.Conv1d(channels, 2 * channels, 2 * stride, stride), elu=True
        )

    def forward(
        self,
        x: Float[Tensor, "batch channels frames"],
        film_embedding: Float[Tensor, "batch embedding"] | None = None,
    ) -> Float[Tensor, "batch out_channels out_frames"]:
        for unit in self.net:
            x = unit(x, film_embedding)
        return self.output(x)
