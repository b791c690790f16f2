"""A block of a FiLM-conditioned TCN in one pass over tiles (CPU).

    z = conv(x),  y = gelu(gamma * norm(z) + beta) + residual(x)

Plain torch keeps eight tensors of the size of ``x`` for the way back; this keeps ``x`` and ``z``.
"""

from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.autograd.function import once_differentiable

from drumblender.nets.tiles import Geometry, add_input_grad, conv_rows, tiles, weight_grad, wide


class Norm(NamedTuple):
    """How the channels are normalised before FiLM.

    Args:
        mean, variance: Running statistics; None to take those of the batch.
        eps: Added to the variance.
    """

    mean: Tensor | None
    variance: Tensor | None
    eps: float


class FilmBlock(torch.autograd.Function):
    """Rows ``(batch, frames, channels)`` to rows of the same length, with the mean and the variance used."""

    @staticmethod
    def forward(
        ctx, x, weight, bias, gamma, beta, skip_weight, skip_bias, geometry: Geometry, norm: Norm | None
    ) -> tuple[Tensor, Tensor, Tensor]:
        channels = max(weight.shape[:2])
        z = x.new_empty(*x.shape[:2], len(weight))
        for item, start, stop in tiles(z, channels):
            z[item, start:stop] = conv_rows(x[item], start, stop, weight, bias, geometry)
        mean, variance = gamma.new_zeros(len(weight)), gamma.new_ones(len(weight))
        batch_stats = norm is not None and norm.mean is None
        if batch_stats:
            mean, variance = _moments(z)
        elif norm is not None:
            mean, variance = norm.mean.clone(), norm.variance.clone()  # the next step may change them
        scale = (variance + norm.eps).rsqrt() if norm is not None else variance
        y = torch.empty_like(z)
        for item, start, stop in tiles(z, channels):
            normed = torch.addcmul(-mean * scale, wide(z[item, start:stop]), scale)
            active = F.gelu(torch.addcmul(beta[item], normed, gamma[item]))
            skip = torch.addmm(skip_bias, x[item, start:stop], skip_weight.T)
            y[item, start:stop] = active.add_(skip)
        ctx.save_for_backward(x, z, weight, gamma, beta, skip_weight, mean, scale)
        ctx.geometry, ctx.batch_stats = geometry, batch_stats
        ctx.mark_non_differentiable(mean, variance)
        return y, mean, variance

    @staticmethod
    @once_differentiable
    def backward(ctx, grad: Tensor, *_):
        x, z, weight, gamma, beta, skip_weight, mean, scale = ctx.saved_tensors
        grad, channels = grad.contiguous(), max(weight.shape[:2])
        grad_gamma, grad_beta = torch.zeros_like(gamma), torch.zeros_like(beta)
        grad_skip, grad_skip_bias = torch.zeros_like(wide(skip_weight)), torch.zeros_like(mean)
        grad_z = torch.empty_like(z)
        for item, start, stop in tiles(z, channels):
            out = grad[item, start:stop]
            grad_skip += out.T @ x[item, start:stop]
            grad_skip_bias += wide(out).sum(dim=0)
            normed = torch.addcmul(-mean * scale, wide(z[item, start:stop]), scale)
            before = torch.addcmul(beta[item], normed, gamma[item])
            before = torch.ops.aten.gelu_backward(wide(out), before)
            grad_beta[item] += before.sum(dim=0)
            grad_gamma[item] += normed.mul_(before).sum(dim=0)
            grad_z[item, start:stop] = before.mul_(gamma[item] * scale)
        if ctx.batch_stats:
            along_mean, along_normed = _through_the_moments(gamma, grad_gamma, grad_beta, scale, z)
        grad_weight, grad_bias = torch.zeros_like(wide(weight)), torch.zeros_like(mean)
        for item, start, stop in tiles(z, channels):
            tile = grad_z[item, start:stop]
            if ctx.batch_stats:
                normed = torch.addcmul(-mean * scale, wide(z[item, start:stop]), scale)
                tile -= normed.mul_(along_normed).add_(along_mean)
            grad_weight += weight_grad(x[item], tile, start, stop, weight, ctx.geometry)
            grad_bias += wide(tile).sum(dim=0)
        grad_x = None
        if ctx.needs_input_grad[0]:
            grad_x = torch.empty_like(x)
            for item, into in enumerate(grad_x):
                torch.mm(grad[item], skip_weight, out=into)
                add_input_grad(into, grad_z[item], weight, ctx.geometry)
        grads = grad_weight, grad_bias, grad_gamma, grad_beta, grad_skip, grad_skip_bias
        dtypes = weight.dtype, weight.dtype, gamma.dtype, beta.dtype, weight.dtype, weight.dtype
        return grad_x, *(g.to(dtype) for g, dtype in zip(grads, dtypes, strict=True)), None, None


def _moments(rows: Tensor) -> tuple[Tensor, Tensor]:
    """Mean and variance of each channel over batch and frames, summed in double around a first guess."""
    num_rows, channels = rows.shape[0] * rows.shape[1], rows.shape[2]
    guess = wide(rows[0, :256]).mean(dim=0)
    first, second = torch.zeros(2, channels, dtype=torch.float64)
    for item, start, stop in tiles(rows, channels):
        centred = wide(rows[item, start:stop]) - guess
        first += centred.sum(dim=0)
        second += centred.square_().sum(dim=0)
    first, second = first / num_rows, second / num_rows
    return (guess + first).to(guess.dtype), (second - first.square()).clamp(min=0).to(guess.dtype)


def _through_the_moments(gamma, grad_gamma, grad_beta, scale, z) -> tuple[Tensor, Tensor]:
    """What the gradient of ``z`` loses because its mean and its variance were taken out, for each channel."""
    share = scale / (z.shape[0] * z.shape[1])
    return (gamma * grad_beta).sum(dim=0) * share, (gamma * grad_gamma).sum(dim=0) * share
