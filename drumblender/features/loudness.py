"""How loud a frame is: RMS, K-weighted and A-weighted loudness."""

import torch
from jaxtyping import Float
from torch import Tensor

from drumblender.dsp.loudness import a_weight, a_weighting_fir, k_weighted_power, k_weighting_coefficients
from drumblender.features.base import Feature
from drumblender.types import Audio

_EPS = 1e-8


class RMS(Feature):
    """Root of the mean square, which is lifted by 1e-8: silence is 1e-4, or -80 dB.

    Args:
        db: Give decibels.
        epsilon: Added to the mean square.
        floor_db: Decibels below count as this; None: as they are.
    """

    def __init__(self, db: bool = False, epsilon: float = _EPS, floor_db: float | None = None) -> None:
        super().__init__()
        if epsilon < 0:
            raise ValueError(f"epsilon is 0 or more, got {epsilon}.")
        self.db, self.epsilon, self.floor_db = db, epsilon, floor_db

    def forward(self, audio: Float[Tensor, "... samples"]) -> Float[Tensor, "..."]:
        rms = torch.sqrt(audio.square().mean(dim=-1) + self.epsilon)
        if not self.db:
            return rms
        level_db = 20 * torch.log10(rms + _EPS)
        return level_db if self.floor_db is None else level_db.clamp(min=self.floor_db)


class Loudness(Feature):
    """K-weighted loudness in LKFS (ITU-R BS.1770), not gated.

    Args:
        sample_rate: Samples per second.
        epsilon: Added to the mean square, so that silence is finite.
        clamp: Limit what leaves each weighting stage to [-1, 1], as published.
    """

    def __init__(self, sample_rate: int, epsilon: float = 1e-8, clamp: bool = True) -> None:
        super().__init__()
        k_weighting_coefficients(sample_rate)  # says now what is wrong with the sample rate
        self.sample_rate, self.epsilon, self.clamp = sample_rate, epsilon, clamp

    def forward(self, audio: Float[Tensor, "... samples"]) -> Float[Tensor, "..."]:
        size = audio.shape[-1]
        return self.over_frames(audio.reshape(-1, size), size, size).view(audio.shape[:-1])

    def over_frames(self, audio: Audio, frame_size: int, hop_length: int) -> Float[Tensor, "batch frames"]:
        power = k_weighted_power(
            audio, self.sample_rate, frame_size=frame_size, hop_length=hop_length, clamp=self.clamp
        )
        return -0.691 + 10 * torch.log10(power + self.epsilon)


class AWeightedLoudness(Feature):
    """Level of each hop of a sound as the ear hears it at low volume: mean square after A-weighting.

    Hops follow each other without overlap; what does not fill one is dropped.

    Args:
        sample_rate: Samples per second.
        hop_length: Samples of a hop.
        ntaps: Length of the weighting filter, odd.
        eps: Added to the mean square, so that silence is finite.
        db: Give decibels; else the natural logarithm, as published.
    """

    def __init__(
        self,
        sample_rate: int = 16000,
        hop_length: int = 256,
        ntaps: int = 101,
        eps: float = 1e-8,
        db: bool = False,
    ) -> None:
        super().__init__()
        if hop_length < 1 or not eps > 0:
            raise ValueError(f"Needs a hop of at least 1 and eps above 0, got {hop_length=} and {eps=}.")
        a_weighting_fir(sample_rate, ntaps)  # says now what is wrong with either
        self.sample_rate, self.hop_length, self.ntaps, self.eps, self.db = (
            sample_rate,
            hop_length,
            ntaps,
            eps,
            db,
        )

    def forward(self, audio: Float[Tensor, "... samples"]) -> Float[Tensor, "... frames"]:
        weighted = a_weight(audio.reshape(-1, audio.shape[-1]), self.sample_rate, self.ntaps)
        power = weighted.unfold(-1, self.hop_length, self.hop_length).square().mean(dim=-1) + self.eps
        level = 10 * torch.log10(power) if self.db else torch.log(power)
        return level.view(*audio.shape[:-1], -1)
