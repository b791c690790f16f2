"""Renders modes block by block: within one, an amplitude is a line and a phase is a parabola.

Frames are joined by straight lines, so between two of them the running sum of the frequency has a
closed form: a chirp. Its coefficients are computed in float64 (there are hundreds of times fewer
blocks than samples); a kernel turns them into samples, and a gradient of samples into gradients of
coefficients, and holds nothing of modes times samples.
"""

import math
from types import ModuleType

import numpy as np
import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from drumblender.dsp.envelopes import Align
from drumblender.dsp.kernels.chirps import Blocks, chirps_plain, cut_blocks


def fused_modal_bank(
    freq_rad: Tensor, amp: Tensor, phase_rad: Tensor | None, num_samples: int, align: Align, alias: bool
) -> Tensor:
    """What ``modal_bank_plain`` does, for float32 tensors on the CPU or CUDA."""
    blocks = cut_blocks(freq_rad.shape[-1], num_samples, align, amp)
    if phase_rad is None:
        phase_rad = freq_rad.new_zeros(freq_rad.shape[:2])
    if not alias and amp.device.type == "cpu":  # where none is to be silenced, its loops need not ask
        alias = not bool((freq_rad.detach().abs() >= math.pi).any())
    chirps = Chirps.apply if amp.device.type == "cpu" else chirps_plain
    found = chirps(freq_rad.mT, amp.mT, phase_rad, blocks)
    return ChirpBank.apply(*found, blocks, num_samples, alias)


def mode_columns(freq_rad: Tensor, envelopes: Tensor, phase_rad: Tensor, blocks: Blocks, stop: int) -> Tensor:
    """The modes of one sound, each alone under each of several envelopes: the columns of a regression.

    Args:
        freq_rad: Frequencies ``(frames, modes)``, in radians a sample.
        envelopes: Amplitude at the start of each block and what each sample adds,
            ``(2, envelopes, blocks, modes)``.
        phase_rad: Phases before the first sample, ``(modes,)``.
        blocks: The sound, as ``align="hop"`` cuts it.
        stop: Samples wanted.

    Returns:
        Sines and cosines in float32, ``(envelopes, 2, modes, stop)``.
    """
    from drumblender.dsp.kernels import oscillators_cpu  # numba is slow to import

    freq_rad, phase_rad = freq_rad[None].float(), phase_rad[None].float()
    turns = Chirps.apply(freq_rad, torch.zeros_like(freq_rad), phase_rad, blocks)[:3]
    return oscillators_cpu.columns(*(part[0] for part in turns), *envelopes.float(), blocks, stop)


class Chirps(torch.autograd.Function):
    """What ``chirps_plain`` does, in two loops instead of thirty tensors; on the CPU."""

    @staticmethod
    def forward(ctx, freq_rad, amp, phase_rad, blocks):
        from drumblender.dsp.kernels import oscillators_cpu  # numba is slow to import

        ctx.blocks, ctx.num_frames = blocks, freq_rad.shape[1]
        shape = (len(amp), len(blocks.left), amp.shape[2])
        found = [
            np.empty(shape, dtype) for dtype in (np.float64, np.float64, np.float64, np.float32, np.float32)
        ]
        frames = (np.ascontiguousarray(value.detach().numpy()) for value in (freq_rad, amp, phase_rad))
        oscillators_cpu.chirps(*frames, *_tables(blocks), *found)
        found = tuple(torch.from_numpy(value) for value in found)
        needs_freq, needs_amp, needs_phase, _ = ctx.needs_input_grad
        settled = (() if needs_freq or needs_phase else found[:3]) + (() if needs_amp else found[3:])
        ctx.mark_non_differentiable(*settled)
        return found

    @staticmethod
    @once_differentiable
    def backward(ctx, *grads):
        from drumblender.dsp.kernels import oscillators_cpu

        batch, _, num_modes = grads[0].shape
        frames = (batch, ctx.num_frames, num_modes)
        found = [np.zeros(shape) for shape in (frames, frames, (batch, num_modes))]
        grads = (np.ascontiguousarray(grad.numpy()) for grad in grads)
        oscillators_cpu.adjoint_of_chirps(*grads, *_tables(ctx.blocks), *found)
        return *(torch.from_numpy(value.astype(np.float32)) for value in found), None


def _tables(blocks: Blocks) -> tuple:
    return *(table.numpy() for table in blocks[:4]), blocks.step


class ChirpBank(torch.autograd.Function):
    """Sum of linear chirps, block by block; the kernel is picked by device.

    Without ``alias`` a chirp is silent in the samples where it turns by half a turn or more.
    """

    @staticmethod
    def forward(ctx, turns, turns_step, turns_bend, amp, amp_step, blocks, num_samples, alias):
        coefficients = [value.contiguous() for value in (turns, turns_step, turns_bend, amp, amp_step)]
        ctx.save_for_backward(*coefficients)
        ctx.blocks, ctx.alias = blocks, alias
        return _kernel(amp.device).render(*coefficients, blocks, num_samples, alias)

    @staticmethod
    @once_differentiable
    def backward(ctx, grad):
        coefficients, blocks, kernel = ctx.saved_tensors, ctx.blocks, _kernel(grad.device)
        grad = grad.contiguous()
        of_turns, of_amp = (None,) * 3, (None,) * 2
        if any(ctx.needs_input_grad[:3]):
            of_turns = kernel.adjoint_of_turns(grad, *coefficients, blocks, ctx.alias)
        if any(ctx.needs_input_grad[3:5]):
            of_amp = kernel.adjoint_of_amp(grad, *coefficients[:3], blocks, ctx.alias)
        return *of_turns, *of_amp, None, None, None


def _kernel(device: torch.device) -> ModuleType:
    if device.type == "cuda":
        from drumblender.dsp.kernels import oscillators_cuda as kernel
    else:
        from drumblender.dsp.kernels import oscillators_cpu as kernel
    return kernel
