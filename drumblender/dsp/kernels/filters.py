"""A biquad as an autograd function on the CPU."""

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from drumblender.dsp.kernels import filters_cpu
from drumblender.dsp.kernels.threads import parallel_for


class Biquad(torch.autograd.Function):
    @staticmethod
    def forward(ctx, audio: Tensor, b: Tensor, a: Tensor, limit: float) -> Tensor:
        ctx.save_for_backward(audio, b, a)
        ctx.limit = limit
        out = torch.empty_like(audio, memory_format=torch.contiguous_format)
        arrays = *(t.detach().contiguous().numpy() for t in (audio, b, a)), limit, out.numpy()
        parallel_for(lambda i, j: filters_cpu.biquad_forward(*arrays, i, j), len(audio))
        return out

    @staticmethod
    @once_differentiable
    def backward(ctx, grad: Tensor):
        saved = ctx.saved_tensors
        grads = [torch.empty_like(t, memory_format=torch.contiguous_format) for t in saved]
        inputs = (t.detach().contiguous().numpy() for t in saved)
        arrays = *inputs, ctx.limit, grad.contiguous().numpy(), *(t.numpy() for t in grads)
        parallel_for(lambda i, j: filters_cpu.biquad_backward(*arrays, i, j), len(grad))
        return *grads, None
