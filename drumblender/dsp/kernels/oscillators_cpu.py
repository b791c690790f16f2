"""Chirps on the CPU: loops over the samples of a block that LLVM turns into vector code.

The sine is a polynomial here, because a call into the C library would keep the loop scalar. Arrays are
NumPy's, because torch hands even small ones to OpenMP, whose idle threads then spin beside ours.
"""

import math
from collections.abc import Callable

import numpy as np
import torch
from torch import Tensor

from drumblender.dsp.kernels.chirps import Blocks
from drumblender.dsp.kernels.jit import FASTEST, jit, part
from drumblender.dsp.kernels.numba_math import cos_half_turn, sin_half_turn
from drumblender.dsp.kernels.threads import parallel_for

TWO_PI = 2 * math.pi
F32, F64 = np.float32, np.float64

HALF, ONE = F32(0.5), F32(1)


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
    audio = torch.from_numpy(np.zeros((len(amp), num_samples), F32))
    _run(_render, turns, turns_step, turns_bend, amp, amp_step, blocks.start, audio, alias=alias)
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
    grads = tuple(torch.empty_like(turns) for _ in range(3))
    tensors = (turns, turns_step, turns_bend, amp, amp_step, blocks.start, grad, *grads)
    _run(_adjoint_of_turns, *tensors, alias=alias)
    return grads


def adjoint_of_amp(
    grad: Tensor, turns: Tensor, turns_step: Tensor, turns_bend: Tensor, blocks: Blocks, alias: bool
) -> tuple[Tensor, Tensor]:
    """Gradients of the two coefficients of the amplitude: not 0 where the amplitude is."""
    grads = tuple(torch.empty_like(turns, dtype=grad.dtype) for _ in range(2))
    _run(_adjoint_of_amp, turns, turns_step, turns_bend, blocks.start, grad, *grads, alias=alias)
    return grads


def columns(
    turns: Tensor,
    turns_step: Tensor,
    turns_bend: Tensor,
    amp: Tensor,
    amp_step: Tensor,
    blocks: Blocks,
    stop: int,
) -> Tensor:
    """Each mode alone, up to sample ``stop``: ``(envelopes, 2, modes, stop)``, sines and then cosines.

    The phases are of one sound, ``(blocks, modes)``; each of them sounds under all ``envelopes``.
    """
    found = np.empty((len(amp), 2, turns.shape[1], stop), F32)
    arrays = [tensor.numpy() for tensor in (turns, turns_step, turns_bend, amp, amp_step, blocks.start)]
    parallel_for(lambda first, last: _columns(*arrays, found, first, last), turns.shape[1])
    return torch.from_numpy(found)


def _run(loop: Callable[..., None], turns: Tensor, *others: Tensor, alias: bool) -> None:
    """Call the compiled loop on spans of all blocks of the batch."""
    arrays = [tensor.detach().numpy() for tensor in (turns, *others)]
    limit = None if alias else 0.5  # turns a sample; None compiles to loops that ask for none
    parallel_for(lambda first, last: loop(*arrays, limit, first, last), turns.shape[0] * turns.shape[1])


@jit
def chirps(freq, amp, phase, start, left, right, position, step, c0, c1, c2, a, da):
    for b in range(len(freq)):
        turns = phase[b] / TWO_PI
        for s in range(len(left)):
            size = start[s + 1] - start[s]
            for m in range(len(turns)):
                low, high = freq[b, left[s], m] / TWO_PI, freq[b, right[s], m] / TWO_PI
                c0[b, s, m] = turns[m]
                c1[b, s, m] = low + (high - low) * position[s]
                c2[b, s, m] = (high - low) * step
                turns[m] += size * c1[b, s, m] + size * (size - 1) / 2 * c2[b, s, m]
                low, high = amp[b, left[s], m], amp[b, right[s], m]
                a[b, s, m] = low + (high - low) * position[s]
                da[b, s, m] = (high - low) * step


@jit
def adjoint_of_chirps(c0, c1, c2, a, da, start, left, right, position, step, by_freq, by_amp, by_phase):
    """Adds up, from the end, how much all later blocks gain from a turn more."""
    for b in range(len(by_phase)):
        later = np.zeros_like(by_phase[b])
        for s in range(len(left) - 1, -1, -1):
            size = start[s + 1] - start[s]
            for m in range(len(later)):
                by_step = c1[b, s, m] + size * later[m]
                by_bend = c2[b, s, m] + size * (size - 1) / 2 * later[m]
                by_slope = by_step * position[s] + by_bend * step
                by_freq[b, left[s], m] += (by_step - by_slope) / TWO_PI
                by_freq[b, right[s], m] += by_slope / TWO_PI
                by_slope = a[b, s, m] * position[s] + da[b, s, m] * step
                by_amp[b, left[s], m] += a[b, s, m] - by_slope
                by_amp[b, right[s], m] += by_slope
                later[m] += c0[b, s, m]
        by_phase[b] = later / TWO_PI


@part
def _is_below(step, bend, size, limit):
    """Whether the frequency is below a limit in all samples of a block, as it mostly is."""
    return abs(step) < limit and abs(step + (size - 1) * bend) < limit


@part
def _heard(step, bend, size, limit):
    """The samples of a block between the first and the last whose frequency is below a limit."""
    low, high = 0, size
    while low < high and abs(step + low * bend) >= limit:
        low += 1
    while high > low and abs(step + (high - 1) * bend) >= limit:
        high -= 1
    return low, high


