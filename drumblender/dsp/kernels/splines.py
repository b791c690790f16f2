"""A cubic between frames as an autograd function on the CPU."""

import torch
from torch.autograd.function import once_differentiable

from drumblender.dsp.kernels.splines_cpu import hermite_backward, hermite_forward
from drumblender.dsp.kernels.threads import parallel_for


class Hermite(torch.autograd.Function):
    @staticmethod
    def forward(ctx, values, slopes, first, num_samples, count):
        ctx.frames, ctx.place = values.shape, (first, num_samples)
        curve = values.new_empty(len(values), count, values.shape[2])
        inputs = values.numpy(), slopes.contiguous().numpy(), first, num_samples, curve.numpy()
        parallel_for(lambda start, stop: hermite_forward(*inputs, start, stop), len(values))
        return curve

    @staticmethod
    @once_differentiable
    def backward(ctx, grad):
        grad_values, grad_slopes = grad.new_zeros(ctx.frames), grad.new_zeros(ctx.frames)
        inputs = grad.contiguous().numpy(), *ctx.place, grad_values.numpy(), grad_slopes.numpy()
        parallel_for(lambda start, stop: hermite_backward(*inputs, start, stop), len(grad))
        return grad_values, grad_slopes, None, None, None
