"""Frequency-sampled filtering frame by frame, and overlap-add: noise that is shaped."""

from functools import lru_cache
from typing import Literal

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from drumblender.dsp.kernels import read_along
from drumblender.dsp.precision import in_full_precision
from drumblender.dsp.spectra import hann_window
from drumblender.dsp.tables import placed, table

NoiseFilter = Literal["linear", "published"]


@in_full_precision
def amp_to_impulse_response(
    magnitude: Float[Tensor, "*frames bands"], size: int
) -> Float[Tensor, "*frames {size}"]:
    """Impulse response of the filter whose magnitudes are given from 0 Hz to Nyquist.

    The response is zero-phase on a circle of ``size`` samples: the half before time 0 stands at the end.
    It lasts ``2 (bands - 1)`` samples under a Hann window; past ``size`` its right end is cut off.

    Args:
        magnitude: Linear, of any sign, at equal steps of frequency.
        size: Length of the output.

    Raises:
        ValueError: Under 2 bands, or an empty output.

    Examples:
        >>> amp_to_impulse_response(torch.ones(5), size=8).round().abs()  # a flat spectrum is an impulse
        tensor([1., 0., 0., 0., 0., 0., 0., 0.])
    """
    _check_bands(magnitude.shape[-1], size)
    response = _zero_phase(magnitude)
    length = int(response.shape[-1])
    window = placed(hann_window(length, magnitude.dtype), magnitude)
    response = response.roll(length // 2, dims=-1) * window
    response = torch.nn.functional.pad(response, (0, size - length))  # crops when negative
    return response.roll(-(length // 2), dims=-1)


def _check_bands(num_bands: int, size: int) -> None:
    if num_bands < 2 or size < 1:
        raise ValueError(f"A filter needs at least 2 bands and 1 sample, got {num_bands} and {size=}.")


@in_full_precision
def filter_frames(
    frames: Float[Tensor, "*frames samples"], response: Float[Tensor, "*frames samples"]
) -> Float[Tensor, "*frames samples"]:
    """Convolve each frame with its response and cut the tail: as many samples come out, nothing wraps.

    Of a response as :func:`amp_to_impulse_response` makes, the half before time 0 is thus heard only in the
    last samples of a frame. The published noise synth sounds like this.

    Examples:
        >>> frames = torch.randn(3, 8)
        >>> response = amp_to_impulse_response(torch.ones(3, 5), size=8)
        >>> torch.allclose(filter_frames(frames, response), frames, atol=1e-5)
        True
    """
    return _convolved(frames, response)[..., : int(frames.shape[-1])]


def _zero_phase(magnitude: Float[Tensor, "*frames bands"]) -> Float[Tensor, "*frames length"]:
    """The inverse transform of real magnitudes: ``2 (bands - 1)`` samples, time 0 first."""
    if torch.onnx.is_in_onnx_export():  # which has no complex numbers
        return magnitude @ _cosines(int(magnitude.shape[-1])).to(magnitude)
    length = 2 * (int(magnitude.shape[-1]) - 1)
    return torch.fft.irfft(torch.complex(magnitude, torch.zeros_like(magnitude)), n=length)


def _convolved(
    frames: Float[Tensor, "*frames samples"], response: Float[Tensor, "*frames taps"]
) -> Float[Tensor, "*frames whole"]:
    """Each frame through its response, to the end of its tail."""
    size, taps = int(frames.shape[-1]), int(response.shape[-1])  # to a tracer, a size is a tensor
    whole = size + taps - 1
    if torch.onnx.is_in_onnx_export():
        count = frames.numel() // size
        kernels = response.reshape(count, 1, taps).flip(-1)
        rows = torch.nn.functional.conv1d(
            frames.reshape(1, count, size), kernels, padding=taps - 1, groups=count
        )
        return rows.reshape(*frames.shape[:-1], whole)
    fft_size = 1 << (whole - 1).bit_length()  # the fastest with room for all
    spectrum = torch.fft.rfft(frames, fft_size) * torch.fft.rfft(response, fft_size)
    return torch.fft.irfft(spectrum, fft_size)[..., :whole]


@table
def _cosines(bands: int) -> Float[Tensor, "bands length"]:
    """The real inverse FFT of real spectra as a matrix, in float64."""
    length = 2 * (bands - 1)
    turns = torch.outer(torch.arange(bands), torch.arange(length)) % length
    weights = torch.full((bands, 1), 2.0 / length, dtype=torch.float64)
    weights[[0, -1]] /= 2
    return weights * torch.cos(2 * torch.pi * turns.double() / length)


def overlap_add(
    frames: Float[Tensor, "batch frames window"], hop_length: int
) -> Float[Tensor, "batch samples"]:
    """Sum frames laid ``hop_length`` samples apart: ``(frames - 1) hop_length + window`` samples.

    Raises:
        ValueError: There is no frame, or the hop is under 1.

    Examples:
        >>> overlap_add(torch.ones(1, 3, 4), hop_length=2)
        tensor([[1., 1., 2., 2., 2., 2., 1., 1.]])
    """
    batch, num_frames, window = map(int, frames.shape)
    if num_frames < 1 or window < 1 or hop_length < 1:
        raise ValueError(
            f"Need a frame, a sample in it and a hop of at least 1, got {tuple(frames.shape)}, {hop_length=}."
        )
    # Cut in pieces of one hop, frame f puts its piece p where frame f + 1 puts piece p - 1.
    pieces = -(-window // hop_length)
    cut = torch.nn.functional.pad(frames, (0, pieces * hop_length - window)).unflatten(
        -1, (pieces, hop_length)
    )
    audio = sum(
        torch.nn.functional.pad(cut[:, :, piece], (0, 0, piece, pieces - 1 - piece))
        for piece in range(pieces)
    )
    return audio.flatten(1)[:, : (num_frames - 1) * hop_length + window]


@in_full_precision
def filtered_noise(
    magnitude: Float[Tensor, "batch frames bands"],
    noise: Float[Tensor, "batch noise_frames window"],
    filter: NoiseFilter = "linear",
) -> Float[Tensor, "batch samples"]:
    """Filter each frame of noise with its magnitudes and overlap-add, half a window apart.

    Args:
        magnitude: Linear, of any sign, at equal steps from 0 Hz to Nyquist.
        noise: A window of noise for each frame, of at least 2 samples.
        filter: ``linear`` windows the noise, then convolves it with the whole response, both halves in place
            and the tail kept: bands stay apart. ``published`` convolves first, cuts frame and response off
            and windows what is left, which spreads every band over all others.

    Raises:
        ValueError: The shapes do not fit, or an unknown filter.

    Examples:
        >>> noise = 2 * torch.rand(2, 10, 256) - 1
        >>> filtered_noise(torch.rand(2, 10, 33), noise).shape  # 9 hops of 128 samples, and a window
        torch.Size([2, 1408])
    """
    if noise.shape[:-1] != magnitude.shape[:-1] or noise.shape[-1] < 2:
        raise ValueError(
            f"Magnitudes of shape {tuple(magnitude.shape)} need as many frames of noise, of 2 samples up, "
            f"got {tuple(noise.shape)}."
        )
    if filter not in ("linear", "published"):
        raise ValueError(f"filter is 'linear' or 'published', got {filter!r}.")
    _check_bands(magnitude.shape[-1], noise.shape[-1])
    fused = magnitude.device.type == "cpu" and magnitude.dtype == noise.dtype == torch.float32
    if fused and not read_along() and not (noise.requires_grad and torch.is_grad_enabled()):
        from drumblender.dsp.kernels.filtered_noise import fused_filtered_noise  # numba imports slowly

        return fused_filtered_noise(magnitude, noise, _taps(magnitude.shape[-1], noise.shape[-1], filter))
    return filtered_noise_plain(magnitude, noise, filter)


def filtered_noise_plain(
    magnitude: Float[Tensor, "batch frames bands"],
    noise: Float[Tensor, "batch frames window"],
    filter: NoiseFilter,
) -> Float[Tensor, "batch samples"]:
    """What :func:`filtered_noise` computes, as torch writes it down: any device, any precision."""
    size = int(noise.shape[-1])
    window = placed(hann_window(size, noise.dtype), noise)
    if filter == "published":
        frames = filter_frames(noise, amp_to_impulse_response(magnitude, size)) * window
        return overlap_add(frames, size // 2)
    response = _zero_phase(magnitude)
    length = int(response.shape[-1])
    longer = placed(hann_window(2 * length, noise.dtype), noise)
    response = torch.cat([response, response], dim=-1) * longer  # lags -length to length - 1
    frames = _convolved(noise * window, response)
    num_samples = (int(noise.shape[1]) - 1) * (size // 2) + size
    return overlap_add(frames, size // 2)[:, length : length + num_samples]


@lru_cache(maxsize=32)
def _taps(num_bands: int, window: int, filter: NoiseFilter):
    """How the kernel lays out the response and cuts the frames."""
    from scipy.fft import next_fast_len

    from drumblender.dsp.kernels.filtered_noise import Taps, table_of

    length = 2 * (num_bands - 1)
    hann, ones = np.hanning(window + 1)[:-1], np.ones(window)
    if filter == "published":
        lag = np.arange(min(length, window)) - length // 2
        weight, before, after = np.hanning(length + 1)[: len(lag)], ones, hann
        place, lead, n_fft = lag % window, 0, next_fast_len(2 * window - 1, real=True)
        n_fft += n_fft % 2
    else:
        lag = np.arange(2 * length) - length
        weight, before, after = np.hanning(2 * length + 1)[:-1], hann, np.ones(window + 2 * length - 1)
        lead, n_fft = length, next_fast_len(len(after), real=True)
        n_fft += n_fft % 2
        place = lag % n_fft
    folded = np.abs(lag) % length
    source = np.minimum(folded, length - folded)  # the response is even
    table = table_of(num_bands, source, weight / length, place, n_fft)
    narrow = (values.astype(np.float32) for values in (weight / length, before, after))
    weight, before, after = narrow
    return Taps(source, weight, place, before, after, n_fft, lead, table)
