"""Magnitudes of frames that start on the first sample, as the pitch losses cut them."""

from typing import Literal

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn import functional as F

from drumblender.dsp.checks import check_some
from drumblender.dsp.precision import in_full_precision
from drumblender.dsp.tables import table
from drumblender.types import Audio

Frames = Literal["full", "padded"]
"""Which frames of a sound count. ``full``: those that lie in it. ``padded``: one for every hop, with zeros
after the end of the sound; the last frames are cut windows, whose leakage swamps the gradient of a transport
loss."""


@in_full_precision
def short_time_magnitudes(
    audio: Audio,
    n_fft: int,
    hop_length: int,
    window: Float[Tensor, "{n_fft}"],
    frames: Frames = "full",
) -> Float[Tensor, "batch frames bins"]:
    """``|FFT| / sqrt(n_fft)`` of frame after frame, the first from sample 0.

    Where the magnitude is 0 its gradient is 0.

    Args:
        audio: Sound.
        n_fft: Samples of a frame and points of its FFT.
        hop_length: Samples from a frame to the next.
        window: What frames are multiplied by.
        frames: Which frames to cut; see :data:`Frames`.

    Raises:
        ValueError: A size below 1, an unknown ``frames``, no sounds, or no full frame in a sound.

    Examples:
        >>> short_time_magnitudes(torch.randn(1, 4096), 1024, 256, torch.hann_window(1024)).shape
        torch.Size([1, 13, 513])
        >>> short_time_magnitudes(torch.randn(1, 4096), 1024, 256, torch.hann_window(1024), "padded").shape
        torch.Size([1, 16, 513])
    """
    num_samples = audio.shape[-1]
    if min(n_fft, hop_length) < 1:
        raise ValueError(f"Sizes start at 1, got {n_fft=}, {hop_length=}.")
    check_some(audio)
    if frames == "padded":
        last_start = hop_length * ((num_samples - 1) // hop_length)
        audio = F.pad(audio, (0, max(0, last_start + n_fft - num_samples)))
    elif frames != "full":
        raise ValueError(f"frames is 'full' or 'padded', got {frames!r}.")
    elif num_samples < n_fft:
        raise ValueError(
            f"{num_samples} samples hold no full frame of {n_fft}: take a smaller n_fft or frames='padded'."
        )
    spectra = torch.fft.rfft(audio.unfold(-1, n_fft, hop_length) * window.to(audio))
    if frames == "padded":
        spectra = spectra[:, : last_start // hop_length + 1]
    return spectra.abs() / n_fft**0.5


@table
def named_window(name: str, length: int) -> Float[Tensor, "length"]:
    """The periodic window of a name that ``scipy.signal.get_window`` knows, float64; do not write to it.

    Examples:
        >>> named_window("hann", 4).tolist()
        [0.0, 0.5, 1.0, 0.5]
    """
    from scipy.signal import get_window  # slow to import

    try:
        return torch.from_numpy(get_window(name, length))
    except ValueError as error:
        raise ValueError(f"scipy knows no window {name!r}.") from error
