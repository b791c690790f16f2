"""Losses that ask how far energy must move, not how much differs in each bin (Torres et al., ICASSP 2024)."""

import math
from collections.abc import Sequence
from typing import Literal

import torch
from torch import Tensor, nn

from drumblender.dsp.roots import safe_root
from drumblender.dsp.spectral_transport import FLOOR, spectral_transport
from drumblender.dsp.transport import Cutoff
from drumblender.losses.mapped import Axis, MapLoss, check_choice, check_power, frequency_positions

PITCH_RANGE_HZ = (32.7, 7750.68)  # the first and last bin of the published encoder


class SpectralTransportLoss(MapLoss):
    """Wasserstein distance (to the power ``p``) between the spectra of each frame, averaged.

    Where two partials do not overlap, a difference bin by bin says only that they differ; this says which way
    to go. The defaults are the paper's loss on full frames: power spectra of a flat-top window, the target's
    energy is 1, the prediction's is relative to it, and what it has beyond that does not count.

    Examples:
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
        share: Compare only so much of the mass, from the lowest frequency (or time) up: a few hundredths are
            the lowest partial, which then moves whatever the others are.

    Raises:
        ValueError: A choice is unknown, ``p`` is below 1, ``share`` is not in (0, 1], or no map is given.
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
        share: float = 1.0,
    ) -> None:
        super().__init__(maps)
        if not 0 < share <= 1:
            raise ValueError(f"share lies in (0, 1], got {share}.")
        self.share = share
        check_choice("cutoff", cutoff, (None, "clip", "drop"))
        check_choice("axis", axis, ("frequency", "time"))
        check_choice("scale", scale, ("linear", "log"))
        check_choice("weigh", weigh, ("equal", "energy"))
        check_power(p)
        if not 0 < log_range_hz[0] < log_range_hz[1]:
            raise ValueError(f"log_range_hz rises from above 0, got {log_range_hz}.")
        self.p, self.squared, self.balanced, self.root = float(p), squared, balanced, root
        self.cutoff: Cutoff | None = cutoff
        self.axis, self.scale, self.log_range_hz, self.weigh = axis, scale, log_range_hz, weigh

    def distances(self, view: nn.Module, y: Tensor, x: Tensor) -> list[Tensor]:
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
            share=self.share,
        )
        if self.root:
            rows = safe_root(rows, self.p)
        if self.weigh == "equal":
            return [rows.mean()]
        energy = (x.detach().square() if self.squared else x.detach()).sum(dim=2).flatten()
        return [(rows * energy).sum() / energy.sum().clamp(min=FLOOR)]


class SlicedTransportLoss(MapLoss):
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

    Examples:
        >>> hit = torch.randn(2048)
        >>> at = [torch.nn.functional.pad(hit, (n, 6144 - n))[None] for n in (0, 1024, 4096)]
        >>> loss = SlicedTransportLoss()
        >>> bool(loss(at[1], at[0]) < loss(at[2], at[0]))  # the later the hit, the farther
        True
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
        super().__init__(maps)
        check_choice("cutoff", cutoff, (None, "clip", "drop"))
        check_power(p)
        if directions < 1 or not 0 <= span < math.inf:
            raise ValueError(
                f"Need at least 1 direction and a span of 0 or more, got {directions=}, {span=}."
            )
        self.directions, self.p, self.span = directions, float(p), span
        self.squared, self.balanced = squared, balanced
        self.cutoff: Cutoff | None = cutoff

    def distances(self, view: nn.Module, y: Tensor, x: Tensor) -> list[Tensor]:
        frequency = frequency_positions(view.freqs_hz, "linear", PITCH_RANGE_HZ)
        time = self.span * torch.linspace(0, 1, x.shape[1], device=x.device)[:, None]
        settings = {"p": self.p, "squared": self.squared, "balanced": self.balanced, "cutoff": self.cutoff}
        distances = []
        for number in range(self.directions):
            angle = math.pi * number / self.directions
            positions = (math.cos(angle) * frequency + math.sin(angle) * time).flatten()
            distances.append(spectral_transport(y.flatten(1), x.flatten(1), positions, **settings).mean())
        return distances
