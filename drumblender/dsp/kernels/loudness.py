"""K-weighted power as an autograd function on the CPU."""

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from drumblender.dsp.kernels import loudness_cpu
from drumblender.dsp.kernels.sharing import plain_array
from drumblender.dsp.kernels.threads import parallel_for


class KPower(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx, audio: Tensor, b: Tensor, a: Tensor, frame_size: int, hop_length: int, limit: float
    ) -> Tensor:
        num_frames = (audio.shape[1] - frame_size) // hop_length + 1
        power = audio.new_empty(len(audio), num_frames)
        ctx.save_for_backward(audio)
        ctx.settings = frame_size, hop_length, b.double().numpy(), a.double().numpy(), limit
        arrays = plain_array(audio), *ctx.settings, power.numpy()
        parallel_for(lambda i, j: loudness_cpu.k_power_forward(*arrays, i, j), len(audio))
        return power

    @staticmethod
    @once_differentiable
    def backward(ctx, grad: Tensor):
        (audio,) = ctx.saved_tensors
        grad_audio = torch.empty_like(audio, memory_format=torch.contiguous_format)
        signal = plain_array(audio)
        arrays = signal, *ctx.settings, plain_array(grad), grad_audio.numpy()
        parallel_for(lambda i, j: loudness_cpu.k_power_backward(*arrays, i, j), len(audio))
        return grad_audio, None, None, None, None, None
