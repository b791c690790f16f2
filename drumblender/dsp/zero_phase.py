"""Filters given by their magnitude, without a phase: short windowed kernels, blended from block to block."""

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn import functional as F

from drumblender.dsp.precision import in_full_precision
from drumblender.dsp.spectra import hann_window
from drumblender.dsp.tables import placed
from drumblender.types import Audio


@in_full_precision
def zero_phase_filter(
    audio: Audio,
    magnitudes: Float[Tensor, "batch frames bins"],
    *,
    delay_samples: int = 0,
    win_length: int = 0,
    with_tail: bool = False,
) -> Float[Tensor, "batch filtered"]:
    """Filter each of equally long blocks by the magnitudes of its frame, and add what rings over.

    The kernels are those of :func:`zero_phase_kernels`. Differentiable in both tensors.

    Args:
        audio: Sound.
        magnitudes: Gain from 0 Hz to Nyquist in even steps, one row for each block.
        delay_samples: Delay of the result; 2 is what DDSP's filter and the paper's synthesiser have without
            ``win_length``, 0 what they have with it.
        win_length: Taps of the window of each kernel; 0 for as many as the magnitudes give.
        with_tail: Go on after the last sample while it rings, for one sample less than a kernel has taps;
            DDSP calls that valid.

    Raises:
        ValueError: There are under 2 bins, more frames than samples, or a delay or window that is negative.

    Examples:
        >>> sound = torch.randn(1, 1000)
        >>> torch.allclose(zero_phase_filter(sound, torch.ones(1, 1, 33)), sound, atol=1e-5)
        True
    """
    batch, num_samples = audio.shape
    frames, bins = magnitudes.shape[1:]
    if bins < 2 or not 1 <= frames <= num_samples or delay_samples < 0:
        raise ValueError(
            f"Need 2 bins, 1 to {num_samples} frames and a delay of 0 or more, got {bins=}, {frames=}, "
            f"{delay_samples=}."
        )
    kernels = zero_phase_kernels(magnitudes.to(audio.dtype), win_length)
    taps = kernels.shape[-1]
    block = -(-num_samples // frames)
    blocks = F.pad(audio, (0, block * frames - num_samples)).view(batch, frames, block)
    size = 1 << (block + taps - 2).bit_length()
    rung = torch.fft.irfft(torch.fft.rfft(blocks, size) * torch.fft.rfft(kernels, size), size)
    total = F.fold(
        rung.mT, (1, (frames - 1) * block + size), kernel_size=(1, size), stride=(1, block)
    ).flatten(1)
    start = _lag_zero(bins, win_length) - delay_samples
    wanted = num_samples + (taps - 1 if with_tail else 0)
    return F.pad(total, (max(0, -start), max(0, start + wanted - total.shape[1])))[
        :, max(0, start) : max(0, start) + wanted
    ]


@in_full_precision
def zero_phase_kernels(
    magnitudes: Float[Tensor, "*frames bins"], win_length: int = 0
) -> Float[Tensor, "*frames taps"]:
    """Impulse responses that have these magnitudes and no phase, under a Hann window centred on lag 0.

    Without ``win_length`` they are ``2 (bins - 1)`` taps, lag 0 in their middle. A shorter window smooths
    the response and rings less; its ``W`` taps are cut as DDSP cuts them, to ``2 h - 1`` with lag 0 at tap
    ``h - 2``, where ``h`` is half of ``W`` rounded up.

    Args:
        magnitudes: Gain from 0 Hz to Nyquist in even steps.
        win_length: Taps of the window, at least 3; 0, or more than there are, for all.

    Raises:
        ValueError: There are under 2 bins, or the window has 1 or 2 taps or a negative number of them.

    Examples:
        >>> zero_phase_kernels(torch.ones(3)).tolist()
        [0.0, 0.0, 1.0, 0.0]
    """
    bins = magnitudes.shape[-1]
    if bins < 2 or win_length < 0 or win_length in (1, 2):
        raise ValueError(f"Need 2 bins and a window of 0, or 3 taps or more: {bins=}, {win_length=}.")
    taps = 2 * (bins - 1)
    kernels = torch.fft.irfft(magnitudes).roll(taps // 2, dims=-1)
    size = win_length if _is_shorter(win_length, taps) else taps
    window = placed(hann_window(size, kernels.dtype), kernels)
    if size == taps:
        return kernels * window
    half = (size + 1) // 2
    window = F.pad(window, (0, 2 * half - size + 1))[2:]  # from lag 2 - half to half
    first = taps // 2 + 2 - half
    kept = kernels[..., first : first + len(window)]
    return F.pad(kept, (0, len(window) - kept.shape[-1])) * window


def _is_shorter(win_length: int, taps: int) -> bool:
    return 0 < win_length < taps


def _lag_zero(bins: int, win_length: int) -> int:
    """Which tap of a kernel is lag 0."""
    taps = 2 * (bins - 1)
    return (win_length + 1) // 2 - 2 if _is_shorter(win_length, taps) else taps // 2


def slope_response(
    decay_db: Float[Tensor, "*batch"] | float,
    *,
    num_bins: int = 65,
    corner_hz: float = 500.0,
    sample_rate: float = 16000.0,
) -> Float[Tensor, "*batch bins"]:
    """Gain 1 up to the corner, and ``decay_db`` less in every octave above it, from 0 Hz to Nyquist.

    Examples:
        >>> slope_response(6.0, num_bins=3, corner_hz=2000.0)  # at 0, 4 and 8 kHz
        tensor([1.0000, 0.5012, 0.2512])
    """
    decay = torch.as_tensor(decay_db)
    decay = decay if decay.is_floating_point() else decay.float()
    if num_bins < 2 or not 0 < corner_hz < sample_rate / 2:
        raise ValueError(
            f"Need 2 bins and a corner below {sample_rate / 2:g} Hz, got {num_bins=}, {corner_hz=}."
        )
    freqs_hz = torch.linspace(0, sample_rate / 2, num_bins, device=decay.device, dtype=decay.dtype)
    octaves = (freqs_hz / corner_hz).clamp(min=1).log2()
    return 10 ** (-decay[..., None] / 20 * octaves)
