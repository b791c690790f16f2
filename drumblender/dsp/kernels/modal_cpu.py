"""Chirps on the CPU: loops over the samples of a block that LLVM turns into vector code.

The sine is a polynomial here, because a call into the C library would keep the loop scalar.
"""

import math
from collections.abc import Callable

import numpy as np
import torch
from numba import njit
from torch import Tensor

from drumblender.dsp.kernels.modal import Blocks
from drumblender.dsp.kernels.threads import parallel_for

# NaN and infinity keep their meaning: a NaN control is heard as NaN, not as some sound.
FAST = {"reassoc", "contract", "nsz", "arcp"}
TWO_PI = 2 * math.pi

# Minimax in x^2 for x in [-1/2, 1/2] turns: sin(2 pi x) = x (1/4 - x^2) S(x^2) and cos(2 pi x) = C(x^2), each
# within 2e-9 before rounding. The factor 1/4 - x^2 makes half a turn an exact zero.
S0, S1, S2, S3, S4, S5 = (
    np.float32(c) for c in (25.13274108, -64.83582206, 67.07673773, -38.4981251, 14.06383974, -3.19010472)
)
C0, C1, C2, C3, C4, C5, C6, C7 = (
    np.float32(c)
    for c in (
        1.0,
        -19.73920874,
        64.93938908,
        -85.45665831,
        60.24213134,
        -26.40466819,
        7.80013143,
        -1.45311231,
    )
)
QUARTER = np.float32(0.25)
HALF = np.float32(0.5)
ONE = np.float32(1.0)


def render(
    turns: Tensor,
    turns_step: Tensor,
    turns_bend: Tensor,
    amp: Tensor,
    amp_step: Tensor,
    blocks: Blocks,
    num_samples: int,
) -> Tensor:
    """Samples ``(batch, num_samples)`` from coefficients ``(batch, blocks, modes)``."""
    audio = amp.new_zeros(len(amp), num_samples)
    _run(_render, turns, turns_step, turns_bend, amp, amp_step, blocks.start, audio)
    return audio


def adjoint_of_turns(
    grad: Tensor,
    turns: Tensor,
    turns_step: Tensor,
    turns_bend: Tensor,
    amp: Tensor,
    amp_step: Tensor,
    blocks: Blocks,
) -> tuple[Tensor, Tensor, Tensor]:
    """Gradients of the three coefficients of the phase."""
    grads = tuple(torch.zeros_like(turns) for _ in range(3))
    _run(_adjoint_of_turns, turns, turns_step, turns_bend, amp, amp_step, blocks.start, grad, *grads)
    return grads


def adjoint_of_amp(
    grad: Tensor, turns: Tensor, turns_step: Tensor, turns_bend: Tensor, blocks: Blocks
) -> tuple[Tensor, Tensor]:
    """Gradients of the two coefficients of the amplitude: not 0 where the amplitude is."""
    grads = tuple(torch.zeros_like(turns, dtype=grad.dtype) for _ in range(2))
    _run(_adjoint_of_amp, turns, turns_step, turns_bend, blocks.start, grad, *grads)
    return grads


def _run(loop: Callable[..., None], turns: Tensor, *others: Tensor) -> None:
    """Call the compiled loop on spans of all blocks of the batch."""
    arrays = [tensor.detach().numpy() for tensor in (turns, *others)]
    parallel_for(lambda first, last: loop(*arrays, first, last), turns.shape[0] * turns.shape[1])


@njit(inline="always", fastmath=FAST)
def _sin(x):
    t = x * x
    p = S4 + S5 * t
    p = S3 + p * t
    p = S2 + p * t
    p = S1 + p * t
    p = S0 + p * t
    return x * (QUARTER - t) * p


@njit(inline="always", fastmath=FAST)
def _cos(x):
    t = x * x
    p = C6 + C7 * t
    p = C5 + p * t
    p = C4 + p * t
    p = C3 + p * t
    p = C2 + p * t
    p = C1 + p * t
    return C0 + p * t


@njit(nogil=True, cache=True, fastmath=FAST, error_model="numpy")
def _render(turns, turns_step, turns_bend, amp, amp_step, start, audio, first, last):
    num_blocks, num_modes = turns.shape[1:]
    for item in range(first, last):
        b, s = divmod(item, num_blocks)
        out = audio[b, start[s] : start[s + 1]]
        for m in range(num_modes):
            a, da = amp[b, s, m], amp_step[b, s, m]
            if a == 0 and da == 0:  # mode tracks are mostly padding
                continue
            c0, c1, c2 = turns[b, s, m], turns_step[b, s, m], turns_bend[b, s, m] / 2
            for k in range(out.size):
                x = c0 + (k + 1) * (c1 + k * c2)
                out[k] += (a + da * np.float32(k)) * _sin(np.float32(x - np.rint(x)))


@njit(nogil=True, cache=True, fastmath=FAST, error_model="numpy")
def _adjoint_of_turns(
    turns, turns_step, turns_bend, amp, amp_step, start, grad, g_turns, g_step, g_bend, first, last
):
    num_blocks, num_modes = turns.shape[1:]
    for item in range(first, last):
        b, s = divmod(item, num_blocks)
        g = grad[b, start[s] : start[s + 1]]
        for m in range(num_modes):
            a, da = amp[b, s, m], amp_step[b, s, m]
            if a == 0 and da == 0:
                continue
            c0, c1, c2 = turns[b, s, m], turns_step[b, s, m], turns_bend[b, s, m] / 2
            total = once = twice = np.float32(0)
            for k in range(g.size):
                x = c0 + (k + 1) * (c1 + k * c2)
                k32 = np.float32(k)
                h = g[k] * (a + da * k32) * _cos(np.float32(x - np.rint(x)))
                total += h
                once += h * (k32 + ONE)
                twice += h * (k32 + ONE) * k32
            g_turns[b, s, m] = TWO_PI * total
            g_step[b, s, m] = TWO_PI * once
            g_bend[b, s, m] = TWO_PI * HALF * twice


@njit(nogil=True, cache=True, fastmath=FAST, error_model="numpy")
def _adjoint_of_amp(turns, turns_step, turns_bend, start, grad, g_amp, g_step, first, last):
    num_blocks, num_modes = turns.shape[1:]
    for item in range(first, last):
        b, s = divmod(item, num_blocks)
        g = grad[b, start[s] : start[s + 1]]
        for m in range(num_modes):
            c0, c1, c2 = turns[b, s, m], turns_step[b, s, m], turns_bend[b, s, m] / 2
            total = once = np.float32(0)
            for k in range(g.size):
                x = c0 + (k + 1) * (c1 + k * c2)
                h = g[k] * _sin(np.float32(x - np.rint(x)))
                total += h
                once += h * np.float32(k)
            g_amp[b, s, m] = total
            g_step[b, s, m] = once
