"""``gelu(gamma * norm(z) + beta) + skip`` in one pass on CUDA, and back in two.

Plain torch writes four tensors of the size of ``z`` and keeps three for the way back; this keeps ``z``.
"""

import torch
import triton
from torch import Tensor
from torch.autograd.function import once_differentiable
from triton import language as tl

from drumblender.nets.film import FiLM

_TILE = 1024  # frames of a program


def film_gelu(z: Tensor, embedding: Tensor, film: FiLM, skip: Tensor) -> Tensor:
    """``gelu(film(z, embedding)) + skip``; in training the running statistics of the batch norm move on.

    Raises:
        ValueError: Batch norm is to learn from a single frame.
    """
    gamma, beta = (gain.float() for gain in film.gains(embedding))
    mean, variance = film.moments(z)
    eps, learns = (0.0, False) if film.norm is None else (film.norm.eps, film.norm.training)
    return FilmGelu.apply(z, skip, gamma, beta, mean, variance, eps, learns)


class FilmGelu(torch.autograd.Function):
    """``(batch, channels, frames)`` to the same; ``mean`` and ``variance`` are of ``z`` where ``learns``."""

    @staticmethod
    def forward(ctx, z, skip, gamma, beta, mean, variance, eps: float, learns: bool) -> Tensor:
        z, scale = z.contiguous(), (variance + eps).rsqrt()
        gain = gamma * scale
        shift = beta - gain * mean
        y = torch.empty_like(z)
        _modulate[_grid(z)](z, skip.contiguous(), gain, shift, y, z.shape[2], TILE=_TILE)
        ctx.save_for_backward(z, gamma, gain, shift, mean, scale)
        ctx.learns = learns
        return y

    @staticmethod
    @once_differentiable
    def backward(ctx, grad_y: Tensor):
        z, gamma, gain, shift, mean, scale = ctx.saved_tensors
        (batch, channels, frames), grid, grad = z.shape, _grid(z), grad_y.contiguous()
        centre = -mean * scale
        sums = gain.new_empty(2, batch, channels, grid[0])
        settings = channels, frames, grid[0], batch * channels * grid[0]
        _modulate_sums[grid](z, grad, gain, shift, scale, centre, sums, *settings, TILE=_TILE)
        grad_beta, grad_gamma = sums.sum(dim=3)
        along_mean = along_normed = torch.zeros_like(scale)
        if ctx.learns:  # what the gradient loses because the mean and the variance were taken out
            share = scale / (batch * frames)
            along_mean = (gamma * grad_beta).sum(dim=0) * share
            along_normed = (gamma * grad_gamma).sum(dim=0) * share
        line = along_normed * scale, along_mean + along_normed * centre
        grad_z = torch.empty_like(z)
        _modulate_adjoint[grid](z, grad, gain, shift, *line, grad_z, channels, frames, TILE=_TILE)
        return grad_z, grad_y, grad_gamma, grad_beta, None, None, None, None


def _grid(z: Tensor) -> tuple[int, int]:
    return triton.cdiv(z.shape[2], _TILE), z.shape[0] * z.shape[1]


@triton.jit
def _place(frames, TILE: tl.constexpr):
    """Where the program's values lie, and which exist."""
    t = tl.program_id(0) * TILE + tl.arange(0, TILE)
    return tl.program_id(1).to(tl.int64) * frames + t, t < frames


@triton.jit
def _normal(u):
    """The share of a normal distribution below u, and its density there."""
    return 0.5 * (1 + tl.erf(u * 0.7071067811865476)), 0.3989422804014327 * tl.exp(-0.5 * u * u)


@triton.jit
def _slope(z, grad, gain, shift, at, inside):
    """The channel, and the gradient of what goes into the GELU."""
    row = tl.program_id(1)
    value = tl.load(z + at, mask=inside, other=0.0).to(tl.float32)
    u = tl.load(gain + row) * value + tl.load(shift + row)
    share, density = _normal(u)
    return value, tl.load(grad + at, mask=inside, other=0.0).to(tl.float32) * (share + u * density)


@triton.jit
def _modulate(z, skip, gain, shift, y, frames, TILE: tl.constexpr):
    row = tl.program_id(1)
    at, inside = _place(frames, TILE)
    value = tl.load(z + at, mask=inside, other=0.0).to(tl.float32)
    u = tl.load(gain + row) * value + tl.load(shift + row)
    out = u * _normal(u)[0] + tl.load(skip + at, mask=inside, other=0.0).to(tl.float32)
    tl.store(y + at, out.to(y.dtype.element_ty), mask=inside)


@triton.jit
def _modulate_sums(
    z, grad, gain, shift, scale, centre, sums, channels, frames, num_tiles, size, TILE: tl.constexpr
):
    """What a tile gives to beta and to gamma."""
    row = tl.program_id(1)
    at, inside = _place(frames, TILE)
    value, slope = _slope(z, grad, gain, shift, at, inside)
    normed = tl.load(scale + row % channels) * value + tl.load(centre + row % channels)
    place = sums + row * num_tiles + tl.program_id(0)
    tl.store(place, tl.sum(slope, axis=0))
    tl.store(place + size, tl.sum(slope * normed, axis=0))


@triton.jit
def _modulate_adjoint(
    z, grad, gain, shift, per_value, constant, grad_z, channels, frames, TILE: tl.constexpr
):
    row = tl.program_id(1)
    at, inside = _place(frames, TILE)
    value, slope = _slope(z, grad, gain, shift, at, inside)
    out = slope * tl.load(gain + row)
    out -= tl.load(per_value + row % channels) * value + tl.load(constant + row % channels)
    tl.store(grad_z + at, out.to(grad_z.dtype.element_ty), mask=inside)
