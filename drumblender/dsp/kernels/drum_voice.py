"""A whole drum voice as an autograd function on the CPU."""

import math

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from drumblender.dsp.kernels import drum_voice_cpu
from drumblender.dsp.kernels.threads import parallel_for


class DrumVoice(torch.autograd.Function):
    @staticmethod
    def forward(ctx, tones: Tensor, hiss: Tensor, drive: Tensor, noise: Tensor, settings: tuple) -> Tensor:
        wide = [tensor.detach().double().contiguous().clone() for tensor in (tones, hiss, drive)]
        wide[0][..., 0] /= 2 * math.pi
        source = noise.detach().contiguous()
        out = tones.new_empty(len(tones), noise.shape[-1])
        tensors = wide[0], wide[1], source, wide[2]
        arrays = *(tensor.numpy() for tensor in tensors), *settings, out.numpy()
        parallel_for(lambda i, j: drum_voice_cpu.voice_forward(*arrays, i, j), len(out))
        ctx.save_for_backward(*tensors, out)
        ctx.settings = settings
        return out

    @staticmethod
    @once_differentiable
    def backward(ctx, grad: Tensor):
        tones, hiss, noise, drive, out = ctx.saved_tensors
        grads = torch.empty_like(tones), torch.empty_like(hiss), torch.empty_like(drive)
        arrays = (
            *(tensor.numpy() for tensor in (tones, hiss, noise, drive)),
            *ctx.settings,
            *(tensor.numpy() for tensor in (out, grad.contiguous(), *grads)),
        )
        parallel_for(lambda i, j: drum_voice_cpu.voice_backward(*arrays, i, j), len(grad))
        grads[0][..., 0] /= 2 * math.pi
        return *(each.to(grad.dtype) for each in grads), None, None
