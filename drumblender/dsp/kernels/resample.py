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
    """Rows of all items in one product, with those between two items, which nobody hears."""
    (weights, firsts, step), reach = change.products, change.sinc.reach
    height, outputs = weights.shape
    heard = max(x.shape[1] + reach, (-(-count // outputs) - 1) * step + firsts[-1] + height)
    each = -(-heard // step)
    rows = len(x) * each
    padded = x.new_zeros(rows * step + firsts[-1] + height, dtype=working)
    padded[: rows * step].view(len(x), each * step)[:, reach : reach + x.shape[1]] = x
    weights, out = placed(weights, padded), padded.new_empty(rows, outputs)
    blocks = (part.split(change.products.block, dim=1) for part in (weights, out))
    for first, part, made in zip(firsts, *blocks, strict=True):
        torch.mm(padded.as_strided((rows, height), (step, 1), first), part, out=made)
    return out.view(len(x), each * outputs)[:, :count]


def _by_loops(x: Tensor, change, count: int, working: torch.dtype) -> Tensor:
    sinc, dtype = change.sinc, torch.empty(0, dtype=working).numpy().dtype
    phases, taps = sinc.rows.shape
    padded = np.zeros((len(x), max(x.shape[1] + sinc.reach, -(-count // phases) * sinc.step + taps)), dtype)
    padded[:, sinc.reach : sinc.reach + x.shape[1]] = plain_array(x)
    rows, starts = plain_array(sinc.rows).astype(dtype), plain_array(sinc.starts)
    out = np.empty((len(x), count), dtype)
    parallel_for(lambda start, stop: resample(padded, rows, starts, sinc.step, out, start, stop), len(x))
    return torch.from_numpy(out)
