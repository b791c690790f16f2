"""Noise shaped in the short-time Fourier domain."""

import torch
from jaxtyping import Float
from torch import Tensor

from drumblender.dsp.envelopes import upsample_frames
from drumblender.dsp.kernels import served
from drumblender.dsp.precision import in_full_precision
from drumblender.dsp.real_spectra import real_stft_filter
from drumblender.dsp.spectra import hann_window, istft_hann
from drumblender.dsp.tables import placed


@in_full_precision
def stft_filter(
    noise: Float[Tensor, "batch noise_samples"],
    magnitude: Float[Tensor, "batch frames bands"],
    *,
    n_fft: int = 1024,
    hop_length: int = 160,
) -> Float[Tensor, "batch samples"]:
    """Multiply the short-time spectrum of noise by magnitudes and transform it back.

    Frame ``t`` is centred on sample ``t hop_length``; ``(frames - 1) hop_length`` samples come out. A
    constant magnitude m makes noise of unit variance sound at RMS m. Differentiable in the magnitudes.

    Args:
        noise: At least ``(frames - 1) hop_length + 1`` samples, more than half an FFT.
        magnitude: Linear, from 0 Hz to Nyquist at equal steps, joined by straight lines.
        n_fft: Points of the FFT, and of its Hann window.
        hop_length: Samples between frames, at most half of ``n_fft``.

    Raises:
        ValueError: Fewer than 2 frames or bands, a hop that leaves gaps, or too little noise.

    Examples:
        >>> noise = torch.randn(1, 17024)
        >>> low = torch.tensor([0.1, 0.0, 0.0]).expand(1, 101, 3)  # from 0 Hz to half of Nyquist
        >>> sound = stft_filter(noise, low)
        >>> sound.shape, bool(sound.std() < noise.std() / 10)
        (torch.Size([1, 16000]), True)
    """
    num_frames, num_bands = magnitude.shape[1:]
    if num_frames < 2 or num_bands < 2 or not 1 <= hop_length <= n_fft // 2:
        raise ValueError(
            f"Need 2 frames and bands and a hop of 1 to {n_fft // 2}, got {num_frames} frames, "
            f"{num_bands} bands and {hop_length=}."
        )
    if noise.shape[-1] < max((num_frames - 1) * hop_length + 1, n_fft // 2 + 1):
        raise ValueError(f"{noise.shape[-1]} samples of noise are too few for {num_frames} frames.")
    trains_noise = noise.requires_grad and torch.is_grad_enabled()
    fits = noise.dtype == magnitude.dtype == torch.float32 and n_fft % 2 == 0 and not trains_noise
    if fits and served(noise, magnitude):
        from drumblender.dsp.kernels.stft_noise import fused_stft_filter  # numba imports slowly

        return fused_stft_filter(noise, magnitude, n_fft, hop_length)
    return stft_filter_plain(noise, magnitude, n_fft, hop_length)


def stft_filter_plain(
    noise: Float[Tensor, "batch noise_samples"],
    magnitude: Float[Tensor, "batch frames bands"],
    n_fft: int,
    hop_length: int,
) -> Float[Tensor, "batch samples"]:
    """What :func:`stft_filter` computes, as torch writes it down: any device, any precision."""
    num_frames = magnitude.shape[1]
    gain = upsample_frames(magnitude, n_fft // 2 + 1, "ends")
    if torch.onnx.is_in_onnx_export():  # which has no complex numbers
        return real_stft_filter(noise, gain, n_fft, hop_length, pad_mode="reflect")
    window = placed(hann_window(n_fft, noise.dtype), noise)
    spectrum = torch.stft(noise, n_fft, hop_length, window=window, return_complex=True)[..., :num_frames]
    if noise.device.type == "cuda":
        return istft_hann(spectrum * gain.mT, n_fft, hop_length)
    return torch.istft(spectrum * gain.mT, n_fft, hop_length, window=window)


def mean_square_of_bands(magnitude: Float[Tensor, "*batch bands"]) -> Float[Tensor, "*batch"]:
    """Power of :func:`stft_filter`'s sound for noise of unit variance: of straight lines between bands.

    Examples:
        >>> mean_square_of_bands(torch.tensor([0.1, 0.1, 0.1]))
        tensor(0.0100)
    """
    left, right = magnitude[..., :-1], magnitude[..., 1:]
    return torch.addcmul(right.square(), left, left + right).mean(dim=-1) / 3
