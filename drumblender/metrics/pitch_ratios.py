"""What a pitch that is wrong is instead: a rational multiple, with amplitudes that make it sound right.

Twenty free amplitudes on f a/b explain the partials of f for small a and b, so no reconstruction loss, and no
metric on sound, can see the difference. These can.
"""

import math
from fractions import Fraction

import torch
from jaxtyping import Float
from torch import Tensor
from torchmetrics import Metric

from drumblender.dsp.checks import check_sounds
from drumblender.metrics.pitch import Hz, PitchMetric, cents_apart

Amplitudes = Float[Tensor, "batch frames harmonics"]


class RatioLockedAccuracy(PitchMetric):
    """Share of frames within ``cents`` of the target times some a / b.

    Above raw pitch accuracy by as much as the pitch is found up to a factor. Chance is not small: it is
    :attr:`chance` for pitches spread evenly over the octaves that the ratios span.

    Args:
        largest: Largest numerator and denominator.
        cents: How close is locked.

    Examples:
        >>> metric = RatioLockedAccuracy()
        >>> metric.update(torch.tensor([[220.0, 215.0]]), torch.tensor([[330.0, 330.0]]))
        >>> metric.compute(), round(metric.chance, 2)  # 2/3 is locked, 215/330 is not
        (tensor(0.5000), 0.07)
    """

    def __init__(self, largest: int = 6, cents: float = 10.0) -> None:
        super().__init__()
        if largest < 1 or not cents > 0:
            raise ValueError(f"Need largest >= 1 and cents above 0, got {largest=}, {cents=}.")
        self.ratios, self.cents = ratios(largest), cents

    @property
    def chance(self) -> float:
        """What random pitches within the span of the ratios get."""
        span = 1200 * math.log2(self.ratios[-1] / self.ratios[0]) + 2 * self.cents
        return min(1.0, 2 * self.cents * len(self.ratios) / span)

    def per_frame(self, prediction: Hz, target: Hz) -> Hz:
        cents, known = cents_apart(prediction, target)
        steps = 1200 * torch.tensor([float(r) for r in self.ratios], dtype=cents.dtype).log2()
        locked = (cents[..., None] - steps.to(cents.device)).abs().amin(dim=-1) < self.cents
        return (locked & known).to(target.dtype)


def ratio_histogram(prediction: Hz, target: Hz, *, largest: int = 6, cents: float = 50.0) -> dict[str, float]:
    """Share of frames at each ratio of prediction to target, most frequent first.

    Examples:
        >>> ratio_histogram(torch.tensor([[220.0, 440.0]]), torch.tensor([[440.0, 440.0]]))
        {'1/2': 0.5, '1/1': 0.5}

    Args:
        prediction: Pitches in Hz.
        target: Pitches in Hz.
        largest: Largest numerator and denominator that are told apart.
        cents: A frame counts for the nearest ratio within so many cents; else as ``"other"``.
    """
    histogram = RatioHistogram(largest, cents)
    histogram.update(prediction, target)
    return histogram.compute()


class RatioHistogram(Metric):
    """Share of frames at each ratio of prediction to target, by name, most frequent first.

    Frames at no ratio count as ``"other"``, those where either side is 0 Hz or less as ``"no pitch"``.

    Args:
        largest: Largest numerator and denominator that are told apart.
        cents: How near a ratio a frame must be.

    Examples:
        >>> histogram = RatioHistogram()
        >>> histogram.update(torch.tensor([[220.0, 110.0, 330.0, 0.0]]), torch.full((1, 4), 220.0))
        >>> histogram.compute()
        {'1/2': 0.25, '1/1': 0.25, '3/2': 0.25, 'no pitch': 0.25}
    """

    is_differentiable, full_state_update = False, False
    counts: Tensor

    def __init__(self, largest: int = 6, cents: float = 50.0) -> None:
        super().__init__()
        if largest < 1 or not cents > 0:
            raise ValueError(f"Need largest >= 1 and cents above 0, got {largest=}, {cents=}.")
        self.ratios, self.cents = ratios(largest), cents
        self.names = [f"{r.numerator}/{r.denominator}" for r in self.ratios] + ["other", "no pitch"]
        self.add_state("counts", torch.zeros(len(self.names), dtype=torch.long), dist_reduce_fx="sum")

    def update(self, prediction: Hz, target: Hz) -> None:
        check_sounds(prediction, target)
        apart, known = cents_apart(prediction, target)
        steps = 1200 * torch.tensor([float(r) for r in self.ratios], dtype=apart.dtype).log2()
        distance, nearest = (apart[..., None] - steps.to(apart.device)).abs().min(dim=-1)
        place = torch.where(distance < self.cents, nearest, len(self.ratios))
        place = torch.where(known, place, len(self.ratios) + 1)
        self.counts = self.counts + torch.bincount(place.flatten(), minlength=len(self.names))

    def compute(self) -> dict[str, float]:
        order = self.counts.sort(descending=True, stable=True).indices.tolist()
        whole = max(1, int(self.counts.sum()))
        return {self.names[n]: int(self.counts[n]) / whole for n in order if self.counts[n]}


def ratios(largest: int) -> list[Fraction]:
    """All a / b with a and b from 1 to ``largest``, in order, each once."""
    return sorted({Fraction(a, b) for a in range(1, largest + 1) for b in range(1, largest + 1)})


def lowest_terms(f0_hz: Hz, amp: Amplitudes, *, stray: float = 0.15) -> Hz:
    """The pitch with common factors of its harmonics taken out, without knowing the target.

    Where the harmonics that are no multiple of some g hold under ``stray`` of the power, the tone is one of
    ``g f0``: f0 is multiplied by the largest such g. A pure tone at f / 2 that plays only its second harmonic
    becomes f.

    Examples:
        >>> amp = torch.tensor([[[0.0, 1.0, 0.0, 0.5]]])
        >>> lowest_terms(torch.tensor([[110.0]]), amp)
        tensor([[220.]])
    """
    if f0_hz.shape != amp.shape[:2]:
        raise ValueError(f"Need frames alike, got {tuple(f0_hz.shape)} and {tuple(amp.shape)}.")
    if not 0 <= stray < 1:
        raise ValueError(f"stray is a share in [0, 1), got {stray}.")
    power = amp.square()
    whole = power.sum(dim=-1)
    order = torch.arange(1, amp.shape[-1] + 1, device=amp.device)
    factor = torch.ones_like(f0_hz)
    for g in range(2, amp.shape[-1] + 1):
        other = power[..., order % g != 0].sum(dim=-1)
        factor = torch.where((other < stray * whole) & (whole > 0), float(g), factor)
    return f0_hz * factor


def mean_harmonic_number(amp: Amplitudes) -> Float[Tensor, ""]:
    """The number of the harmonic that an average unit of power belongs to; NaN where all is silent.

    Examples:
        >>> mean_harmonic_number(torch.ones(1, 1, 20))
        tensor(10.5000)
    """
    power = amp.square()
    order = torch.arange(1, amp.shape[-1] + 1, device=amp.device, dtype=amp.dtype)
    return (power * order).sum() / power.sum()


def rendered_power_db(amp: Amplitudes, target_amp: Float[Tensor, "batch frames others"]) -> Float[Tensor, ""]:
    """The power of all partials over that of the target's, in dB; harmonics need not be as many."""
    return 10 * (amp.square().sum(dim=-1).mean() / target_amp.square().sum(dim=-1).mean()).log10()
