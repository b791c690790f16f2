"""A biquad on CUDA as a parallel scan over time, in double precision.

With the last two outputs as its state s, the recursion is ``s[n] = A s[n-1] + (v[n], 0)``. Such steps
compose, in any grouping: ``(A, u)`` and then ``(B, v)`` is ``(B A, B u + v)`` (Blelloch 1990; Martin, Cundy
2018). So each program composes the steps of a tile, one a row those of the tiles, and a third pass plays.
"""

import torch
import triton
from torch import Tensor
from torch.autograd.function import once_differentiable
from torch.nn import functional as F
from triton import language as tl

_TILE = 256  # samples, and tiles, that are composed at once


class Biquad(torch.autograd.Function):
    @staticmethod
    def forward(ctx, audio: Tensor, b: Tensor, a: Tensor, clamp: bool) -> Tensor:
        ctx.save_for_backward(audio, b, a)
        ctx.clamp = clamp
        return _filtered(audio, b, a, audio.dtype, clamp=clamp)

    @staticmethod
    @once_differentiable
    def backward(ctx, grad: Tensor):
        audio, b, a = ctx.saved_tensors
        wide, x, y = grad.double(), audio.double(), _filtered(audio, b, a, torch.float64)
        if ctx.clamp:
            wide = wide.masked_fill(y.abs() > 1, 0.0)
        impulse = torch.zeros_like(b)
        impulse[:, 0] = 1
        w = _filtered(wide, impulse, a, torch.float64, reverse=True)  # what a sample gives to all later ones
        by_b = torch.stack([_correlation(w, x, lag) for lag in range(3)], dim=1)
        by_a = -torch.stack([_correlation(w, y, lag) for lag in range(1, 3)], dim=1)
        ahead = F.pad(w, (0, 2)).unfold(1, w.shape[1], 1)  # (batch, 3, samples), each a step later
        by_audio = (b.double()[:, None] @ ahead)[:, 0]
        return by_audio.to(audio.dtype), by_b.to(b.dtype), F.pad(by_a, (1, 0)).to(a.dtype), None


def _correlation(w: Tensor, x: Tensor, lag: int) -> Tensor:
    return torch.linalg.vecdot(w[:, lag:], x[:, : max(x.shape[1] - lag, 0)])


def _filtered(
    x: Tensor, b: Tensor, a: Tensor, dtype: torch.dtype, *, clamp: bool = False, reverse: bool = False
) -> Tensor:
    """Each row filtered from rest, from its end where it is reversed."""
    x, b, a = x.contiguous(), b.contiguous(), a.contiguous()
    (rows, num_samples), out = x.shape, torch.empty_like(x, dtype=dtype)
    num_tiles = triton.cdiv(num_samples, _TILE)
    steps = torch.empty(6, rows, num_tiles, device=x.device, dtype=torch.float64)
    states = torch.empty(2, rows, num_tiles, device=x.device, dtype=torch.float64)
    grid, settings = (num_tiles, rows), {"REVERSE": reverse, "TILE": _TILE}
    _compose[grid](x, b, a, steps, num_samples, num_tiles, rows * num_tiles, **settings)
    _join[(rows,)](steps, states, num_tiles, rows * num_tiles, TILES=_TILE)
    inputs = x, b, a, states, out, num_samples, num_tiles, rows * num_tiles
    _play[grid](*inputs, CLAMP=clamp, **settings)
    return out


@triton.jit
def _then(a11, a12, a21, a22, u1, u2, b11, b12, b21, b22, v1, v2):
    """The step a, u and after it the step b, v, as one."""
    return (
        b11 * a11 + b12 * a21,
        b11 * a12 + b12 * a22,
        b21 * a11 + b22 * a21,
        b21 * a12 + b22 * a22,
        b11 * u1 + b12 * u2 + v1,
        b21 * u1 + b22 * u2 + v2,
    )


