"""Polyphase resampling as an autograd function on the CPU."""

import numpy as np
import torch
from torch.autograd.function import once_differentiable

from drumblender.dsp.kernels.resample_cpu import resample_backward, resample_forward
from drumblender.dsp.kernels.sharing import plain_array
from drumblender.dsp.kernels.threads import parallel_for


class Resample(torch.autograd.Function):
    """In numpy and compiled loops throughout, which leave torch's thread teams alone."""

    @staticmethod
    def forward(ctx, x, kernel, reach, step, count, dtype):
        taps, phases = kernel.shape
        steps = -(-count // phases)
        ctx.kernel, ctx.reach, ctx.step = kernel.numpy(), reach, step
        ctx.like, ctx.width = x.detach(), max(x.shape[1] + reach, (steps - 1) * step + taps)
        padded = np.zeros((len(x), ctx.width))
        padded[:, reach : reach + x.shape[1]] = plain_array(x)
        out = np.empty((len(x), steps * phases))
        arrays = padded, np.ascontiguousarray(ctx.kernel.T), step, out
        parallel_for(lambda start, stop: resample_forward(*arrays, start, stop), len(x))
        return torch.from_numpy(out[:, :count].astype(_numpy_type(dtype)))

    @staticmethod
    @once_differentiable
    def backward(ctx, grad):
        phases, num_samples = ctx.kernel.shape[1], ctx.like.shape[1]
        given = np.zeros((len(grad), -(-grad.shape[1] // phases) * phases))
        given[:, : grad.shape[1]] = plain_array(grad)
        padded = np.zeros((len(grad), ctx.width))
        arrays = given, ctx.kernel, ctx.step, padded
        parallel_for(lambda start, stop: resample_backward(*arrays, start, stop), len(grad))
        heard = padded[:, ctx.reach : ctx.reach + num_samples].astype(_numpy_type(ctx.like.dtype))
        return torch.from_numpy(heard), None, None, None, None, None


def _numpy_type(dtype: torch.dtype) -> np.dtype:
    return torch.empty(0, dtype=dtype).numpy().dtype
