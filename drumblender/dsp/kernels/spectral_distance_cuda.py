"""Sums over magnitudes of two spectra on CUDA, one pass over memory each, with their adjoint.

An item is a row of bins, real and imaginary parts interleaved. A program adds up a tile of it in float32;
tiles are added in float64, in one order.
"""

import torch
import triton
from torch import Tensor
from torch.autograd.function import once_differentiable
from triton import language as tl

_TILE = 1024  # bins of a program


class SpectralSums(torch.autograd.Function):
    """The four sums of each item, ``(batch, 4)``, for a target that needs no gradient."""

    @staticmethod
    def forward(ctx, x: Tensor, y: Tensor, floor: float, offset: float, match_gain: bool) -> Tensor:
        x, y = x.resolve_conj().contiguous(), y.resolve_conj().contiguous()
        gain, reach = x.new_ones(len(x), dtype=torch.float64), None
        if match_gain:
            cross, energy = _summed(_products, 2, x, y, floor)
            matchable = (cross > 0) & (energy > 0)
            gain = torch.where(matchable, cross, 1.0) / torch.where(matchable, energy, 1.0)
            reach = torch.where(cross > 0, energy, 0.0)
        narrow = gain.float()
        sums = _summed(_distances, 4, x, y, narrow, floor, offset)
        ctx.save_for_backward(x, y, gain, sums, *([] if reach is None else [reach]))
        ctx.limits = floor, offset
        return sums.T

    @staticmethod
    @once_differentiable
    def backward(ctx, grad: Tensor) -> tuple[Tensor, None, None, None, None]:
        x, y, gain, sums, *reach = ctx.saved_tensors
        by_squares, by_energy, by_logs, by_absolute = grad.unbind(1)
        by_cross = torch.zeros_like(gain)
        if reach:
            inner, logs, absolute = _summed(_gain_slopes, 3, x, y, gain.float(), *ctx.limits)
            by_gain = 2 * by_energy * sums[1] / gain
            by_gain = by_gain - 2 * by_squares * inner - by_logs * logs - by_absolute * absolute
            heard = reach[0] > 0
            by_cross = torch.where(heard, by_gain / torch.where(heard, reach[0], 1.0), 0.0)
        weights = torch.stack([by_squares, by_logs, by_absolute, by_cross], dim=1).float()
        by_x = torch.empty_like(x)
        rows, (num_tiles, batch, bins) = (torch.view_as_real(part) for part in (x, y, by_x)), _sizes(x)
        x, y, out = rows
        settings = gain.float(), weights, out, *ctx.limits, bins
        _adjoint[num_tiles, batch](x, y, *settings, TILE=_TILE)
        return by_x, None, None, None, None


def _sizes(x: Tensor) -> tuple[int, int, int]:
    """Tiles of an item, items, and bins of an item over all frames."""
    bins = x[0].numel()
    return triton.cdiv(bins, _TILE), len(x), bins


def _summed(
    kernel: triton.JITFunction, count: int, x: Tensor, y: Tensor, *settings: Tensor | float
) -> Tensor:
    num_tiles, batch, bins = _sizes(x)
    parts = torch.empty(count, batch, num_tiles, device=x.device)
    rows = torch.view_as_real(x), torch.view_as_real(y)
    kernel[num_tiles, batch](*rows, *settings, parts, bins, num_tiles, batch * num_tiles, TILE=_TILE)
    return parts.sum(dim=-1, dtype=torch.float64)


@triton.jit
def _magnitudes(x, floor, bins, TILE: tl.constexpr):
    """Real and imaginary part, their power, and the magnitude; past the end 0, but the magnitude."""
    n = tl.program_id(0) * TILE + tl.arange(0, TILE)
    at = x + 2 * (tl.program_id(1).to(tl.int64) * bins + n)
    real, imag = tl.load(at, mask=n < bins, other=0.0), tl.load(at + 1, mask=n < bins, other=0.0)
    power = real * real + imag * imag
    return real, imag, power, tl.sqrt(tl.where(power < floor, floor, power))  # NaN stays


@triton.jit
def _put(parts, number, value, size, num_tiles, bins, TILE: tl.constexpr):
    n = tl.program_id(0) * TILE + tl.arange(0, TILE)
    place = parts + number * size + tl.program_id(1) * num_tiles + tl.program_id(0)
    tl.store(place, tl.sum(tl.where(n < bins, value, 0.0), axis=0))


@triton.jit
def _products(x, y, floor, parts, bins, num_tiles, size, TILE: tl.constexpr):
    _, _, _, u = _magnitudes(x, floor, bins, TILE)
    _, _, _, v = _magnitudes(y, floor, bins, TILE)
    _put(parts, 0, u * v, size, num_tiles, bins, TILE)
    _put(parts, 1, v * v, size, num_tiles, bins, TILE)


@triton.jit
def _distances(x, y, gain, floor, offset, parts, bins, num_tiles, size, TILE: tl.constexpr):
    """Sums of (u - v)^2, v^2, |ln(u + offset) - ln(v + offset)| and |u - v|; v times the gain of its item."""
    _, _, _, u = _magnitudes(x, floor, bins, TILE)
    _, _, _, v = _magnitudes(y, floor, bins, TILE)
    v *= tl.load(gain + tl.program_id(1))
    _put(parts, 0, (u - v) * (u - v), size, num_tiles, bins, TILE)
    _put(parts, 1, v * v, size, num_tiles, bins, TILE)
    _put(parts, 2, tl.abs(tl.log((u + offset) / (v + offset))), size, num_tiles, bins, TILE)
    _put(parts, 3, tl.abs(u - v), size, num_tiles, bins, TILE)


@triton.jit
def _sign(value):
    return (value > 0).to(tl.float32) - (value < 0).to(tl.float32)


@triton.jit
def _gain_slopes(x, y, gain, floor, offset, parts, bins, num_tiles, size, TILE: tl.constexpr):
    """Minus the slopes over the gain: half the first sum's, the logs' and that of |u - v|."""
    _, _, _, u = _magnitudes(x, floor, bins, TILE)
    _, _, _, v = _magnitudes(y, floor, bins, TILE)
    g = tl.load(gain + tl.program_id(1))
    slope = _sign(u - g * v) * v
    _put(parts, 0, (u - g * v) * v, size, num_tiles, bins, TILE)
    _put(parts, 1, slope / (g * v + offset), size, num_tiles, bins, TILE)
    _put(parts, 2, slope, size, num_tiles, bins, TILE)


@triton.jit
def _adjoint(x, y, gain, weights, out, floor, offset, bins, TILE: tl.constexpr):
    """``weights`` holds for each item the gradients of its sums of (u - v)^2, logs, |u - v| and u v."""
    item = tl.program_id(1)
    tiny = tl.where(floor > 1e-37, floor, 1e-37)
    real, imag, power, u = _magnitudes(x, tiny, bins, TILE)
    _, _, _, v = _magnitudes(y, floor, bins, TILE)
    squares, logs = tl.load(weights + 4 * item), tl.load(weights + 4 * item + 1)
    absolute, cross = tl.load(weights + 4 * item + 2), tl.load(weights + 4 * item + 3)
    difference = u - tl.load(gain + item) * v
    slope = 2 * squares * difference + _sign(difference) * (logs / (u + offset) + absolute) + cross * v
    slope = tl.where(power < tiny, 0.0, slope / u)
    n = tl.program_id(0) * TILE + tl.arange(0, TILE)
    at = out + 2 * (item.to(tl.int64) * bins + n)
    tl.store(at, slope * real, mask=n < bins)
    tl.store(at + 1, slope * imag, mask=n < bins)