@triton.jit
def _read(x, n, num_samples, REVERSE: tl.constexpr):
    inside = (n >= 0) & (n < num_samples)
    place = num_samples - 1 - n if REVERSE else n
    return tl.load(x + place, mask=inside, other=0.0).to(tl.float64)


@triton.jit
def _steps(x, b, a, n, num_samples, REVERSE: tl.constexpr, TILE: tl.constexpr):
    """The steps of a tile, each composed with all before it in the tile."""
    v = tl.load(b).to(tl.float64) * _read(x, n, num_samples, REVERSE)
    v += tl.load(b + 1).to(tl.float64) * _read(x, n - 1, num_samples, REVERSE)
    v += tl.load(b + 2).to(tl.float64) * _read(x, n - 2, num_samples, REVERSE)
    zero = tl.zeros([TILE], tl.float64)
    a1, a2 = zero - tl.load(a + 1).to(tl.float64), zero - tl.load(a + 2).to(tl.float64)
    return tl.associative_scan((a1, a2, zero + 1.0, zero, v, zero), 0, _then)


@triton.jit
def _compose(x, b, a, steps, num_samples, num_tiles, size, REVERSE: tl.constexpr, TILE: tl.constexpr):
    """The step over a whole tile."""
    tile, row = tl.program_id(0), tl.program_id(1).to(tl.int64)
    lane = tl.arange(0, TILE)
    n = tile * TILE + lane
    found = _steps(x + row * num_samples, b + row * 3, a + row * 3, n, num_samples, REVERSE, TILE)
    for part in tl.static_range(6):
        place = steps + part * size + row * num_tiles + tile
        tl.store(place + lane * 0, found[part], mask=lane == TILE - 1)


@triton.jit
def _join(steps, states, num_tiles, size, TILES: tl.constexpr):
    """The state after each tile of a row."""
    row = tl.program_id(0).to(tl.int64)
    steps, states = steps + row * num_tiles, states + row * num_tiles
    s1, s2, first = tl.zeros([1], tl.float64), tl.zeros([1], tl.float64), 0
    while first < num_tiles:
        tile = first + tl.arange(0, TILES)
        step = ()
        for part in tl.static_range(6):  # that does nothing past the end: 1 on the diagonal
            idle = 1.0 if part == 0 or part == 3 else 0.0
            step = step + (tl.load(steps + part * size + tile, mask=tile < num_tiles, other=idle),)
        found = tl.associative_scan(step, 0, _then)
        after1 = found[0] * s1 + found[1] * s2 + found[4]
        after2 = found[2] * s1 + found[3] * s2 + found[5]
        tl.store(states + tile, after1, mask=tile < num_tiles)
        tl.store(states + size + tile, after2, mask=tile < num_tiles)
        last = tl.arange(0, TILES) == TILES - 1
        s1 = tl.sum(tl.where(last, after1, 0.0), axis=0, keep_dims=True)
        s2 = tl.sum(tl.where(last, after2, 0.0), axis=0, keep_dims=True)
        first += TILES


@triton.jit
def _play(
    x,
    b,
    a,
    states,
    out,
    num_samples,
    num_tiles,
    size,
    CLAMP: tl.constexpr,
    REVERSE: tl.constexpr,
    TILE: tl.constexpr,
):
    """The outputs of a tile, from the state before it."""
    tile, row = tl.program_id(0), tl.program_id(1).to(tl.int64)
    n = tile * TILE + tl.arange(0, TILE)
    found = _steps(x + row * num_samples, b + row * 3, a + row * 3, n, num_samples, REVERSE, TILE)
    before = row * num_tiles + tile - 1
    s1 = tl.load(states + before, mask=tile > 0, other=0.0)
    s2 = tl.load(states + size + before, mask=tile > 0, other=0.0)
    y = found[0] * s1 + found[1] * s2 + found[4]
    if CLAMP:
        y = tl.where(y > 1, 1.0, tl.where(y < -1, -1.0, y))  # NaN stays
    place = num_samples - 1 - n if REVERSE else n
    tl.store(out + row * num_samples + place, y, mask=n < num_samples)
