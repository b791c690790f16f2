"""A bank of harmonics as an autograd function on the CPU."""

from functools import lru_cache

import numpy as np
import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from drumblender.dsp.envelopes import Upsampling, frame_blends
from drumblender.dsp.kernels import harmonics_cpu
from drumblender.dsp.kernels.harmonics_cpu import MAX_BLOCK
from drumblender.dsp.kernels.threads import parallel_for


def fused_harmonic_bank(
    f0_hz: Tensor,
    amp: Tensor,
    num_samples: int,
    sample_rate: float,
    f0_upsampling: Upsampling,
    amp_upsampling: Upsampling,
) -> Tensor:
    """What ``harmonic_bank_plain`` does, for tensors on the CPU; in the type of ``amp``."""
    f0_blends = _arrays(f0_hz.shape[1], num_samples, f0_upsampling)
    amp_blends = _arrays(amp.shape[1], num_samples, amp_upsampling)
    blocks = _blocks(amp.shape[1], num_samples, amp_upsampling)
    return HarmonicBank.apply(f0_hz, amp, f0_blends, amp_blends, blocks, float(sample_rate))


def _arrays(num_frames: int, num_samples: int, upsampling: Upsampling) -> tuple[np.ndarray, np.ndarray]:
    left, blend = frame_blends(num_frames, num_samples, upsampling)
    return left.numpy(), blend.numpy()


@lru_cache(maxsize=32)
def _blocks(num_frames: int, num_samples: int, upsampling: Upsampling) -> np.ndarray:
    """First sample of each block, and the end."""
    left, _ = _arrays(num_frames, num_samples, upsampling)
    cuts = np.concatenate([[0], np.flatnonzero(np.diff(left)) + 1, [num_samples]])
    starts = [np.arange(start, stop, MAX_BLOCK) for start, stop in zip(cuts[:-1], cuts[1:], strict=True)]
    return np.concatenate([*starts, [num_samples]])


class HarmonicBank(torch.autograd.Function):
    @staticmethod
    def forward(ctx, f0_hz, amp, f0_blends, amp_blends, blocks, sample_rate):
        f0, levels = (np.ascontiguousarray(value.detach().numpy()) for value in (f0_hz, amp))
        shape = (len(levels), blocks[-1])
        cosine, sine, limit = np.empty(shape), np.empty(shape), np.empty(shape, np.int32)
        audio = np.empty(shape, levels.dtype)
        num_harmonics = levels.shape[2]
        parallel_for(
            lambda a, b: harmonics_cpu.tune(
                f0, *f0_blends, sample_rate, num_harmonics, cosine, sine, limit, a, b
            ),
            len(f0),
        )
        tables = (*amp_blends, blocks, cosine, sine, limit)
        parallel_for(
            lambda a, b: harmonics_cpu.render(levels, *tables, audio, a, b), len(levels) * (len(blocks) - 1)
        )
        ctx.save_for_backward(amp)
        ctx.tables, ctx.f0_blends, ctx.sample_rate = tables, f0_blends, sample_rate
        ctx.f0_shape, ctx.f0_dtype = f0.shape, f0_hz.dtype
        return torch.from_numpy(audio)

    @staticmethod
    @once_differentiable
    def backward(ctx, grad):
        levels = np.ascontiguousarray(ctx.saved_tensors[0].detach().numpy())
        left, _, blocks, cosine, *_ = ctx.tables
        inputs = (levels, *ctx.tables)
        grad = np.ascontiguousarray(grad.numpy())
        num_blocks = len(blocks) - 1
        by_f0 = by_amp = None
        if ctx.needs_input_grad[0]:
            by_phase = np.empty(cosine.shape)
            parallel_for(
                lambda a, b: harmonics_cpu.adjoint_of_phase(*inputs, grad, by_phase, a, b),
                len(levels) * num_blocks,
            )
            frames = np.zeros(ctx.f0_shape)
            harmonics_cpu.adjoint_of_tune(by_phase, *ctx.f0_blends, ctx.sample_rate, frames)
            by_f0 = torch.from_numpy(frames).to(ctx.f0_dtype)
        if ctx.needs_input_grad[1]:
            parts = np.empty((2, len(levels), num_blocks, levels.shape[2]))
            parallel_for(
                lambda a, b: harmonics_cpu.adjoint_of_amp(*inputs, grad, *parts, a, b),
                len(levels) * num_blocks,
            )
            frames = np.zeros(levels.shape)
            harmonics_cpu.gather(*parts, left, blocks, frames)
            by_amp = torch.from_numpy(frames.astype(levels.dtype, copy=False))
        return by_f0, by_amp, None, None, None, None
