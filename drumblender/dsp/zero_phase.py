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
) -> Audio:
    """Filter each of equally long blocks by the magnitudes of its frame, and add what rings over.

    The kernel of a frame is the inverse FFT of its magnitudes, ``2 (bins - 1)`` taps, under a periodic Hann
    window centred on lag 0. Differentiable in both tensors.

    Args:
        audio: Sound.
        magnitudes: Gain from 0 Hz to Nyquist in even steps, one row for each block.
        delay_samples: Delay of the result; 2 is what DDSP's filter and the paper's synthesiser have.

    Raises:
        ValueError: There are under 2 bins, more frames than samples, or a delay that is negative.

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
    taps = 2 * (bins - 1)
    window = placed(hann_window(taps, audio.dtype), audio)
    kernels = torch.fft.irfft(magnitudes.to(audio.dtype)).roll(taps // 2, dims=-1) * window
    block = -(-num_samples // frames)
    blocks = F.pad(audio, (0, block * frames - num_samples)).view(batch, frames, block)
    size = 1 << (block + taps - 2).bit_length()
    rung = torch.fft.irfft(torch.fft.rfft(blocks, size) * torch.fft.rfft(kernels, size), size)
    total = F.fold(
        rung.mT, (1, (frames - 1) * block + size), kernel_size=(1, size), stride=(1, block)
    ).flatten(1)
    start = taps // 2 - delay_samples  # the tap of lag 0
    return F.pad(total, (max(0, -start), max(0, start + num_samples - total.shape[1])))[
        :, max(0, start) : max(0, start) + num_samples
    ]


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
