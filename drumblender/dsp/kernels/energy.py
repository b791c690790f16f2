"""Weighted energy as an autograd function on the CPU."""

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from drumblender.dsp.kernels import energy_cpu
from drumblender.dsp.kernels.sharing import plain_array
from drumblender.dsp.kernels.threads import parallel_for


class WeightedEnergy(torch.autograd.Function):
    """Sums of the squared samples times each row of weights, in float64."""

    @staticmethod
    def forward(ctx, audio: Tensor, weights: Tensor) -> Tensor:
        ctx.save_for_backward(audio, weights)
        sums = torch.empty(len(audio), len(weights), dtype=torch.float64)
        arrays = plain_array(audio), weights.numpy(), sums.numpy()
        parallel_for(lambda i, j: energy_cpu.weighted_energy(*arrays, i, j), len(audio))
        return sums

    @staticmethod
    @once_differentiable
    def backward(ctx, grad: Tensor):
        audio, weights = ctx.saved_tensors
        grad_audio = torch.empty_like(audio, memory_format=torch.contiguous_format)
        signal = plain_array(audio)
        arrays = signal, weights.numpy(), plain_array(grad), grad_audio.numpy()
        parallel_for(lambda i, j: energy_cpu.weighted_energy_adjoint(*arrays, i, j), len(audio))
        return grad_audio, None
