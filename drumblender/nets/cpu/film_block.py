"""A block of a FiLM-conditioned TCN in one pass over tiles (CPU).

    z = conv(x),  y = gelu(gamma * norm(z) + beta) + residual(x)

Plain torch keeps eight tensors of the size of ``x`` for the way back; this keeps ``x`` and ``z``.
"""

from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor, nn
from torch.autograd.function import once_differentiable

from drumblender.nets.cpu import conv_loops, film_block_loops, under_autocast
from drumblender.nets.cpu.tiling import Tiling, filled_up, gradient_of, mirrored, packed_weight, stored
from drumblender.nets.film import FiLM


class Norm(NamedTuple):
    """How the channels are normalised before FiLM.

    Args:
        mean, variance: Running statistics; None to take those of the batch.
        eps: Added to the variance.
    """

    mean: Tensor | None
    variance: Tensor | None
    eps: float


def film_block(
    x: Tensor, embedding: Tensor, conv: nn.Conv1d, left: int, film: FiLM, residual: nn.Conv1d
) -> Tensor:
    """``gelu(film(conv(x))) + residual(x)``, with ``left`` zeros before the sound.

    In training the running statistics of the batch norm move on.

    Raises:
        ValueError: Batch norm is to learn from a single frame.
    """
    gamma, beta = (gain.float() for gain in film.gains(embedding))
    bn, norm = film.norm, None
    if bn is not None:
        if bn.training and x.shape[0] * x.shape[2] < 2:
            raise ValueError("Batch norm learns from more than 1 frame, got 1.")
        running = (None, None) if bn.training else (bn.running_mean, bn.running_var)
        norm = Norm(*running, bn.eps)
    weights = conv.weight, conv.bias, gamma, beta, residual.weight, residual.bias
    y, mean, variance = FilmBlock.apply(under_autocast(x), *weights, conv.dilation[0], left, norm)
    if bn is not None and bn.training:
        film.learn(mean, variance, num_values=y.shape[0] * y.shape[2])
    return y


class FilmBlock(torch.autograd.Function):
    """Sound ``(batch, channels, frames)`` to sound as long, with the mean and the variance used."""

    @staticmethod
    def forward(
        ctx,
        x,
        weight,
        bias,
        gamma,
        beta,
        skip_weight,
        skip_bias,
        dilation: int,
        left: int,
        norm: Norm | None,
    ) -> tuple[Tensor, Tensor, Tensor]:
        channels, taps = len(weight), weight.shape[2]
        z, tiling = x.new_empty(len(x), channels, x.shape[2]), Tiling(x, max(weight.shape[:2]))
        mean, variance = gamma.new_zeros(channels), gamma.new_ones(channels)
        batch_stats = norm is not None and norm.mean is None
        moments = np.empty((tiling.num_tiles if batch_stats else 0, channels, 2), np.float32)
        window = packed_weight(weight, x), filled_up(bias, channels), taps, dilation, left
        tiling.run(film_block_loops.conv_moments, *stored(x), *window, *stored(z), moments)
        if batch_stats:
            mean, variance = _merged(moments, tiling, x.shape[2])
        elif norm is not None:
            mean, variance = norm.mean.clone(), norm.variance.clone()  # the next step may change them
        scale = (variance + norm.eps).rsqrt() if norm is not None else variance
        y, gains = torch.empty_like(z), _gains(gamma, beta, mean, scale)
        skip = packed_weight(skip_weight, x), filled_up(skip_bias, channels)
        tiling.run(film_block_loops.modulate, *stored(x, z), *gains, *skip, *stored(y))
        ctx.save_for_backward(x, z, weight, bias, gamma, beta, skip_weight, skip_bias, mean, scale)
        ctx.settings = dilation, left, batch_stats
        ctx.mark_non_differentiable(mean, variance)
        return y, mean, variance

    @staticmethod
    @once_differentiable
    def backward(ctx, grad_y: Tensor, *_):
        x, z, weight, bias, gamma, beta, skip_weight, skip_bias, mean, scale = ctx.saved_tensors
        (dilation, left, batch_stats), taps = ctx.settings, weight.shape[2]
        grad_y, grad_z, tiling = grad_y.contiguous(), torch.empty_like(z), Tiling(x, max(weight.shape[:2]))
        gains, centre = _gains(gamma, beta, mean, scale), -mean * scale
        sums = tiling.run(
            film_block_loops.modulate_adjoint, *stored(x, z, grad_y), *gains, *stored(centre, scale, grad_z)
        )
        grad_gamma, grad_beta = torch.from_numpy(sums[0]), torch.from_numpy(sums[1])
        if batch_stats:  # what the gradient loses because the mean and the variance were taken out
            share = scale / (z.shape[0] * z.shape[2])
            along_mean = (gamma * grad_beta).sum(dim=0) * share
            along_normed = (gamma * grad_gamma).sum(dim=0) * share
            line = stored(along_normed * scale, along_mean + along_normed * centre)
            tiling.run(film_block_loops.moments_adjoint, *stored(z), *line, *stored(grad_z))
        conv_sums = tiling.run(
            conv_loops.conv_weight_grad, *stored(x, z, grad_z), taps, dilation, left, False, *stored(grad_z)
        )
        if batch_stats:  # the mean takes the bias out again; its sum would be the rounding of its parts
            conv_sums[1][:] = 0
        grad_x = None
        if ctx.needs_input_grad[0]:
            grad_x = torch.empty_like(x)
            window = packed_weight(mirrored(weight), x), taps, dilation, (taps - 1) * dilation - left
            skip = packed_weight(mirrored(skip_weight), x)
            tiling.run(
                film_block_loops.input_grad, *stored(grad_z), *window, *stored(grad_y), skip, *stored(grad_x)
            )
        return (
            grad_x,
            *map(gradient_of, (weight, bias), conv_sums),
            grad_gamma,
            grad_beta,
            *map(gradient_of, (skip_weight, skip_bias), sums[2:]),
            None,
            None,
            None,
        )


def _gains(gamma: Tensor, beta: Tensor, mean: Tensor, scale: Tensor) -> list[np.ndarray]:
    """What ``z`` is multiplied by, and what is added: normalisation and FiLM in one."""
    gain = gamma * scale
    return stored(gain.contiguous(), (beta - gain * mean).contiguous())


def _merged(moments: np.ndarray, tiling: Tiling, num_frames: int) -> tuple[Tensor, Tensor]:
    """Mean and variance of each channel over all tiles, in double (Chan et al. 1979)."""
    frames = (num_frames - tiling.starts).clamp(max=tiling.length).double()
    frames = frames.repeat(tiling.num_tiles // len(frames))[:, None]
    means, squares = torch.from_numpy(moments).double().unbind(dim=-1)
    mean = (frames * means).sum(dim=0) / frames.sum()
    variance = (squares + frames * (means - mean).square()).sum(dim=0) / frames.sum()
    return mean.float(), variance.float()
