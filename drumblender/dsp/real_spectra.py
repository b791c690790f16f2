"""Short-time spectra as convolutions with cosines and sines: for ONNX, which has no complex numbers."""

from typing import Literal

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn import functional as F

from drumblender.dsp.spectra import hann_window
from drumblender.dsp.tables import table
from drumblender.types import Audio


def real_stft(
    audio: Audio, n_fft: int, hop_length: int, *, pad_mode: Literal["reflect", "constant"] = "reflect"
) -> Float[Tensor, "batch 2 bins frames"]:
    """:func:`~drumblender.dsp.spectra.stft` under its Hann window: real parts, then imaginary parts.

    Examples:
        >>> from drumblender.dsp.spectra import stft
        >>> sound = torch.randn(1, 1000)
        >>> real, imag = real_stft(sound, 256, 128)[0]
        >>> torch.allclose(torch.complex(real, imag).T, stft(sound, 256, 128)[0], atol=1e-4)
        True
    """
    around = F.pad(audio, (n_fft // 2, n_fft // 2), mode=pad_mode)
    waves = _analysis(n_fft).to(audio)
    return F.conv1d(around[:, None], waves, stride=hop_length).unflatten(1, (2, n_fft // 2 + 1))


def real_istft(
    spectrum: Float[Tensor, "batch 2 bins frames"],
    n_fft: int,
    hop_length: int,
    *,
    num_samples: int | None = None,
) -> Audio:
    """``torch.istft`` under a Hann window, of the layout of :func:`real_stft`.

    Args:
        spectrum: Frame ``t`` is centred on sample ``t * hop_length``.
        n_fft: Points of the FFT.
        hop_length: Samples between frames, at most half of ``n_fft``.
        num_samples: Length of the sound, which the frames must cover; None: all between the outer centres.

    Examples:
        >>> sound = torch.randn(1, 1000)
        >>> torch.allclose(real_istft(real_stft(sound, 256, 64), 256, 64, num_samples=1000), sound, atol=1e-5)
        True
    """
    waves, weight = _synthesis(n_fft, hop_length, spectrum.shape[-1])
    sound = F.conv_transpose1d(spectrum.flatten(1, 2), waves.to(spectrum), stride=hop_length)[:, 0]
    start = n_fft // 2  # of what stood before the sound
    stop = len(weight) - start if num_samples is None else start + num_samples
    return sound[:, start:stop] / weight[start:stop].to(spectrum)


def real_stft_filter(
    audio: Audio,
    gain: Float[Tensor, "batch frames bins"],
    n_fft: int,
    hop_length: int,
    *,
    pad_mode: Literal["reflect", "constant"],
    num_samples: int | None = None,
) -> Float[Tensor, "batch filtered"]:
    """Multiply the spectrum of as many frames as there are gains, and transform it back.

    Examples:
        >>> sound, gain = torch.randn(1, 1000), torch.full((1, 16, 129), 0.5)
        >>> half = real_stft_filter(sound, gain, 256, 64, pad_mode="constant", num_samples=1000)
        >>> torch.allclose(half, sound / 2, atol=1e-5)
        True
    """
    spectrum = real_stft(audio, n_fft, hop_length, pad_mode=pad_mode)[..., : int(gain.shape[1])]
    return real_istft(spectrum * gain.transpose(1, 2)[:, None], n_fft, hop_length, num_samples=num_samples)


@table
def _analysis(n_fft: int) -> Float[Tensor, "waves 1 n_fft"]:
    """Cosines and then negative sines of all bins under the window, float64."""
    turns = torch.outer(torch.arange(n_fft // 2 + 1), torch.arange(n_fft)) % n_fft
    angle = 2 * torch.pi * turns.double() / n_fft
    return torch.cat([angle.cos(), -angle.sin()])[:, None] * hann_window(n_fft, torch.float64)


@table
def _synthesis(
    n_fft: int, hop_length: int, num_frames: int
) -> tuple[Float[Tensor, "waves 1 n_fft"], Float[Tensor, "samples"]]:
    """The same waves with their share in a frame, and what all windows squared sum up to, float64."""
    share = torch.full((n_fft // 2 + 1,), 2 / n_fft, dtype=torch.float64)
    share[0] /= 2
    if n_fft % 2 == 0:
        share[-1] /= 2  # Nyquist, like 0 Hz, has no mirror image
    ones = torch.ones(1, 1, num_frames, dtype=torch.float64)
    weight = F.conv_transpose1d(
        ones, hann_window(n_fft, torch.float64).square()[None, None], stride=hop_length
    )
    return _analysis(n_fft) * share.repeat(2)[:, None, None], weight.flatten()
