"""Polyphase resampling as an autograd function on the CPU."""

import numpy as np
import torch
from torch.autograd.function import once_differentiable

from drumblender.dsp.kernels.resample_cpu import resample
from drumblender.dsp.kernels.sharing import plain_array
from drumblender.dsp.kernels.threads import parallel_for


class Resample(torch.autograd.Function):
    """In numpy and compiled loops throughout, which leave torch's thread teams alone."""

    @staticmethod
    def forward(ctx, x, sinc, back, count, dtype):
        ctx.back, ctx.num_samples, ctx.dtype = back, x.shape[1], _numpy_type(x.dtype)
        return torch.from_numpy(_run(plain_array(x), sinc, count, _numpy_type(dtype)))

    @staticmethod
    @once_differentiable
    def backward(ctx, grad):
        heard = _run(plain_array(grad), ctx.back, ctx.num_samples, ctx.dtype)
        return torch.from_numpy(heard), None, None, None, None


def _run(x, sinc, count, dtype):
    phases, taps = sinc.rows.shape
    working = np.promote_types(x.dtype, dtype)  # sums of a hundred products: float32 adds 1e-7
    padded = np.zeros((len(x), max(x.shape[1] + sinc.reach, -(-count // phases) * sinc.step + taps)), working)
    padded[:, sinc.reach : sinc.reach + x.shape[1]] = x
    rows, starts = plain_array(sinc.rows).astype(working), plain_array(sinc.starts)
    out = np.empty((len(x), count), working)
    parallel_for(lambda start, stop: resample(padded, rows, starts, sinc.step, out, start, stop), len(x))
    return out.astype(dtype, copy=False)


def _numpy_type(dtype: torch.dtype) -> np.dtype:
    return torch.empty(0, dtype=dtype).numpy().dtype
