"""Exponential decays and swept sines as autograd functions on the CPU."""

import math

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from drumblender.dsp.kernels import decays_cpu
from drumblender.dsp.kernels.threads import parallel_for


def _arrays(*tensors: Tensor) -> tuple:
    return tuple(tensor.detach().contiguous().numpy() for tensor in tensors)


class Decay(torch.autograd.Function):
    @staticmethod
    def forward(ctx, rate: Tensor, attack: int, num_samples: int) -> Tensor:
        ctx.save_for_backward(rate)
        ctx.attack = attack
        out = rate.new_empty(len(rate), num_samples)
        (rates,), target = _arrays(rate), out.numpy()
        parallel_for(lambda i, j: decays_cpu.decay_forward(rates, attack, target, i, j), len(out))
        return out

    @staticmethod
    @once_differentiable
    def backward(ctx, grad: Tensor):
        (rate,) = ctx.saved_tensors
        grad_rate = torch.empty_like(rate)
        arrays = *_arrays(rate), ctx.attack, *_arrays(grad), grad_rate.numpy()
        parallel_for(lambda i, j: decays_cpu.decay_backward(*arrays, i, j), len(rate))
        return grad_rate, None, None


class Sweep(torch.autograd.Function):
    @staticmethod
    def forward(ctx, step_rad, sweep, sweep_rate, fade_rate, amp, attack: int, num_samples: int) -> Tensor:
        controls = torch.stack([step_rad, sweep, sweep_rate, fade_rate, amp], dim=1).double()
        controls[:, 0] /= 2 * math.pi
        ctx.save_for_backward(controls)
        ctx.attack = attack
        out = amp.new_empty(len(amp), num_samples)
        arrays = controls.numpy(), attack, out.numpy()
        parallel_for(lambda i, j: decays_cpu.sweep_forward(*arrays, i, j), len(out))
        return out

    @staticmethod
    @once_differentiable
    def backward(ctx, grad: Tensor):
        (controls,) = ctx.saved_tensors
        grads = torch.empty_like(controls)
        arrays = controls.numpy(), ctx.attack, *_arrays(grad), grads.numpy()
        parallel_for(lambda i, j: decays_cpu.sweep_backward(*arrays, i, j), len(grad))
        grads[:, 0] /= 2 * math.pi
        return *grads.to(grad.dtype).unbind(dim=1), None, None
