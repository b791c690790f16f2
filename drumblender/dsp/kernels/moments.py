"""Spectra through two windows, centroid and flatness as autograd functions on the CPU."""

import numpy as np
import scipy.fft
import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from drumblender.dsp.kernels import moments_cpu
from drumblender.dsp.kernels.sharing import plain_array
from drumblender.dsp.kernels.threads import parallel_for


class PairedMagnitudes(torch.autograd.Function):
    @staticmethod
    def forward(ctx, audio: Tensor, window: Tensor, other: Tensor, hop_length: int):
        # pocketfft runs in our threads; MKL's FFT would leave a team of its own spinning.
        per_row = (audio.shape[1] - len(window)) // hop_length + 1
        kind = np.complex64 if audio.dtype == torch.float32 else np.complex128
        spectra = np.empty((len(audio), per_row, len(window)), dtype=kind)
        results = [audio.new_empty(len(audio), per_row, len(window) // 2 + 1) for _ in range(2)]
        signal, shapes = plain_array(audio), (window.numpy(), other.numpy())
        real, imaginary = (result.numpy() for result in results)

        def transform(start: int, stop: int) -> None:
            for row in range(start, stop):
                part = spectra[row]
                moments_cpu.cut_pairs(signal[row], *shapes, hop_length, _interleaved(part))
                transformed = scipy.fft.fft(part, overwrite_x=True)
                if transformed is not part:  # it may overwrite, and says not that it must
                    part[:] = transformed
                moments_cpu.split_pairs(_interleaved(part), real[row], imaginary[row])

        parallel_for(transform, len(audio))
        ctx.spectra, ctx.shapes, ctx.hop_length, ctx.shape = spectra, shapes, hop_length, tuple(audio.shape)
        return tuple(results)

    @staticmethod
    @once_differentiable
    def backward(ctx, *grads: Tensor):
        real, imaginary = (plain_array(grad) for grad in grads)
        signal = np.zeros(ctx.shape, dtype=real.dtype)

        def add_back(start: int, stop: int) -> None:
            joined = np.empty_like(ctx.spectra[0])
            for row in range(start, stop):
                spectra = _interleaved(ctx.spectra[row])
                moments_cpu.join_pairs(spectra, real[row], imaginary[row], _interleaved(joined))
                frames = scipy.fft.ifft(joined, norm="forward")
                moments_cpu.add_pairs(_interleaved(frames), *ctx.shapes, ctx.hop_length, signal[row])

        parallel_for(add_back, len(signal))
        return torch.from_numpy(signal), None, None, None


def _interleaved(spectra: np.ndarray) -> np.ndarray:
    """Rows of real and imaginary parts in turn, as the kernels read them: the same memory."""
    return spectra.view(spectra.real.dtype)


class Centroid(torch.autograd.Function):
    @staticmethod
    def forward(ctx, magnitude: Tensor, compress: bool, floor: float) -> Tensor:
        rows = magnitude.detach().contiguous()
        centre, total = torch.empty(2, len(rows), dtype=torch.float64)
        arrays = rows.numpy(), compress, floor, centre.numpy(), total.numpy()
        parallel_for(lambda i, j: moments_cpu.centroid_forward(*arrays, i, j), len(rows))
        ctx.save_for_backward(rows)
        ctx.arrays = arrays[1:]
        return centre.to(magnitude.dtype)

    @staticmethod
    @once_differentiable
    def backward(ctx, grad: Tensor):
        (rows,) = ctx.saved_tensors
        grad_rows = torch.empty_like(rows)
        arrays = rows.numpy(), *ctx.arrays, grad.double().contiguous().numpy(), grad_rows.numpy()
        parallel_for(lambda i, j: moments_cpu.centroid_backward(*arrays, i, j), len(rows))
        return grad_rows, None, None


class Flatness(torch.autograd.Function):
    @staticmethod
    def forward(ctx, magnitude: Tensor, amin: float) -> Tensor:
        rows = magnitude.detach().contiguous()
        ratio, mean = torch.empty(2, len(rows), dtype=torch.float64)
        arrays = rows.numpy(), amin, ratio.numpy(), mean.numpy()
        parallel_for(lambda i, j: moments_cpu.flatness_forward(*arrays, i, j), len(rows))
        ctx.save_for_backward(rows)
        ctx.arrays = arrays[1:]
        return ratio.to(magnitude.dtype)

    @staticmethod
    @once_differentiable
    def backward(ctx, grad: Tensor):
        (rows,) = ctx.saved_tensors
        grad_rows = torch.empty_like(rows)
        arrays = rows.numpy(), *ctx.arrays, grad.double().contiguous().numpy(), grad_rows.numpy()
        parallel_for(lambda i, j: moments_cpu.flatness_backward(*arrays, i, j), len(rows))
        return grad_rows, None
