"""Loss on the levels of bands."""

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from drumblender.dsp.bands import band_powers
from drumblender.dsp.checks import check_sounds
from drumblender.dsp.precision import in_full_precision
from drumblender.dsp.roots import safe_root
from drumblender.types import Audio


class BandLoss(nn.Module):
    """Distance between powers in mel bands at several resolutions: level and colour, without the fine grain.

    For each resolution, with P and Q the band powers of prediction and target: the mean of
    ``|ln P - ln Q| / 2`` over the cells where either is above the floor (what lies below is lifted to it),
    and the spectral convergence ``|sqrt P - sqrt Q| / |sqrt Q|`` of each item, weighted and summed; then the
    mean over resolutions. Bands average what the bins of a noise scatter, so that noise is told from noise by
    its colour and not by its draw.

    Args:
        sample_rate: Samples per second.
        fft_sizes: Points of the FFT, and of its periodic Hann window, of each resolution.
        num_bands: Mel bands of each resolution.
        low_hz, high_hz: Centres of the outermost bands; ``high_hz`` no higher than 95 % of Nyquist.
        floor_db: Under the loudest cell of each target.
        w_log: Weight of the distance of logarithms.
        w_sc: Weight of the spectral convergence.

    Raises:
        ValueError: Lists of unequal length, or a floor that is not below 0 dB.

    Examples:
        >>> sound = torch.randn(1, 4800, generator=torch.Generator().manual_seed(0))
        >>> BandLoss(48000)(sound, sound).item()
        0.0
    """

    def __init__(
        self,
        sample_rate: int,
        fft_sizes: Sequence[int] = (2048, 1024, 256),
        num_bands: Sequence[int] = (64, 48, 24),
        low_hz: float = 50.0,
        high_hz: float = 20000.0,
        floor_db: float = -60.0,
        w_log: float = 1.0,
        w_sc: float = 1.0,
    ) -> None:
        super().__init__()
        self.sample_rate = sample_rate
        if not len(fft_sizes) == len(num_bands) >= 1:
            raise ValueError(f"Resolutions need equal lists, got {fft_sizes=}, {num_bands=}.")
        if floor_db >= 0:
            raise ValueError(f"The floor lies below 0 dB, got {floor_db=}.")
        self.resolutions = [
            {
                "n_fft": n_fft,
                "hop_length": n_fft // 4,
                "sample_rate": sample_rate,
                "num_bands": bands,
                "low_hz": low_hz,
                "high_hz": min(high_hz, 0.95 * sample_rate / 2),
                "scale": "mel",
            }
            for n_fft, bands in zip(fft_sizes, num_bands, strict=True)
        ]
        self.floor_db, self.w_log, self.w_sc = floor_db, w_log, w_sc

    @in_full_precision
    def forward(self, prediction: Audio, target: Audio) -> Tensor:
        check_sounds(prediction, target)
        return torch.stack([self._at(bands, prediction, target) for bands in self.resolutions]).mean()

    def _at(self, bands: dict[str, int | float | str], prediction: Audio, target: Audio) -> Tensor:
        p, q = (band_powers(audio, **bands) for audio in (prediction, target))
        peak = q.amax(dim=(1, 2), keepdim=True).clamp(min=1e-12)  # silence: -120 dB
        floor = peak * 10 ** (self.floor_db / 10)
        heard = (p > floor) | (q > floor)
        p, q = torch.maximum(p, floor), torch.maximum(q, floor)
        logs = ((p.log() - q.log()).abs() / 2 * heard).sum() / heard.sum().clamp(min=1)
        difference = (p.sqrt() - q.sqrt()).square().sum(dim=(1, 2))
        return self.w_log * logs + self.w_sc * (safe_root(difference) / q.sum(dim=(1, 2)).sqrt()).mean()
