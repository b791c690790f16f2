"""Polyphase resampling as an autograd function on the CPU: compiled loops, or products of matrices."""

import numpy as np
import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from drumblender.dsp.kernels.resample_cpu import resample
from drumblender.dsp.kernels.sharing import plain_array
from drumblender.dsp.kernels.threads import parallel_for
from drumblender.dsp.tables import placed


class Resample(torch.autograd.Function):
    """The loops run in numpy throughout, which leaves torch's thread teams alone."""

    @staticmethod
    def forward(ctx, x, change, back, count, dtype):
        ctx.back, ctx.num_samples, ctx.dtype = back, x.shape[1], x.dtype
        return _run(x, change, count, dtype)

    @staticmethod
    @once_differentiable
    def backward(ctx, grad):
        return _run(grad, ctx.back, ctx.num_samples, ctx.dtype), None, None, None, None


def _run(x: Tensor, change, count: int, dtype: torch.dtype) -> Tensor:
    working = torch.promote_types(x.dtype, dtype)  # sums of a hundred products: float32 adds 1e-7
    run = _by_loops if change.products is None else _by_products
    return run(x, change, count, working).to(dtype)


def _by_products(x: Tensor, change, count: int, working: torch.dtype) -> Tensor:
    sinc, (weights, edges, firsts) = change
    steps, height = -(-count // len(sinc.rows)), len(weights)
    heard = max(x.shape[1] + sinc.reach, (steps - 1) * sinc.step + firsts[-1] + height)
    padded = x.new_zeros(len(x), heard, dtype=working)
    padded[:, sinc.reach : sinc.reach + x.shape[1]] = x
    weights = placed(weights, padded)
    out = padded.new_empty(len(x), steps, len(sinc.rows))
    for item in range(len(x)):
        for start, stop, first in zip(edges[:-1], edges[1:], firsts, strict=True):
            inputs = padded[item, first:].unfold(0, height, sinc.step)[:steps]
            torch.mm(inputs, weights[:, start:stop], out=out[item, :, start:stop])
    return out.flatten(1)[:, :count]


def _by_loops(x: Tensor, change, count: int, working: torch.dtype) -> Tensor:
    sinc, dtype = change.sinc, torch.empty(0, dtype=working).numpy().dtype
    phases, taps = sinc.rows.shape
    padded = np.zeros((len(x), max(x.shape[1] + sinc.reach, -(-count // phases) * sinc.step + taps)), dtype)
    padded[:, sinc.reach : sinc.reach + x.shape[1]] = plain_array(x)
    rows, starts = plain_array(sinc.rows).astype(dtype), plain_array(sinc.starts)
    out = np.empty((len(x), count), dtype)
    parallel_for(lambda start, stop: resample(padded, rows, starts, sinc.step, out, start, stop), len(x))
    return torch.from_numpy(out)
