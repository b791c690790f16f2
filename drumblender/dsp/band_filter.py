"""Filters a sound by short-time spectra, with a gain for each band and frame."""

import math

import torch
from jaxtyping import Float
from torch import Tensor

from drumblender.dsp.bands import bin_blends
from drumblender.dsp.envelopes import interpolate_frames
from drumblender.dsp.kernels import served
from drumblender.dsp.precision import in_full_precision
from drumblender.dsp.real_spectra import real_stft_filter
from drumblender.dsp.spectra import check_frames, hann_window, istft_hann, stft_plain
from drumblender.dsp.tables import placed
from drumblender.types import Audio


@in_full_precision
def filter_bands(
    audio: Audio,
    gain_db: Float[Tensor, "batch frames bands"],
    *,
    n_fft: int,
    hop_length: int,
    sample_rate: int,
    low_hz: float,
    high_hz: float,
) -> Audio:
    """Give every band the gain of its moment: analysis and synthesis under Hann windows.

    Band centres lie at even steps of the ERB-rate from ``low_hz`` to ``high_hz``; between them, gains go in
    straight lines of decibels over frequency. Frame ``t`` is centred on ``t * hop_length``; as many as the
    sound has are needed, others are spread evenly. Gains of 0 dB give the sound back. Differentiable in both.

    Args:
        audio: What is filtered.
        gain_db: In decibels.
        n_fft: Points of the FFT and of its periodic Hann windows.
        hop_length: From frame to frame, at most half a window.
        sample_rate: Samples per second.
        low_hz, high_hz: Centres of the outermost bands.

    Raises:
        ValueError: Sizes that do not fit.

    Examples:
        >>> sound = torch.randn(1, 4800)
        >>> settings = {"n_fft": 512, "hop_length": 128, "sample_rate": 48000, "low_hz": 50, "high_hz": 20000}
        >>> bool(torch.allclose(filter_bands(sound, torch.zeros(1, 38, 16), **settings), sound, atol=1e-5))
        True
    """
    check_frames(audio, n_fft, hop_length, pad_mode="constant")
    if 2 * hop_length > n_fft:
        raise ValueError(f"Windows must overlap by half: {hop_length=} is over half of {n_fft=}.")
    if gain_db.ndim != 3 or len(gain_db) != len(audio):
        raise ValueError(
            f"Gains are (batch, frames, bands) for each of {len(audio)} sounds, got {tuple(gain_db.shape)}."
        )
    num_frames = 1 + int(audio.shape[-1]) // hop_length  # to a tracer, a size is a tensor
    if gain_db.shape[1] != num_frames:
        gain_db = interpolate_frames(gain_db.transpose(1, 2), num_frames, align="hop").transpose(1, 2)
    bands = (n_fft, sample_rate, gain_db.shape[-1], low_hz, high_hz)
    if audio.dtype == torch.float32 == gain_db.dtype and served(audio, gain_db):
        from drumblender.dsp.kernels.band_filter import fused_filter_bands  # numba imports slowly

        return fused_filter_bands(audio, gain_db, bin_blends(*bands), n_fft, hop_length)
    left, blend = bin_blends(*bands)
    blends = placed(left, gain_db, torch.int64), placed(blend, gain_db)
    return filter_bands_plain(audio, gain_db, blends, n_fft, hop_length)


def filter_bands_plain(
    audio: Audio,
    gain_db: Float[Tensor, "batch frames bands"],
    blends: tuple[Tensor, Tensor],
    n_fft: int,
    hop_length: int,
) -> Audio:
    """What :func:`filter_bands` computes, as torch writes it down: any device, any precision."""
    left, blend = blends[0].to(gain_db.device), blends[1].to(gain_db)
    level_db = torch.lerp(gain_db[..., left], gain_db[..., left + 1], blend)
    gain, num_samples = torch.exp(level_db * (math.log(10) / 20)), int(audio.shape[-1])
    if torch.onnx.is_in_onnx_export():  # which has no complex numbers
        return real_stft_filter(audio, gain, n_fft, hop_length, pad_mode="constant", num_samples=num_samples)
    window = placed(hann_window(n_fft, audio.dtype), audio)
    spectrum = stft_plain(audio, n_fft, hop_length, window, "constant")
    if audio.device.type == "cuda":
        return istft_hann((spectrum * gain).mT, n_fft, hop_length, num_samples)
    return torch.istft((spectrum * gain).mT, n_fft, hop_length, window=window, length=num_samples)
