"""Losses that ask how far energy must move, not how much differs in each bin (Torres et al., ICASSP 2024)."""

import math
from collections.abc import Sequence
from typing import Literal

import torch
from jaxtyping import Float
from torch import Tensor, nn

from drumblender.dsp.checks import check_sounds
from drumblender.dsp.precision import in_full_precision
from drumblender.dsp.spectral_transport import FLOOR, spectral_transport
from drumblender.dsp.transport import Cutoff
from drumblender.features.maps import STFT
from drumblender.types import Audio

Axis = Literal["frequency", "time"]
PITCH_RANGE_HZ = (32.7, 7750.68)  # the first and last bin of the published encoder


class SpectralTransportLoss(nn.Module):
    """Wasserstein distance (to the power ``p``) between the spectra of each frame, averaged.

    Where two partials do not overlap, a difference bin by bin says only that they differ; this says which way
    to go. The defaults are the paper's loss on full frames: power spectra of a flat-top window, the target's
    energy is 1, the prediction's is relative to it, and what it has beyond that does not count.

    >>> loss = SpectralTransportLoss()
    >>> t = torch.arange(4096)[None] * 2 * torch.pi / 16000
    >>> loss(torch.sin(330 * t), torch.sin(220 * t)) < loss(torch.sin(440 * t), torch.sin(220 * t))
    tensor(True)

    Args:
        maps: What is compared: a map or several, whose distances are averaged (several resolutions); any
            module ``audio -> (batch, frames, bins)`` with ``freqs_hz``. By default an STFT of 2048 points,
            hop 256, flat-top.
        p: Exponent of the cost of moving, at least 1.
        squared: The mass of a bin is its power, not its magnitude.
        balanced: Compare shapes only, each with a mass of 1.
        cutoff: What happens to energy beyond the target's; see
            :func:`~drumblender.dsp.transport.wasserstein_1d`. None: it counts, as if all of it lay in the
            target's last bin.
        axis: Move energy along ``"frequency"`` within frames, or along ``"time"`` within bins.
        scale: Distances along frequency in Hz (``"linear"``, 1 is the highest bin) or in octaves
            (``"log"``, 1 is ``log_range_hz``).
        log_range_hz: From 0 to 1 on the log scale. 0 Hz, which has no pitch, counts as MIDI note 0 (8.2 Hz).
        weigh: Average rows (frames, or bins along time) as they are (``"equal"``) or by the target's energy.
        root: Take the ``p``-th root of every distance.

    Raises:
        ValueError: A choice is unknown, ``p`` is below 1, or no map is given.
    """

    def __init__(
        self,
        maps: nn.Module | Sequence[nn.Module] | None = None,
        p: float = 2.0,
        squared: bool = True,
        balanced: bool = False,
        cutoff: Cutoff | None = "clip",
        axis: Axis = "frequency",
        scale: Literal["linear", "log"] = "linear",
        log_range_hz: tuple[float, float] = PITCH_RANGE_HZ,
        weigh: Literal["equal", "energy"] = "equal",
        root: bool = False,
    ) -> None:
        super().__init__()
        check_choice("cutoff", cutoff, (None, "clip", "drop"))
        check_choice("axis", axis, ("frequency", "time"))
        check_choice("scale", scale, ("linear", "log"))
        check_choice("weigh", weigh, ("equal", "energy"))
        check_power(p)
        if not 0 < log_range_hz[0] < log_range_hz[1]:
            raise ValueError(f"log_range_hz rises from above 0, got {log_range_hz}.")
        self.maps = as_maps(maps)
        self.p, self.squared, self.balanced, self.root = float(p), squared, balanced, root
        self.cutoff: Cutoff | None = cutoff
        self.axis, self.scale, self.log_range_hz, self.weigh = axis, scale, log_range_hz, weigh

    @in_full_precision
    def forward(self, prediction: Audio, target: Audio) -> Float[Tensor, ""]:
        check_sounds(prediction, target)
        distances = [self._distance(view, view(prediction), view(target)) for view in self.maps]
        return sum(distances) / len(distances)

    def _distance(self, view: nn.Module, y: Tensor, x: Tensor) -> Float[Tensor, ""]:
        if self.axis == "time":
            y, x = y.mT, x.mT
            positions = torch.linspace(0, 1, x.shape[2], device=x.device)
        else:
            positions = frequency_positions(view.freqs_hz, self.scale, self.log_range_hz)
        rows = spectral_transport(
            y.flatten(0, 1),
            x.flatten(0, 1),
            positions,
            p=self.p,
            squared=self.squared,
            balanced=self.balanced,
            cutoff=self.cutoff,
        )
        if self.root:
            rows = torch.where(rows > 0, torch.where(rows > 0, rows, 1.0) ** (1 / self.p), 0.0)
        if self.weigh == "equal":
            return rows.mean()
        energy = (x.detach().square() if self.squared else x.detach()).sum(dim=2).flatten()
        return (rows * energy).sum() / energy.sum().clamp(min=FLOOR)


