"""Short-time spectra of audio and their magnitudes."""

from typing import Literal

import torch
from jaxtyping import Complex, Float
from torch import Tensor
from torch.nn import functional as F

from drumblender.dsp.checks import check_some
from drumblender.dsp.kernels import served
from drumblender.dsp.precision import in_full_precision
from drumblender.dsp.roots import safe_root
from drumblender.dsp.tables import placed, table
from drumblender.types import Audio

Spectrum = Complex[Tensor, "batch frames bins"]


@table
def hann_window(length: int, dtype: torch.dtype = torch.float32) -> Float[Tensor, "length"]:
    """Periodic Hann window, on the CPU. The tensor is shared: do not write to it.

    Examples:
        >>> hann_window(4).round(decimals=3).abs()
        tensor([0.0000, 0.5000, 1.0000, 0.5000])
    """
    return torch.hann_window(length, dtype=dtype)


@in_full_precision
def stft(
    audio: Audio,
    n_fft: int,
    hop_length: int,
    window: Float[Tensor, "length"] | None = None,
    *,
    pad_mode: Literal["reflect", "constant"] = "reflect",
) -> Spectrum:
    """Short-time Fourier transform, frame ``t`` centred on sample ``t * hop_length``.

    The values of ``torch.stft``, frames before bins. In float32 on the CPU framing and its adjoint are
    compiled loops, and the adjoint of the FFT is a real one: about three times faster than autograd's.

    Args:
        audio: Sound, any floating type; half precision is computed in float32.
        n_fft: Points of the FFT, which gives ``n_fft // 2 + 1`` bins.
        hop_length: Samples between frames.
        window: No longer than ``n_fft``, centred in it; periodic Hann of length ``n_fft`` by default.
        pad_mode: What is assumed before and after the audio: its mirror image, or silence.

    Raises:
        ValueError: A size below 1, a window longer than the FFT, no sounds, or audio too short to mirror.

    Examples:
        >>> stft(torch.randn(2, 16000), n_fft=1024, hop_length=256).shape
        torch.Size([2, 63, 513])
    """
    check_frames(audio, n_fft, hop_length, None if window is None else window.numel(), pad_mode)
    window = placed(hann_window(n_fft), audio) if window is None else window.to(audio)
    if audio.dtype != torch.float32 or window.requires_grad or not served(audio):
        return stft_plain(audio, n_fft, hop_length, window, pad_mode)
    from drumblender.dsp.kernels.spectra import Stft  # numba imports slowly

    return Stft.apply(audio, n_fft, hop_length, window, pad_mode == "reflect")


def stft_plain(
    audio: Audio, n_fft: int, hop_length: int, window: Float[Tensor, "length"], pad_mode: str = "reflect"
) -> Spectrum:
    """What :func:`stft` computes, by ``torch.stft``: any device, any precision."""
    spectrum = torch.stft(
        audio, n_fft, hop_length, window.numel(), window, pad_mode=pad_mode, return_complex=True
    )
    return spectrum.transpose(1, 2)


def power(spectrum: Spectrum) -> Float[Tensor, "batch frames bins"]:
    """Squared magnitude.

    Examples:
        >>> power(torch.tensor([[[3 + 4j]]]))
        tensor([[[25.]]])
    """
    return spectrum.real.square() + spectrum.imag.square()


def magnitude(spectrum: Spectrum, floor: float = 0.0) -> Float[Tensor, "batch frames bins"]:
    """The square root of the power, which is lifted to at least ``floor``; below it the gradient is 0.

    Examples:
        >>> magnitude(torch.tensor([[[3 + 4j, 0j]]]), floor=0.01)
        tensor([[[5.0000, 0.1000]]])
    """
    squared = power(spectrum)
    if floor > 0:
        return squared.clamp(min=floor).sqrt()
    return safe_root(squared)


def check_frames(
    audio: Audio, n_fft: int, hop_length: int, window_length: int | None = None, pad_mode: str = "reflect"
) -> None:
    """Refuse sizes that :func:`stft` cannot work with; raises ValueError.

    Examples:
        >>> check_frames(torch.zeros(1, 100), n_fft=1024, hop_length=256)
        Traceback (most recent call last):
            ...
        ValueError: 100 samples are too few to mirror for n_fft=1024: give more than 512, or a smaller n_fft.
    """
    window_length = n_fft if window_length is None else window_length
    if min(n_fft, hop_length, window_length) < 1:
        raise ValueError(f"Sizes start at 1, got {n_fft=}, {hop_length=}, {window_length=}.")
    if window_length > n_fft:
        raise ValueError(f"A window of {window_length} samples does not fit in {n_fft=}.")
    if pad_mode not in ("reflect", "constant"):
        raise ValueError(f"pad_mode is 'reflect' or 'constant', got {pad_mode!r}.")
    check_some(audio)
    num_samples = audio.shape[-1]
    if pad_mode == "reflect" and num_samples <= n_fft // 2:
        raise ValueError(
            f"{num_samples} samples are too few to mirror for {n_fft=}: give more than {n_fft // 2}, "
            "or a smaller n_fft."
        )


def istft_hann(
    spectrum: Complex[Tensor, "batch bins frames"],
    n_fft: int,
    hop_length: int,
    num_samples: int | None = None,
) -> Audio:
    """``torch.istft`` under a Hann window, which reads back whether windows leave gaps: a GPU waits.

    Examples:
        >>> window, sound = torch.hann_window(64), torch.randn(1, 320)
        >>> spectrum = torch.stft(sound, 64, 16, window=window, return_complex=True)
        >>> torch.allclose(istft_hann(spectrum, 64, 16), sound, atol=1e-5)
        True
    """
    frames = torch.fft.irfft(spectrum.mT, n=n_fft)
    size = n_fft + (frames.shape[1] - 1) * hop_length
    window, weight = _windows(n_fft, hop_length, frames.shape[1])
    sizes = {"output_size": (1, size), "kernel_size": (1, n_fft), "stride": (1, hop_length)}
    sound = F.fold((frames * placed(window, frames)).mT, **sizes)[:, 0, 0]
    stop = size - n_fft // 2 if num_samples is None else n_fft // 2 + num_samples
    inside = slice(n_fft // 2, stop)
    return sound[:, inside] / placed(weight, frames)[inside]


@table
def _windows(n_fft: int, hop_length: int, num_frames: int) -> tuple[Tensor, Tensor]:
    """A window, and what all of them squared sum up to."""
    window = hann_window(n_fft, torch.float64)
    ones = torch.ones(1, 1, num_frames, dtype=torch.float64)
    weight = F.conv_transpose1d(ones, window.square()[None, None], stride=hop_length)
    return window, weight.flatten()
