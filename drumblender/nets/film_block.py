"""A block of a FiLM-conditioned TCN in one pass over tiles (CPU).

    z = conv(x),  y = gelu(gamma * norm(z) + beta) + residual(x)

Plain torch keeps eight tensors of the size of ``x`` for the way back; this keeps ``x`` and ``z``.
"""

from typing import NamedTuple

import torch
from torch import Tensor
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
        y, scratch = torch.empty_like(z), _scratch(z, channels)
        for item, start, stop in tiles(z, channels):
            tile = y[item, start:stop]
            before, normed = _modulated(z[item, start:stop], mean, scale, gamma[item], beta[item], scratch)
            active = torch.ops.aten.gelu.out(before, out=normed)
            torch.addmm(skip_bias, x[item, start:stop], skip_weight.T, out=tile)
            tile += active
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
        grad_z, scratch = torch.empty_like(z), _scratch(z, channels)
        for item, start, stop in tiles(z, channels):
            out = grad[item, start:stop]
            grad_skip += out.T @ x[item, start:stop]
            grad_skip_bias += wide(out).sum(dim=0)
            before, normed = _modulated(z[item, start:stop], mean, scale, gamma[item], beta[item], scratch)
            before = torch.ops.aten.gelu_backward.grad_input(wide(out), before, grad_input=before)
            grad_beta[item] += before.sum(dim=0)
            grad_gamma[item] += normed.mul_(before).sum(dim=0)
            grad_z[item, start:stop] = before.mul_(gamma[item] * scale)
        if ctx.batch_stats:
            along_mean, along_normed = _through_the_moments(gamma, grad_gamma, grad_beta, scale, z)
        grad_weight, grad_bias = torch.zeros_like(wide(weight)), torch.zeros_like(mean)
        for item, start, stop in tiles(z, channels):
            tile = grad_z[item, start:stop]
            if ctx.batch_stats:
                normed = scratch.room("normed", stop - start)
                torch.addcmul(-mean * scale, z[item, start:stop], scale, out=normed)
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


def _scratch(rows: Tensor, channels: int) -> Scratch:
    return Scratch(rows, rows.shape[-1], min(tile_length(channels), rows.shape[1]))


def _modulated(z, mean, scale, gamma, beta, scratch: Scratch) -> tuple[Tensor, Tensor]:
    """What goes into the activation, and the normalised channels it was made of."""
    normed, before = scratch.room("normed", len(z)), scratch.room("before", len(z))
    torch.addcmul(-mean * scale, z, scale, out=normed)
    return torch.addcmul(beta, normed, gamma, out=before), normed


def _moments(rows: Tensor) -> tuple[Tensor, Tensor]:
    """Mean and variance of each channel over batch and frames, summed in double around a first guess."""
    num_rows, channels = rows.shape[0] * rows.shape[1], rows.shape[2]
    guess, scratch = wide(rows[0, :256]).mean(dim=0), _scratch(rows, channels)
    first, second = torch.zeros(2, channels, dtype=torch.float64)
    for item, start, stop in tiles(rows, channels):
        centred = torch.sub(rows[item, start:stop], guess, out=scratch.room("centred", stop - start))
        first += centred.sum(dim=0)
        second += centred.square_().sum(dim=0)
    first, second = first / num_rows, second / num_rows
    return (guess + first).to(guess.dtype), (second - first.square()).clamp(min=0).to(guess.dtype)


def _through_the_moments(gamma, grad_gamma, grad_beta, scale, z) -> tuple[Tensor, Tensor]:
    """What the gradient of ``z`` loses because its mean and its variance were taken out, for each channel."""
    share = scale / (z.shape[0] * z.shape[1])
    return (gamma * grad_beta).sum(dim=0) * share, (gamma * grad_gamma).sum(dim=0) * share