class SlicedTransportLoss(nn.Module):
    """Sliced Wasserstein distance between whole spectrograms: energy moves over time and frequency at once.

    The spectrogram is a cloud of masses on a plane (Rabin et al. 2011; Bonneel et al. 2015): it is seen from
    ``directions`` angles, spread evenly from pure frequency over pure time and back, and the distances on
    those lines are averaged. Of use where onsets are off as well as pitches, as in `match`.

    Args:
        maps: As in :class:`SpectralTransportLoss`.
        directions: Lines to look along.
        p: Exponent of the cost of moving.
        squared: The mass of a bin is its power.
        balanced: Compare shapes only.
        cutoff: As in :class:`SpectralTransportLoss`.
        span: What the length of the sound weighs against the width of the spectrum, both 1 long.
    """

    def __init__(
        self,
        maps: nn.Module | Sequence[nn.Module] | None = None,
        directions: int = 8,
        p: float = 2.0,
        squared: bool = True,
        balanced: bool = False,
        cutoff: Cutoff | None = "clip",
        span: float = 1.0,
    ) -> None:
        super().__init__()
        check_choice("cutoff", cutoff, (None, "clip", "drop"))
        check_power(p)
        if directions < 1 or not 0 <= span < math.inf:
            raise ValueError(
                f"Need at least 1 direction and a span of 0 or more, got {directions=}, {span=}."
            )
        self.maps = as_maps(maps)
        self.directions, self.p, self.span = directions, float(p), span
        self.squared, self.balanced = squared, balanced
        self.cutoff: Cutoff | None = cutoff

    @in_full_precision
    def forward(self, prediction: Audio, target: Audio) -> Float[Tensor, ""]:
        check_sounds(prediction, target)
        distances = [
            distance
            for view in self.maps
            for distance in self._distances(view.freqs_hz, view(prediction), view(target))
        ]
        return sum(distances) / len(distances)

    def _distances(self, freqs_hz: Tensor, y: Tensor, x: Tensor) -> list[Tensor]:
        frequency = frequency_positions(freqs_hz, "linear", PITCH_RANGE_HZ)
        time = self.span * torch.linspace(0, 1, x.shape[1], device=x.device)[:, None]
        settings = {"p": self.p, "squared": self.squared, "balanced": self.balanced, "cutoff": self.cutoff}
        distances = []
        for number in range(self.directions):
            angle = math.pi * number / self.directions
            positions = (math.cos(angle) * frequency + math.sin(angle) * time).flatten()
            distances.append(spectral_transport(y.flatten(1), x.flatten(1), positions, **settings).mean())
        return distances