@jit(fastmath=FASTEST)
def _render(turns, turns_step, turns_bend, amp, amp_step, start, audio, limit, first, last):
    num_blocks, num_modes = turns.shape[1:]
    for item in range(first, last):
        b, s = divmod(item, num_blocks)
        out = audio[b, start[s] : start[s + 1]]
        for m in range(num_modes):
            a, da = amp[b, s, m], amp_step[b, s, m]
            if a == 0 and da == 0:  # mode tracks are mostly padding
                continue
            c0, c1, c2 = turns[b, s, m], turns_step[b, s, m], turns_bend[b, s, m] / 2
            heard = out
            if limit is not None and not _is_below(c1, turns_bend[b, s, m], out.size, limit):
                low, high = _heard(c1, turns_bend[b, s, m], out.size, limit)
                heard, a = out[low:high], a + da * F32(low)
                c0, c1 = c0 + low * (c1 + (low - 1) * c2), c1 + 2 * low * c2
            for k in range(heard.size):
                x = c0 + (k + 1) * (c1 + k * c2)
                heard[k] += (a + da * F32(k)) * sin_half_turn(F32(x - np.rint(x)))


@jit(fastmath=FASTEST)
def _columns(turns, turns_step, turns_bend, amp, amp_step, start, found, first, last):
    for m in range(first, last):
        for s in range(len(turns)):
            size = min(start[s + 1], found.shape[3]) - start[s]
            if size <= 0:
                break
            c0, c1, c2 = turns[s, m], turns_step[s, m], turns_bend[s, m] / 2
            sine, cosine = found[0, 0, m, start[s] :][:size], found[0, 1, m, start[s] :][:size]
            for k in range(size):
                x = c0 + (k + 1) * (c1 + k * c2)
                x32 = F32(x - np.rint(x))
                sine[k] = sin_half_turn(x32)
                cosine[k] = cos_half_turn(x32)
            for envelope in range(len(amp) - 1, -1, -1):  # the first last, for it holds what all are made of
                a, da = amp[envelope, s, m], amp_step[envelope, s, m]
                sines, cosines = found[envelope, 0, m, start[s] :], found[envelope, 1, m, start[s] :]
                for k in range(size):
                    level = a + da * F32(k)
                    sines[k] = level * sine[k]
                    cosines[k] = level * cosine[k]


@jit(fastmath=FASTEST)
def _adjoint_of_turns(
    turns, turns_step, turns_bend, amp, amp_step, start, grad, g_turns, g_step, g_bend, limit, first, last
):
    num_blocks, num_modes = turns.shape[1:]
    for item in range(first, last):
        b, s = divmod(item, num_blocks)
        g = grad[b, start[s] : start[s + 1]]
        for m in range(num_modes):
            a, da = amp[b, s, m], amp_step[b, s, m]
            if a == 0 and da == 0:
                g_turns[b, s, m] = g_step[b, s, m] = g_bend[b, s, m] = 0
                continue
            c0, c1, c2 = turns[b, s, m], turns_step[b, s, m], turns_bend[b, s, m] / 2
            heard, low = g, 0
            if limit is not None and not _is_below(c1, turns_bend[b, s, m], g.size, limit):
                low, high = _heard(c1, turns_bend[b, s, m], g.size, limit)
                heard, a = g[low:high], a + da * F32(low)
                c0, c1 = c0 + low * (c1 + (low - 1) * c2), c1 + 2 * low * c2
            total = once = twice = F32(0)
            for k in range(heard.size):
                x = c0 + (k + 1) * (c1 + k * c2)
                k32 = F32(k)
                h = heard[k] * (a + da * k32) * cos_half_turn(F32(x - np.rint(x)))
                total += h
                once += h * (k32 + ONE)
                twice += h * (k32 + ONE) * k32
            if low > 0:  # k counted from there
                twice += F32(2 * low) * once + F32(low * low - low) * total
                once += F32(low) * total
            g_turns[b, s, m] = TWO_PI * total
            g_step[b, s, m] = TWO_PI * once
            g_bend[b, s, m] = TWO_PI * HALF * twice


@jit(fastmath=FASTEST)
def _adjoint_of_amp(turns, turns_step, turns_bend, start, grad, g_amp, g_step, limit, first, last):
    num_blocks, num_modes = turns.shape[1:]
    for item in range(first, last):
        b, s = divmod(item, num_blocks)
        g = grad[b, start[s] : start[s + 1]]
        for m in range(num_modes):
            c0, c1, c2 = turns[b, s, m], turns_step[b, s, m], turns_bend[b, s, m] / 2
            heard, low = g, 0
            if limit is not None and not _is_below(c1, turns_bend[b, s, m], g.size, limit):
                low, high = _heard(c1, turns_bend[b, s, m], g.size, limit)
                heard = g[low:high]
                c0, c1 = c0 + low * (c1 + (low - 1) * c2), c1 + 2 * low * c2
            total = once = F32(0)
            for k in range(heard.size):
                x = c0 + (k + 1) * (c1 + k * c2)
                h = heard[k] * sin_half_turn(F32(x - np.rint(x)))
                total += h
                once += h * F32(k)
            g_amp[b, s, m] = total
            g_step[b, s, m] = once + F32(low) * total
