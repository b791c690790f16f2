"""Losses that compare spectra as distributions: by their running totals, or by their divergence."""

from collections.abc import Sequence

import torch
from jaxtyping import Float
from torch import Tensor, nn

from drumblender.dsp.spectral_transport import FLOOR
from drumblender.losses.mapped import Axis, MapLoss, check_choice, check_power


class CumulativeEnergyLoss(MapLoss):
    """Distance between running totals of energy, along frequency or along time.

    The running total of a moved partial differs from where it was to where it is, so the gradient knows the
    way, as with transport; it costs one sum. Balanced and with ``p`` = 1 on evenly spaced bins it is the
    1-Wasserstein distance times ``(bins - 1) / bins``.

    Args:
        maps: As in :class:`~drumblender.losses.SpectralTransportLoss`.
        p: Exponent of the difference.
        squared: Sum power, not magnitude.
        balanced: Divide each total by its end; else both by the target's.
        axis: Sum along ``"frequency"`` or ``"time"``.

    Examples:
        >>> t = 2 * torch.pi * torch.arange(4096)[None] / 16000
        >>> low, near, far = (torch.sin(hz * t) for hz in (220, 330, 880))
        >>> loss = CumulativeEnergyLoss()
        >>> bool(loss(near, low) < loss(far, low))
        True
    """

    def __init__(
        self,
        maps: nn.Module | Sequence[nn.Module] | None = None,
        p: float = 1.0,
        squared: bool = True,
        balanced: bool = False,
        axis: Axis = "frequency",
    ) -> None:
        super().__init__(maps)
        check_choice("axis", axis, ("frequency", "time"))
        check_power(p)
        self.p, self.squared, self.balanced, self.axis = float(p), squared, balanced, axis

    def distances(self, view: nn.Module, y: Tensor, x: Tensor) -> list[Tensor]:
        if self.axis == "time":
            y, x = y.mT, x.mT
        y, x = ((side.square() if self.squared else side).cumsum(dim=2) for side in (y, x))
        whole = x[..., -1:].clamp(min=FLOOR)
        share = y[..., -1:].clamp(min=FLOOR) if self.balanced else whole
        heard = x[..., -1:] > FLOOR  # where the target is silent there is nothing to follow
        difference = torch.where(heard, (y / share - x / whole).abs(), 0.0)
        return [(difference**self.p).mean()]


class KLDivergenceLoss(MapLoss):
    """Kullback-Leibler divergence of the target's spectra from the prediction's, averaged over frames.

    Args:
        maps: As in :class:`~drumblender.losses.SpectralTransportLoss`.
        eps: Added to shares before the logarithm.
        reverse: The prediction's from the target's.

    Examples:
        >>> sound = torch.randn(1, 4096)
        >>> loss = KLDivergenceLoss()
        >>> bool(loss(2 * sound, sound).abs() < 1e-6)  # deaf to a gain
        True
        >>> bool(loss(torch.randn(1, 4096), sound) > 0.1)
        True
    """

    def __init__(
        self,
        maps: nn.Module | Sequence[nn.Module] | None = None,
        eps: float = 1e-10,
        reverse: bool = False,
    ) -> None:
        super().__init__(maps)
        if not eps > 0:
            raise ValueError(f"eps must be above 0, got {eps}.")
        self.eps, self.reverse = eps, reverse

    def distances(self, view: nn.Module, y: Tensor, x: Tensor) -> list[Tensor]:
        return [kl_divergence(*((y, x) if self.reverse else (x, y)), eps=self.eps).mean()]


def kl_divergence(
    x: Float[Tensor, "*rows bins"], y: Float[Tensor, "*rows bins"], *, eps: float = 1e-10
) -> Float[Tensor, "*rows"]:
    """How much is lost by taking the shares of ``y`` for those of ``x``, in nats; silence has shares of 0."""
    x, y = (side / side.sum(dim=-1, keepdim=True).clamp(min=FLOOR) for side in (x, y))
    return (x * ((x + eps).log() - (y + eps).log())).sum(dim=-1)
