"""Renders modes block by block: within one, an amplitude is a line and a phase is a parabola.

Frames are joined by straight lines, so between two of them the running sum of the frequency has a
closed form: a chirp. Its coefficients are computed in float64 (there are hundreds of times fewer
blocks than samples); a kernel turns them into samples, and a gradient of samples into gradients of
coefficients, and holds nothing of modes times samples.
"""

import math
from functools import lru_cache
from types import ModuleType
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from drumblender.dsp.envelopes import Align

MAX_BLOCK = 256
"""Samples: sums over a block are kept in float32."""


class Blocks(NamedTuple):
    """Spans of samples between two neighbouring frames, in order and without gaps."""

    start: Tensor  # first sample of each block, and the end: (blocks + 1), int64
    left: Tensor  # frame before the block (int64) ...
    right: Tensor  # ... and after it; the same one before the first and after the last frame
    position: Tensor  # of the first sample between the two, 0 to 1, float64
    step: float  # frames a sample
    longest: int  # samples in the longest block


@lru_cache(maxsize=32)
@torch.inference_mode(False)  # what the first call makes must serve training later
def cut_blocks(num_frames: int, num_samples: int, align: Align, device: torch.device) -> Blocks:
    """Cut a sound where a frame lies, and evenly in between where frames are over MAX_BLOCK samples apart."""
    # Sample n lies at frame position (scale n + shift) / share: integers, so that no cut is off by one.
    if align == "hop" and num_frames > 1:
        scale, shift, share = num_frames - 1, 0, num_samples
    else:
        scale, shift, share = 2 * num_frames, num_frames - num_samples, 2 * num_samples
    parts = -(-share // (scale * MAX_BLOCK))
    # Cut c lies at frame position c / parts - 1, so the first and the last reach past the outermost frames.
    cuts = np.arange((num_frames + 1) * parts + 1)
    edges = -(-((cuts - parts) * share - shift * parts) // (scale * parts))
    start = np.unique(np.concatenate([edges.clip(0, num_samples), [0, num_samples]]))
    frame, rest = np.divmod(scale * start[:-1] + shift, share)
    left, right = frame.clip(0, num_frames - 1), (frame + 1).clip(0, num_frames - 1)
    tables = (torch.from_numpy(table).to(device) for table in (start, left, right, rest / share))
    return Blocks(*tables, step=scale / share, longest=int(np.diff(start).max()))


def fused_modal_bank(
    freq_rad: Tensor, amp: Tensor, phase_rad: Tensor | None, num_samples: int, align: Align
) -> Tensor:
    """What ``plain_modal_bank`` does, for float32 tensors on the CPU or CUDA."""
    blocks = cut_blocks(freq_rad.shape[-1], num_samples, align, amp.device)
    if phase_rad is None:
        phase_rad = freq_rad.new_zeros(freq_rad.shape[:2])
    chirps = _kernel(amp.device).chirps(freq_rad.mT, amp.mT, phase_rad, blocks)
    return ChirpBank.apply(*chirps, blocks, num_samples)


def plain_chirps(freq_rad: Tensor, amp: Tensor, phase_rad: Tensor, blocks: Blocks) -> tuple[Tensor, ...]:
    """Coefficients of the modes in every block, from frames ``(batch, frames, modes)``.

    At sample k of a block a mode is ``(amp + k amp_step) sin(2 pi turns[k])``, where ``turns[k]`` is
    ``turns + (k + 1) turns_step + k (k + 1) / 2 turns_bend``.

    Returns:
        ``turns, turns_step, turns_bend`` in float64, ``amp, amp_step``: each ``(batch, blocks, modes)``.
    """
    position, size = blocks.position[:, None], blocks.start.diff()[:, None]
    freq, slope = _line(freq_rad.double() / (2 * math.pi), blocks)
    turns_step, turns_bend = freq + slope * position, slope * blocks.step
    advance = size * turns_step + (size * (size - 1) / 2) * turns_bend
    turns = phase_rad[:, None].double() / (2 * math.pi) + advance.cumsum(dim=1) - advance
    amp, slope = _line(amp, blocks)
    return turns, turns_step, turns_bend, amp + slope * position.float(), slope * blocks.step


def _line(frames: Tensor, blocks: Blocks) -> tuple[Tensor, Tensor]:
    """Value at the left frame of each block and what the right frame adds: (batch, blocks, modes)."""
    left = frames.index_select(1, blocks.left)
    return left, frames.index_select(1, blocks.right) - left


class ChirpBank(torch.autograd.Function):
    """Sum of linear chirps, block by block; the kernel is picked by device."""

    @staticmethod
    def forward(ctx, turns, turns_step, turns_bend, amp, amp_step, blocks, num_samples):
        coefficients = [value.contiguous() for value in (turns, turns_step, turns_bend, amp, amp_step)]
        ctx.save_for_backward(*coefficients)
        ctx.blocks = blocks
        return _kernel(amp.device).render(*coefficients, blocks, num_samples)

    @staticmethod
    @once_differentiable
    def backward(ctx, grad):
        coefficients, blocks, kernel = ctx.saved_tensors, ctx.blocks, _kernel(grad.device)
        grad = grad.contiguous()
        of_turns, of_amp = (None,) * 3, (None,) * 2
        if any(ctx.needs_input_grad[:3]):
            of_turns = kernel.adjoint_of_turns(grad, *coefficients, blocks)
        if any(ctx.needs_input_grad[3:5]):
            of_amp = kernel.adjoint_of_amp(grad, *coefficients[:3], blocks)
        return *of_turns, *of_amp, None, None


def _kernel(device: torch.device) -> ModuleType:
    if device.type == "cuda":
        from drumblender.dsp.kernels import modal_cuda as kernel
    else:
        from drumblender.dsp.kernels import modal_cpu as kernel
    return kernel
