"""Whether a sound is as loud as it should be, and sets in when it should."""

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn import functional as F

from drumblender.dsp.checks import check_sounds
from drumblender.metrics.base import ItemMetric
from drumblender.types import Audio


class LevelDifference(ItemMetric):
    """How many dB the prediction is louder (above 0) or quieter than the target, by RMS.

    Args:
        absolute: Leave the sign out, so that too loud and too quiet do not cancel in the mean.
        floor_db: A level counts as at least this (0 dB is an RMS of 1), so that silence is finite.

    >>> sound = torch.randn(1, 1000)
    >>> round(LevelDifference().per_item(sound / 10, sound).item(), 3)
    -20.0
    """

    def __init__(self, absolute: bool = False, floor_db: float = -120.0) -> None:
        super().__init__()
        self.absolute, self.floor_db = absolute, floor_db

    def per_item(self, prediction: Audio, target: Audio) -> Float[Tensor, "batch"]:
        check_sounds(prediction, target)
        least = 10 ** (self.floor_db / 10)
        levels_db = [
            10 * torch.log10(audio.detach().square().mean(dim=1).clamp(min=least))
            for audio in (prediction, target)
        ]
        difference = levels_db[0] - levels_db[1]
        return difference.abs() if self.absolute else difference


class AttackTimeDifference(ItemMetric):
    """How many milliseconds apart prediction and target reach most of their peak, without the sign.

    Args:
        sample_rate: Samples per second.
        window_s: Length of the window whose RMS is the envelope, in seconds.
        share: Of the envelope's peak.
    """

    def __init__(self, sample_rate: int, window_s: float = 0.002, share: float = 0.7) -> None:
        super().__init__()
        if sample_rate < 1 or window_s <= 0 or not 0 < share <= 1:
            raise ValueError(
                f"Need a rate, a window and a share up to 1, got {sample_rate=}, {window_s=}, {share=}."
            )
        self.sample_rate, self.share = sample_rate, share
        self.win_length = max(1, round(window_s * sample_rate))

    def per_item(self, prediction: Audio, target: Audio) -> Float[Tensor, "batch"]:
        check_sounds(prediction, target)
        samples = self._reached(prediction.detach()) - self._reached(target.detach())
        return samples.abs() * (1000 / self.sample_rate)

    def _reached(self, audio: Audio) -> Float[Tensor, "batch"]:
        before = (self.win_length - 1) // 2
        padded = F.pad(audio.double().square()[:, None], (before, self.win_length - 1 - before))
        power = F.avg_pool1d(padded, self.win_length, 1)[:, 0]
        loud = power >= power.amax(dim=1, keepdim=True) * self.share**2
        return loud.float().argmax(dim=1).float()
