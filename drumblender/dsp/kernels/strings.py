"""Delay and filter of a string as autograd functions on the CPU."""

import torch
from torch.autograd.function import once_differentiable

from drumblender.dsp.kernels.sharing import plain_array
from drumblender.dsp.kernels.strings_cpu import squash_backward, squash_forward, taps_backward, taps_forward
from drumblender.dsp.kernels.threads import parallel_for


class Taps(torch.autograd.Function):
    @staticmethod
    def forward(ctx, period, loop, max_delay, min_period):
        batch, num_samples, width = loop.shape
        lag = torch.empty(batch, num_samples, dtype=torch.int64)
        taps = loop.new_empty(batch, num_samples, width + 1)
        alpha = torch.empty_like(period)
        slopes = torch.empty_like(taps)
        outputs = [part.numpy() for part in (lag, taps, alpha, slopes)]
        inputs = period.numpy(), loop.numpy(), max_delay, min_period
        parallel_for(lambda start, stop: taps_forward(*inputs, *outputs, start, stop), batch)
        ctx.save_for_backward(loop, alpha, slopes)
        ctx.mark_non_differentiable(lag)
        ctx.set_materialize_grads(False)  # no zeros for the lag
        return lag, taps

    @staticmethod
    @once_differentiable
    def backward(ctx, _, grad_taps):
        if grad_taps is None:
            return None, None, None, None
        loop, alpha, slopes = ctx.saved_tensors
        grad_period, grad_loop = torch.empty_like(alpha), torch.empty_like(loop)
        own = (part.numpy() for part in (loop, alpha, slopes, grad_period, grad_loop))
        arrays = plain_array(grad_taps), *own
        parallel_for(lambda start, stop: taps_backward(*arrays, start, stop), len(alpha))
        return grad_period, grad_loop, None, None


class Squash(torch.autograd.Function):
    @staticmethod
    def forward(ctx, raw, raw_gain, low, high):
        rows, gains = raw.reshape(-1, raw.shape[-1]).contiguous(), raw_gain.reshape(-1).contiguous()
        squashed = raw.new_empty(len(rows), rows.shape[1] + 1)
        out = torch.empty_like(rows)
        arrays = rows.numpy(), gains.numpy(), low, high, squashed.numpy(), out.numpy()
        parallel_for(lambda start, stop: squash_forward(*arrays, start, stop), len(rows))
        ctx.save_for_backward(squashed)
        ctx.limits = low, high
        return out.view(raw.shape)

    @staticmethod
    @once_differentiable
    def backward(ctx, grad):
        (squashed,) = ctx.saved_tensors
        rows = plain_array(grad).reshape(len(squashed), squashed.shape[1] - 1)
        grad_raw, grad_gain = squashed.new_empty(rows.shape), squashed.new_empty(len(rows))
        arrays = rows, squashed.numpy(), *ctx.limits, grad_raw.numpy(), grad_gain.numpy()
        parallel_for(lambda start, stop: squash_backward(*arrays, start, stop), len(rows))
        return grad_raw.view(grad.shape), grad_gain.view(*grad.shape[:-1], 1), None, None
