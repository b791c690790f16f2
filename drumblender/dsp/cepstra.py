"""Mel-frequency cepstra."""

from typing import Literal

import torch
from jaxtyping import Float
from torch import Tensor

from drumblender.dsp.precision import in_full_precision
from drumblender.dsp.real_spectra import real_stft
from drumblender.dsp.spectra import power, stft
from drumblender.dsp.tables import placed, table
from drumblender.types import Audio


@in_full_precision
def mel_cepstrum(
    audio: Audio,
    *,
    sample_rate: int,
    num_coefficients: int,
    n_fft: int,
    hop_length: int,
    num_mels: int = 128,
    low_hz: float = 0.0,
    floor_db: float = 80.0,
    loudest: Literal["batch", "item"] = "item",
) -> Float[Tensor, "batch frames coefficients"]:
    """Cepstral coefficients of the mel spectrum in decibels (MFCC), with the values of torchaudio.

    Power spectra of centred frames (periodic Hann, reflect padding), HTK mel triangles without normalisation,
    decibels no lower than ``floor_db`` under the loudest, orthonormal DCT-II.

    Args:
        audio: Sound.
        sample_rate: Samples per second.
        num_coefficients: Coefficients kept, at most ``num_mels``.
        n_fft: Points of the FFT.
        hop_length: Samples between frames.
        num_mels: Mel bands between ``low_hz`` and Nyquist.
        low_hz: Lower edge of the first band, in Hz.
        floor_db: Range below the loudest value that is told apart.
        loudest: Where the loudest value is sought: in each item, or in the whole batch, whose loudest item
            then hides the quiet parts of all others.

    Raises:
        ValueError: More coefficients than bands, an unknown ``loudest``, or sizes :func:`stft` refuses.

    Examples:
        >>> sizes = {"num_coefficients": 13, "n_fft": 1024, "hop_length": 256}
        >>> mel_cepstrum(torch.randn(1, 16000), sample_rate=16000, **sizes).shape
        torch.Size([1, 63, 13])
    """
    if not 1 <= num_coefficients <= num_mels:
        raise ValueError(f"Need 1 to {num_mels} coefficients from {num_mels} bands, got {num_coefficients}.")
    if loudest not in ("batch", "item"):
        raise ValueError(f"loudest is sought in the 'batch' or the 'item', got {loudest!r}.")
    if torch.onnx.is_in_onnx_export():  # which has no complex numbers
        spectrum = real_stft(audio, n_fft, hop_length).square().sum(dim=1).transpose(1, 2)
    else:
        spectrum = power(stft(audio, n_fft, hop_length))
    mels = spectrum @ placed(mel_bands(n_fft // 2 + 1, low_hz, num_mels, sample_rate), spectrum)
    level_db = 10 * torch.log10(mels.clamp(min=1e-10))
    top_db = level_db.amax(dim=(1, 2), keepdim=True)
    top_db = top_db.amax() if loudest == "batch" else top_db
    cosines = placed(_cosines(num_coefficients, num_mels), spectrum)
    return torch.maximum(level_db, top_db - floor_db) @ cosines


@table
def mel_bands(bins: int, low_hz: float, num_mels: int, sample_rate: int) -> Float[Tensor, "bins mels"]:
    """Weights of HTK mel triangles without normalisation, float32; the tensor is shared, do not write to it.

    Examples:
        >>> mel_bands(513, low_hz=0.0, num_mels=40, sample_rate=16000).shape
        torch.Size([513, 40])
    """
    import warnings

    from torchaudio.functional import melscale_fbanks  # torchaudio is slow to import

    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="At least one mel filterbank has all zero values")
        highest = float(sample_rate // 2)  # as torchaudio has it, half a Hz lower at an odd rate
        return melscale_fbanks(bins, low_hz, highest, num_mels, sample_rate).float()


@table
def _cosines(num_coefficients: int, num_mels: int) -> Float[Tensor, "mels coefficients"]:
    from torchaudio.functional import create_dct

    return create_dct(num_coefficients, num_mels, norm="ortho").float()
