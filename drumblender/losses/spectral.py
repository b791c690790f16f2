"""Losses on spectra and on slopes of the waveform."""

import math
from collections.abc import Sequence
from functools import partial
from typing import Literal

import torch
from jaxtyping import Float
from torch import Tensor, nn

from drumblender.dsp.checks import check_sounds
from drumblender.dsp.loudness import a_weight
from drumblender.dsp.precision import in_full_precision
from drumblender.dsp.roots import safe_root
from drumblender.dsp.spectra import hann_window, stft
from drumblender.dsp.spectral_distance import spectral_sums
from drumblender.losses.in_blocks import in_blocks
from drumblender.types import Audio


class MultiResolutionSTFTLoss(nn.Module):
    """Distance between magnitude spectra at several resolutions (Yamamoto et al. 2020).

    For each resolution, with X and Y the magnitudes of prediction and target: spectral convergence
    ``|Y - X| / |Y|`` (Frobenius norms), the mean of ``|ln X - ln Y|`` and the mean of ``|X - Y|``, weighted
    and summed; then the mean over resolutions. The defaults give the values of ``auraloss`` 0.4.

    Args:
        fft_sizes: Points of the FFT of each resolution.
        hop_sizes: Samples between its frames.
        win_lengths: Samples of its periodic Hann window, centred in the FFT.
        w_sc: Weight of the spectral convergence.
        w_log_mag: Weight of the distance of log magnitudes.
        w_lin_mag: Weight of the distance of magnitudes.
        eps: What keeps silence finite, by ``floor``.
        floor: ``"power"``: powers count as at least ``eps``, and below it have no gradient. ``"magnitude"``:
            ``eps`` is added to magnitudes before the logarithm and to the denominator of the convergence.
        scale_invariance: Scale the target's magnitudes, item by item, by the gain that brings them closest to
            the prediction's. auraloss 0.4 scales wrongly in batches (its issue 56).
        perceptual_weighting: A-weight both sounds first. Needs ``sample_rate``.
        sample_rate: Samples per second.
        convergence: ``"batch"`` divides norms over the whole batch, as auraloss does: loud items count most,
            and the value depends on how a set is cut into batches. ``"item"`` averages each item's ratio.

    Raises:
        ValueError: Lists of unequal length, sizes that do not fit, or A-weighting without a sample rate.

    Examples:
        >>> sound = torch.randn(1, 16000)
        >>> loss = MultiResolutionSTFTLoss()
        >>> round(loss(2 * sound, sound).item(), 2)  # 1 of convergence, ln 2 of log magnitudes
        1.69
    """

    def __init__(
        self,
        fft_sizes: Sequence[int] = (1024, 2048, 512),
        hop_sizes: Sequence[int] = (120, 240, 50),
        win_lengths: Sequence[int] = (600, 1200, 240),
        w_sc: float = 1.0,
        w_log_mag: float = 1.0,
        w_lin_mag: float = 0.0,
        eps: float = 1e-8,
        floor: Literal["power", "magnitude"] = "power",
        scale_invariance: bool = False,
        perceptual_weighting: bool = False,
        sample_rate: int | None = None,
        convergence: Literal["batch", "item"] = "batch",
    ) -> None:
        super().__init__()
        if not len(fft_sizes) == len(hop_sizes) == len(win_lengths) >= 1:
            raise ValueError(f"Resolutions need equal lists, got {fft_sizes=}, {hop_sizes=}, {win_lengths=}.")
        for n_fft, hop, window in zip(fft_sizes, hop_sizes, win_lengths, strict=True):
            if hop < 1 or not 1 <= window <= n_fft:
                raise ValueError(
                    f"A window of {window} with hop {hop} does not fit in an FFT of {n_fft} points."
                )
        if not (math.isfinite(eps) and eps > 0):
            raise ValueError(f"eps keeps silence finite and must be above 0, got {eps}.")
        if floor not in ("power", "magnitude"):
            raise ValueError(f"floor is 'power' or 'magnitude', got {floor!r}.")
        if convergence not in ("batch", "item"):
            raise ValueError(f"convergence is 'batch' or 'item', got {convergence!r}.")
        if perceptual_weighting and sample_rate is None:
            raise ValueError("A-weighting depends on the sample rate: give sample_rate.")
        self.resolutions = list(zip(fft_sizes, hop_sizes, win_lengths, strict=True))
        self.w_sc, self.w_log_mag, self.w_lin_mag = w_sc, w_log_mag, w_lin_mag
        self.eps, self.floor, self.convergence = eps, floor, convergence
        self.scale_invariance, self.perceptual_weighting = scale_invariance, perceptual_weighting
        self.sample_rate = sample_rate
        for index, (_, _, length) in enumerate(self.resolutions):
            self.register_buffer(f"window_{index}", hann_window(length).clone(), persistent=False)

    def forward(self, prediction: Audio, target: Audio) -> Tensor:
        return self.per_resolution(prediction, target).mean()

    @in_full_precision
    def per_resolution(self, prediction: Audio, target: Audio) -> Float[Tensor, "resolutions"]:
        """The weighted sum of the terms at each resolution."""
        check_sounds(prediction, target)
        if self.perceptual_weighting:
            prediction, target = a_weight(prediction, self.sample_rate), a_weight(target, self.sample_rate)
        return torch.stack([self._at(index, prediction, target) for index in range(len(self.resolutions))])

    def _at(self, index: int, prediction: Audio, target: Audio) -> Tensor:
        n_fft, hop_length, _ = self.resolutions[index]
        frames = 1 + (prediction.shape[-1] - n_fft % 2) // hop_length  # half the FFT is added on either side
        bins = frames * (n_fft // 2 + 1)
        squares, rest, energy = in_blocks(
            partial(self._sums, index),
            prediction,
            target,
            item_bytes=3 * 8 * bins,  # two complex spectra, and the gradient of one
            slopes=3 if self.scale_invariance else 2,  # else the energy is the target's
        )
        loss = self.w_sc * self._convergence(squares, energy) + rest.sum() / (len(prediction) * bins)
        return loss.to(prediction.dtype)

    def _sums(self, index: int, prediction: Audio, target: Audio) -> tuple[Tensor, Tensor, Tensor]:
        """Of each item: squares of the difference, the other terms weighted, squares of the target."""
        n_fft, hop_length, _ = self.resolutions[index]
        window = self.get_buffer(f"window_{index}")
        on_power = self.floor == "power"
        sums = spectral_sums(
            stft(prediction, n_fft, hop_length, window),
            stft(target, n_fft, hop_length, window),
            floor=self.eps if on_power else 0.0,
            offset=0.0 if on_power else self.eps,
            match_gain=self.scale_invariance,
        )
        return sums.squares, self.w_log_mag * sums.logs + self.w_lin_mag * sums.absolute, sums.energy

    def _convergence(self, squares: Tensor, energy: Tensor) -> Tensor:
        if self.convergence == "batch":
            squares, energy = squares.sum(), energy.sum()
        lift = 0.0 if self.floor == "power" else self.eps
        return (safe_root(squares) / (safe_root(energy) + lift)).mean()


class FirstOrderDifferenceLoss(nn.Module):
    """L1 distance between the slopes (first differences) of two waveforms.

    Args:
        reduction: ``"mean"`` or ``"sum"`` over items and samples, or ``"none"``: ``(batch, samples - 1)``.

    Examples:
        >>> ramp = torch.linspace(0, 1, 11)[None]
        >>> FirstOrderDifferenceLoss()(ramp, torch.zeros(1, 11))
        tensor(0.1000)
    """

    def __init__(self, reduction: Literal["mean", "sum", "none"] = "mean") -> None:
        super().__init__()
        if reduction not in ("mean", "sum", "none"):
            raise ValueError(f"reduction is 'mean', 'sum' or 'none', got {reduction!r}.")
        self.reduction = reduction

    @in_full_precision
    def forward(self, prediction: Audio, target: Audio) -> Tensor:
        check_sounds(prediction, target)
        if prediction.shape[-1] < 2:
            raise ValueError(f"A slope needs 2 samples, got {prediction.shape[-1]}.")
        distance = (prediction.diff(dim=-1) - target.diff(dim=-1)).abs()
        return {"mean": distance.mean, "sum": distance.sum, "none": lambda: distance}[self.reduction]()
