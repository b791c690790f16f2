"""The multi-scale spectral loss of DDSP (Engel et al., ICLR 2020), as Torres et al. (ICASSP 2024) sum it."""

from collections.abc import Sequence
from functools import partial
from typing import Literal

import torch
from jaxtyping import Float
from torch import Tensor, nn

from drumblender.dsp.checks import check_sounds
from drumblender.dsp.precision import in_full_precision
from drumblender.dsp.short_time import Frames, short_time_magnitudes
from drumblender.dsp.spectra import hann_window
from drumblender.dsp.tables import placed
from drumblender.losses.in_blocks import in_blocks
from drumblender.types import Audio


class MultiScaleSpectralLoss(nn.Module):
    """Difference of magnitudes, and of log magnitudes, summed over frame sizes.

    Args:
        fft_sizes: Samples of a frame at each scale; frames overlap by three quarters.
        loss_type: Mean absolute (``"L1"``) or mean squared (``"L2"``) difference.
        mag_weight: Weight of the magnitudes.
        logmag_weight: Weight of the logarithm of magnitudes, which are lifted to 1e-5.
        frames: ``"full"``: frames within the sound; ``"padded"``: as published, also cut ones at its end.

    Raises:
        ValueError: No scale, a size below 4, an unknown choice, or both weights 0.

    Examples:
        >>> sound = torch.randn(1, 4096)
        >>> loss = MultiScaleSpectralLoss()
        >>> silence = torch.zeros(1, 4096)  # as far in magnitudes as a sound twice as strong
        >>> torch.allclose(loss(2 * sound, sound), loss(silence, sound))
        True
    """

    def __init__(
        self,
        fft_sizes: Sequence[int] = (2048, 1024, 512, 256, 128, 64),
        loss_type: Literal["L1", "L2"] = "L1",
        mag_weight: float = 1.0,
        logmag_weight: float = 0.0,
        frames: Frames = "full",
    ) -> None:
        super().__init__()
        if not fft_sizes or min(fft_sizes) < 4:
            raise ValueError(f"Need frame sizes of at least 4 samples, got {tuple(fft_sizes)}.")
        if loss_type not in ("L1", "L2") or frames not in ("full", "padded"):
            raise ValueError(
                f"loss_type is 'L1' or 'L2', frames 'full' or 'padded', got {loss_type!r}, {frames!r}."
            )
        if not (mag_weight or logmag_weight):
            raise ValueError("mag_weight and logmag_weight are both 0: nothing would be compared.")
        self.fft_sizes, self.loss_type = tuple(fft_sizes), loss_type
        self.mag_weight, self.logmag_weight = mag_weight, logmag_weight
        self.frames: Frames = frames

    @in_full_precision
    def forward(self, prediction: Audio, target: Audio) -> Float[Tensor, ""]:
        check_sounds(prediction, target)
        return sum(self._distance(prediction, target, size) for size in self.fft_sizes)

    def _distance(self, prediction: Audio, target: Audio, size: int) -> Float[Tensor, ""]:
        bins = (1 + 4 * prediction.shape[-1] // size) * (size // 2 + 1)
        (distances,) = in_blocks(
            partial(self._distances, size=size),
            prediction,
            target,
            item_bytes=2 * 32 * bins,  # spectra, magnitudes, and the gradients of both, of both sounds
            slopes=1,
        )
        return distances.mean()

    def _distances(self, prediction: Audio, target: Audio, size: int) -> tuple[Float[Tensor, "batch"]]:
        both = torch.cat([prediction, target])
        window = placed(hann_window(size), both)
        magnitudes = short_time_magnitudes(both, size, size // 4, window, self.frames)
        total = magnitudes.new_zeros(())
        if self.mag_weight:
            total = total + self.mag_weight * self._means(magnitudes)
        if self.logmag_weight:
            total = total + self.logmag_weight * self._means(magnitudes.clamp(min=1e-5).log())
        return (total,)

    def _means(self, both: Tensor) -> Float[Tensor, "batch"]:
        y, x = both.chunk(2)
        difference = y - x
        distance = difference.abs() if self.loss_type == "L1" else difference.square()
        return distance.mean(dim=(1, 2))