class CumulativeEnergyLoss(nn.Module):
    """Distance between running totals of energy, along frequency or along time.

    The running total of a moved partial differs from where it was to where it is, so the gradient knows the
    way, as with transport; it costs one sum. Balanced and with ``p`` = 1 on evenly spaced bins it is the
    1-Wasserstein distance times ``(bins - 1) / bins``.

    Args:
        maps: As in :class:`SpectralTransportLoss`.
        p: Exponent of the difference.
        squared: Sum power, not magnitude.
        balanced: Divide each total by its end; else both by the target's.
        axis: Sum along ``"frequency"`` or ``"time"``.
    """

    def __init__(
        self,
        maps: nn.Module | Sequence[nn.Module] | None = None,
        p: float = 1.0,
        squared: bool = True,
        balanced: bool = False,
        axis: Axis = "frequency",
    ) -> None:
        super().__init__()
        check_choice("axis", axis, ("frequency", "time"))
        check_power(p)
        self.maps = as_maps(maps)
        self.p, self.squared, self.balanced, self.axis = float(p), squared, balanced, axis

    @in_full_precision
    def forward(self, prediction: Audio, target: Audio) -> Float[Tensor, ""]:
        check_sounds(prediction, target)
        distances = [self._distance(view(prediction), view(target)) for view in self.maps]
        return sum(distances) / len(distances)

    def _distance(self, y: Tensor, x: Tensor) -> Float[Tensor, ""]:
        if self.axis == "time":
            y, x = y.mT, x.mT
        y, x = ((side.square() if self.squared else side).cumsum(dim=2) for side in (y, x))
        whole = x[..., -1:].clamp(min=FLOOR)
        share = y[..., -1:].clamp(min=FLOOR) if self.balanced else whole
        heard = x[..., -1:] > FLOOR  # where the target is silent there is nothing to follow
        difference = torch.where(heard, (y / share - x / whole).abs(), 0.0)
        return (difference**self.p).mean()


class KLDivergenceLoss(nn.Module):
    """Kullback-Leibler divergence of the target's spectra from the prediction's, averaged over frames.

    Args:
        maps: As in :class:`SpectralTransportLoss`.
        eps: Added to shares before the logarithm.
        reverse: The prediction's from the target's.
    """

    def __init__(
        self,
        maps: nn.Module | Sequence[nn.Module] | None = None,
        eps: float = 1e-10,
        reverse: bool = False,
    ) -> None:
        super().__init__()
        if not eps > 0:
            raise ValueError(f"eps must be above 0, got {eps}.")
        self.maps = as_maps(maps)
        self.eps, self.reverse = eps, reverse

    @in_full_precision
    def forward(self, prediction: Audio, target: Audio) -> Float[Tensor, ""]:
        check_sounds(prediction, target)
        divergences = []
        for view in self.maps:
            y, x = view(prediction), view(target)
            divergences.append(kl_divergence(*((y, x) if self.reverse else (x, y)), eps=self.eps).mean())
        return sum(divergences) / len(divergences)


def kl_divergence(
    x: Float[Tensor, "*rows bins"], y: Float[Tensor, "*rows bins"], *, eps: float = 1e-10
) -> Float[Tensor, "*rows"]:
    """How much is lost by taking the shares of ``y`` for those of ``x``, in nats; silence has shares of 0."""
    x, y = (side / side.sum(dim=-1, keepdim=True).clamp(min=FLOOR) for side in (x, y))
    return (x * ((x + eps).log() - (y + eps).log())).sum(dim=-1)


def frequency_positions(
    freqs_hz: Float[Tensor, "bins"], scale: str, log_range_hz: tuple[float, float]
) -> Float[Tensor, "bins"]:
    """Where bins lie: in units of the highest, or in octaves in units of the range."""
    if scale == "linear":
        return freqs_hz / freqs_hz.max()
    heard = freqs_hz > 0
    octaves = torch.where(heard, torch.where(heard, freqs_hz, 1.0).log2(), math.log2(440) - 69 / 12)
    low, high = (math.log2(edge) for edge in log_range_hz)
    return (octaves - low) / (high - low)


def as_maps(maps: nn.Module | Sequence[nn.Module] | None) -> nn.ModuleList:
    """One or several maps as a list; the published STFT on full frames for None."""
    if maps is None:
        return nn.ModuleList([STFT(2048, window="flattop")])
    views = nn.ModuleList([maps] if isinstance(maps, nn.Module) else maps)
    if not views:
        raise ValueError("Need at least one map to compare sounds by.")
    return views


def check_choice(name: str, value: object, choices: tuple) -> None:
    if value not in choices:
        raise ValueError(f"{name} is one of {choices}, got {value!r}.")


def check_power(p: float) -> None:
    if not (math.isfinite(p) and p >= 1):
        raise ValueError(f"Need a finite p of at least 1, got {p=}.")
