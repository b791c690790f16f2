"""Swept sines on CUDA. Decays, their running sums and the derivatives have closed forms: no sample waits."""

import math

import torch
import triton
from torch import Tensor
from torch.autograd.function import once_differentiable
from triton import language as tl

from drumblender.dsp.kernels.turns_cuda import TWO_PI, cos_turns, sin_turns

_TILE = 512  # samples of a program


class Sweep(torch.autograd.Function):
    """For controls in float32."""

    @staticmethod
    def forward(ctx, step_rad, sweep, sweep_rate, fade_rate, amp, attack: int, num_samples: int) -> Tensor:
        controls = torch.stack([step_rad, sweep, sweep_rate, fade_rate, amp], dim=1).double()
        controls[:, 0] /= 2 * math.pi
        ctx.save_for_backward(controls)
        ctx.attack = attack
        out = amp.new_empty(len(amp), num_samples)
        _sweep[_grid(out)](controls, out, attack, num_samples, TILE=_TILE)
        return out

    @staticmethod
    @once_differentiable
    def backward(ctx, grad: Tensor):
        (controls,) = ctx.saved_tensors
        num_tiles, rows = _grid(grad)
        parts = controls.new_empty(rows, num_tiles, 5)
        settings = ctx.attack, grad.shape[1], num_tiles
        _sweep_adjoint[num_tiles, rows](controls, grad.contiguous(), parts, *settings, TILE=_TILE)
        grads = parts.sum(dim=1)
        grads[:, 0] /= 2 * math.pi
        return *grads.to(grad.dtype).unbind(dim=1), None, None


def _grid(samples: Tensor) -> tuple[int, int]:
    return triton.cdiv(samples.shape[1], _TILE), len(samples)


@triton.jit
def _power(rate, exponent):
    """A rate of either sign to a whole power of at least 0."""
    size = tl.exp2(exponent * tl.log2(tl.maximum(tl.abs(rate), 1e-300)))
    odd = exponent - 2 * tl.floor(exponent / 2)
    return tl.where(rate < 0, 1 - 2 * odd, 1.0) * size


@triton.jit
def _decay(rate, n, attack):
    """A decay at sample n, the sum of those before, and the derivatives of both by the rate."""
    rise = n < attack
    k = tl.maximum(n - attack, 0.0)
    before = _power(rate, tl.maximum(k - 1, 0.0))
    level = tl.where(k > 0, before * rate, 1.0)
    slope = tl.where(k > 0, k * before, 0.0)
    still = rate == 1
    loss = tl.where(still, 1.0, 1 - rate)
    fallen = tl.where(still, k, (1 - level) / loss)
    fallen_slope = tl.where(still, k * (k - 1) / 2, (fallen - slope) / loss)
    height = tl.maximum(attack, 1.0)
    risen = tl.minimum(n, attack) * (tl.minimum(n, attack) + 1) / (2 * height)
    level, slope = tl.where(rise, (n + 1) / height, level), tl.where(rise, 0.0, slope)
    return level, risen + tl.where(rise, 0.0, fallen), slope, tl.where(rise, 0.0, fallen_slope)


@triton.jit
def _sample(controls, attack, TILE: tl.constexpr):
    """Of a tile: clock and turns of the phase in float64 and reduced, the area under the sweep, the fade."""
    n = (tl.program_id(0) * TILE + tl.arange(0, TILE)).to(tl.float64)
    rise = n * 0 + attack
    _, area, _, area_slope = _decay(tl.load(controls + 2), n, rise)
    fade, _, fade_slope, _ = _decay(tl.load(controls + 3), n, rise)
    clock = n + tl.load(controls + 1) * area
    turns = tl.load(controls) * clock
    turns = (turns - tl.floor(turns + 0.5)).to(tl.float32)
    return clock, turns, area, area_slope, fade, fade_slope


@triton.jit
def _sweep(controls, out, attack, num_samples, TILE: tl.constexpr):
    row = tl.program_id(1).to(tl.int64)
    controls += row * 5
    _, turns, _, _, fade, _ = _sample(controls, attack, TILE)
    n = tl.program_id(0) * TILE + tl.arange(0, TILE)
    y = (tl.load(controls + 4) * fade).to(tl.float32) * sin_turns(turns)
    tl.store(out + row * num_samples + n, y, mask=n < num_samples)


@triton.jit
def _sweep_adjoint(controls, grad, parts, attack, num_samples, num_tiles, TILE: tl.constexpr):
    """What the samples of a tile give to the five controls."""
    tile, row = tl.program_id(0), tl.program_id(1).to(tl.int64)
    controls += row * 5
    parts += (row * num_tiles + tile) * 5
    clock, turns, area, area_slope, fade, fade_slope = _sample(controls, attack, TILE)
    n = tile * TILE + tl.arange(0, TILE)
    g = tl.load(grad + row * num_samples + n, mask=n < num_samples, other=0.0)
    sine = (g * sin_turns(turns)).to(tl.float64)
    swing = (g * cos_turns(turns)).to(tl.float64) * fade
    step, depth, gain = tl.load(controls), tl.load(controls + 1), tl.load(controls + 4)
    per_radian = TWO_PI * gain
    tl.store(parts, per_radian * tl.sum(swing * clock))
    tl.store(parts + 1, per_radian * step * tl.sum(swing * area))
    tl.store(parts + 2, per_radian * step * depth * tl.sum(swing * area_slope))
    tl.store(parts + 3, gain * tl.sum(sine * fade_slope))
    tl.store(parts + 4, tl.sum(sine * fade))
