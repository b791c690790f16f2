"""Chirps on CUDA. A program for each block of samples goes through the modes with the block in registers."""

import torch
import triton
from torch import Tensor
from triton import language as tl

from drumblender.dsp.kernels.chirps import Blocks
from drumblender.dsp.kernels.turns_cuda import TWO_PI, cos_turns, sin_turns


def render(
    turns: Tensor,
    turns_step: Tensor,
    turns_bend: Tensor,
    amp: Tensor,
    amp_step: Tensor,
    blocks: Blocks,
    num_samples: int,
    alias: bool,
) -> Tensor:
    """Samples ``(batch, num_samples)`` from coefficients ``(batch, blocks, modes)``."""
    audio = amp.new_empty(len(amp), num_samples)
    tensors = (turns, turns_step, turns_bend, amp, amp_step, blocks.start, audio)
    _launch(_render, tensors, blocks, num_samples, alias)
    return audio


def adjoint_of_turns(
    grad: Tensor,
    turns: Tensor,
    turns_step: Tensor,
    turns_bend: Tensor,
    amp: Tensor,
    amp_step: Tensor,
    blocks: Blocks,
    alias: bool,
) -> tuple[Tensor, Tensor, Tensor]:
    """Gradients of the three coefficients of the phase."""
    grads = tuple(torch.zeros_like(turns) for _ in range(3))
    tensors = (turns, turns_step, turns_bend, amp, amp_step, blocks.start, grad, *grads)
    _launch(_adjoint_of_turns, tensors, blocks, grad.shape[-1], alias)
    return grads


def adjoint_of_amp(
    grad: Tensor, turns: Tensor, turns_step: Tensor, turns_bend: Tensor, blocks: Blocks, alias: bool
) -> tuple[Tensor, Tensor]:
    """Gradients of the two coefficients of the amplitude: not 0 where the amplitude is."""
    grads = tuple(torch.empty_like(turns, dtype=grad.dtype) for _ in range(2))
    tensors = (turns, turns_step, turns_bend, blocks.start, grad, *grads)
    _launch(_adjoint_of_amp, tensors, blocks, grad.shape[-1], alias)
    return grads


def _launch(
    kernel: triton.JITFunction, tensors: tuple[Tensor, ...], blocks: Blocks, num_samples: int, alias: bool
) -> None:
    batch, num_blocks, num_modes = tensors[0].shape
    width = triton.next_power_of_2(blocks.longest)
    sizes = {"MODES": num_modes, "WIDTH": width, "ALIAS": alias}
    kernel[(batch * num_blocks,)](*tensors, num_blocks, num_samples, **sizes)


@triton.jit
def _block(start, num_blocks, num_samples, WIDTH: tl.constexpr):
    """The program's block, and of its samples: number, place in the batch, whether it exists."""
    item = tl.program_id(0).to(tl.int64)
    first = tl.load(start + item % num_blocks)
    size = tl.load(start + item % num_blocks + 1) - first
    k = tl.arange(0, WIDTH)
    return item, k, item // num_blocks * num_samples + first + k, k < size


@triton.jit
def _turns(turns, turns_step, turns_bend, at, k):
    """Fraction of a turn, from -1/2 to 1/2, at sample k of a block: float64 until whole turns are dropped."""
    k = k.to(tl.float64)
    x = tl.load(turns + at) + (k + 1) * (tl.load(turns_step + at) + k * (tl.load(turns_bend + at) / 2))
    return (x - tl.floor(x + 0.5)).to(tl.float32)


@triton.jit
def _heard(value, turns_step, turns_bend, at, k, ALIAS: tl.constexpr):
    """What a mode gives at sample k of a block: nothing where it turns by half a turn or more."""
    if ALIAS:
        return value
    step = tl.load(turns_step + at) + k.to(tl.float64) * tl.load(turns_bend + at)
    return tl.where(tl.abs(step) < 0.5, value, 0.0)


@triton.jit
def _render(
    turns,
    turns_step,
    turns_bend,
    amp,
    amp_step,
    start,
    audio,
    num_blocks,
    num_samples,
    MODES: tl.constexpr,
    WIDTH: tl.constexpr,
    ALIAS: tl.constexpr,
):
    item, k, place, inside = _block(start, num_blocks, num_samples, WIDTH)
    out = tl.zeros([WIDTH], tl.float32)
    for m in range(MODES):
        at = item * MODES + m
        a, da = tl.load(amp + at), tl.load(amp_step + at)
        if (a != 0) | (da != 0):  # mode tracks are mostly padding
            x = _turns(turns, turns_step, turns_bend, at, k)
            out += _heard((a + da * k) * sin_turns(x), turns_step, turns_bend, at, k, ALIAS)
    tl.store(audio + place, out, mask=inside)


@triton.jit
def _adjoint_of_turns(
    turns,
    turns_step,
    turns_bend,
    amp,
    amp_step,
    start,
    grad,
    g_turns,
    g_step,
    g_bend,
    num_blocks,
    num_samples,
    MODES: tl.constexpr,
    WIDTH: tl.constexpr,
    ALIAS: tl.constexpr,
):
    item, k, place, inside = _block(start, num_blocks, num_samples, WIDTH)
    g = tl.load(grad + place, mask=inside, other=0.0)
    for m in range(MODES):
        at = item * MODES + m
        a, da = tl.load(amp + at), tl.load(amp_step + at)
        if (a != 0) | (da != 0):
            x = _turns(turns, turns_step, turns_bend, at, k)
            h = TWO_PI * g * (a + da * k) * cos_turns(x)
            h = _heard(h, turns_step, turns_bend, at, k, ALIAS)
            tl.store(g_turns + at, tl.sum(h).to(tl.float64))
            tl.store(g_step + at, tl.sum(h * (k + 1)).to(tl.float64))
            tl.store(g_bend + at, tl.sum(h * (k * (k + 1) / 2)).to(tl.float64))


@triton.jit
def _adjoint_of_amp(
    turns,
    turns_step,
    turns_bend,
    start,
    grad,
    g_amp,
    g_step,
    num_blocks,
    num_samples,
    MODES: tl.constexpr,
    WIDTH: tl.constexpr,
    ALIAS: tl.constexpr,
):
    item, k, place, inside = _block(start, num_blocks, num_samples, WIDTH)
    g = tl.load(grad + place, mask=inside, other=0.0)
    for m in range(MODES):
        at = item * MODES + m
        h = g * sin_turns(_turns(turns, turns_step, turns_bend, at, k))
        h = _heard(h, turns_step, turns_bend, at, k, ALIAS)
        tl.store(g_amp + at, tl.sum(h))
        tl.store(g_step + at, tl.sum(h * k))
