"""How loud a frame is: RMS, K-weighted and A-weighted loudness."""

import torch
from jaxtyping import Float
from torch import Tensor

from drumblender.dsp.a_weighting import a_weighted_power_db
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

    Examples:
        >>> [round(RMS(db=True)(torch.full((100,), level)).item()) for level in (1.0, 0.1, 0.0)]
        [0, -20, -80]
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

    Examples:
        >>> tones = torch.sin(2 * torch.pi * torch.tensor([[1000], [30]]) / 48000 * torch.arange(48000))
        >>> loudness = Loudness(48000, clamp=False)
        >>> [round(value) for value in loudness(tones).tolist()]
        [-3, -12]
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

    Examples:
        >>> tones = torch.sin(2 * torch.pi * torch.tensor([[1000], [100]]) / 16000 * torch.arange(16000))
        >>> level_db = AWeightedLoudness(16000, db=True)(tones)
        >>> level_db.shape, round(level_db[0, 30].item()), bool(level_db[1, 30] < -15)
        (torch.Size([2, 62]), -3, True)
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


class AWeightedPower(Feature):
    """Level of overlapping frames by the A curve on their spectra, in decibels.

    Args:
        n_fft, hop_length, sample_rate: As of :func:`~drumblender.dsp.a_weighting.a_weighted_power_db`.
        floor_db: Levels below count as this.

    Examples:
        >>> tone = torch.sin(2 * torch.pi * 1000 / 16000 * torch.arange(16000))
        >>> AWeightedPower()(torch.stack([tone, 0 * tone]))[:, 30].round().tolist()
        [27.0, -50.0]
    """

    def __init__(
        self,
        n_fft: int = 1024,
        hop_length: int = 256,
        sample_rate: int = 16000,
        floor_db: float = -50.0,
    ) -> None:
        super().__init__()
        if min(n_fft, hop_length, sample_rate) < 1:
            raise ValueError(f"Need at least 1, got {n_fft=}, {hop_length=}, {sample_rate=}.")
        self.n_fft, self.hop_length, self.sample_rate, self.floor_db = (
            n_fft,
            hop_length,
            sample_rate,
            floor_db,
        )

    def forward(self, audio: Float[Tensor, "... samples"]) -> Float[Tensor, "... frames"]:
        rows = audio.reshape(-1, audio.shape[-1])
        sizes = {"n_fft": self.n_fft, "hop_length": self.hop_length, "floor_db": self.floor_db}
        return a_weighted_power_db(rows, self.sample_rate, **sizes).view(*audio.shape[:-1], -1)
