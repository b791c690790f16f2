"""How right a pitch is, as mir_eval counts (Salamon et al. 2014), and the other columns of the paper.

Every update takes pitches in Hz, ``(batch, frames)``. All frames count, except where the target is unvoiced
and ``skip_unvoiced`` says so; where either side has no pitch (0 Hz or less) the frame is wrong.
"""

from typing import Literal

import torch
from jaxtyping import Float
from torch import Tensor

from drumblender.dsp.checks import check_sounds
from drumblender.dsp.short_time import short_time_magnitudes
from drumblender.dsp.spectra import hann_window
from drumblender.dsp.spectral_transport import FLOOR, spectral_transport
from drumblender.dsp.tables import placed
from drumblender.metrics.base import ItemMetric
from drumblender.types import Audio

Hz = Float[Tensor, "batch frames"]
RIGHT_CENTS = 50.0


class PitchMetric(ItemMetric):
    """Mean over frames, or over items, of a number that each frame has.

    Args:
        skip_unvoiced: Leave out frames whose target is 0 Hz or less, as mir_eval does.
        over: ``"frame"``: every frame counts once; ``"item"``: every item; ``"batch"``: every update, as the
            paper's tables were made.
    """

    higher_is_better = True

    def __init__(
        self, skip_unvoiced: bool = False, over: Literal["frame", "item", "batch"] = "frame"
    ) -> None:
        super().__init__()
        if over not in ("frame", "item", "batch"):
            raise ValueError(f"over is 'frame', 'item' or 'batch', got {over!r}.")
        self.skip_unvoiced, self.over = skip_unvoiced, over

    def per_frame(self, prediction: Hz, target: Hz) -> Hz:
        """The number of each frame."""
        raise NotImplementedError

    def per_item(self, prediction: Hz, target: Hz) -> Float[Tensor, "batch"]:
        check_sounds(prediction, target)
        values, counts = self._masked(prediction, target)
        return (values * counts).sum(dim=1) / counts.sum(dim=1).clamp(min=1)

    def update(self, prediction: Hz, target: Hz) -> None:
        check_sounds(prediction, target)
        values, counts = self._masked(prediction, target)
        if self.over == "frame":
            self._add(values[counts > 0])
        elif self.over == "item":
            self._add(self.per_item(prediction, target)[counts.sum(dim=1) > 0])
        elif counts.any():
            self._add(values[counts > 0].mean()[None])

    def _masked(self, prediction: Tensor, target: Tensor) -> tuple[Tensor, Tensor]:
        counts = (target > 0) if self.skip_unvoiced else torch.ones_like(target, dtype=torch.bool)
        return self.per_frame(prediction, target), counts.to(target.dtype)


class RawPitchAccuracy(PitchMetric):
    """Share of frames less than 50 cents off.

    Examples:
        >>> metric = RawPitchAccuracy()
        >>> metric.update(torch.tensor([[440.0, 220.0]]), torch.tensor([[441.0, 440.0]]))
        >>> metric.compute()
        tensor(0.5000)
    """

    def per_frame(self, prediction: Hz, target: Hz) -> Hz:
        cents, known = cents_apart(prediction, target)
        return ((cents.abs() < RIGHT_CENTS) & known).to(target.dtype)


class RawChromaAccuracy(PitchMetric):
    """Share of frames less than 50 cents off some octave of the target.

    Examples:
        >>> metric = RawChromaAccuracy()
        >>> metric.update(torch.tensor([[440.0, 220.0]]), torch.tensor([[441.0, 440.0]]))
        >>> metric.compute()
        tensor(1.)
    """

    def per_frame(self, prediction: Hz, target: Hz) -> Hz:
        cents, known = cents_apart(prediction, target)
        apart = cents.abs()
        folded = (apart - 1200 * (apart / 1200 + 0.5).floor()).abs()
        return ((folded < RIGHT_CENTS) & known).to(target.dtype)


class OctaveDifference(PitchMetric):
    """Mean number of whole octaves that the estimate is below the target; above counts as negative.

    Frames without a pitch on either side count as 0: they are wrong elsewhere.

    Examples:
        >>> metric = OctaveDifference()
        >>> metric.update(torch.tensor([[440.0, 220.0]]), torch.tensor([[440.0, 440.0]]))
        >>> metric.compute()  # half of the frames are an octave too low
        tensor(0.5000)
    """

    higher_is_better = None

    def per_frame(self, prediction: Hz, target: Hz) -> Hz:
        cents, known = cents_apart(prediction, target)
        octaves = ((cents.abs() + RIGHT_CENTS) / 1200).floor()
        return torch.where(known, -cents.sign() * octaves, 0.0).to(target.dtype)


class DecibelDistance(ItemMetric):
    """Mean squared difference of power spectra in decibels above -50 (the paper's "LSD", without a root).

    Args:
        root: Take the root of each item's mean: decibels, not their square.
        n_fft: Points of the FFT; frames overlap by three quarters and go on past the end, as published.

    Examples:
        >>> sound = torch.randn(1, 16000)
        >>> round(DecibelDistance(root=True).per_item(10 * sound, sound).item())
        20
    """

    def __init__(self, root: bool = False, n_fft: int = 1024) -> None:
        super().__init__()
        if n_fft < 4:
            raise ValueError(f"Need at least 4 points, got {n_fft=}.")
        self.root, self.n_fft = root, n_fft

    def per_item(self, prediction: Audio, target: Audio) -> Float[Tensor, "batch"]:
        check_sounds(prediction, target)
        levels = []
        for audio in (prediction, target):
            magnitudes = short_time_magnitudes(
                audio, self.n_fft, self.n_fft // 4, placed(hann_window(self.n_fft), audio), "padded"
            )
            levels.append(10 * magnitudes.square().clamp(min=1e-5).log10())
        distance = (levels[0] - levels[1]).square().mean(dim=(1, 2))
        return distance.sqrt() if self.root else distance


class WaveformMSE(ItemMetric):
    """Mean squared difference of samples.

    Examples:
        >>> WaveformMSE().per_item(torch.full((1, 4), 0.5), torch.zeros(1, 4))
        tensor([0.2500])
    """

    def per_item(self, prediction: Audio, target: Audio) -> Float[Tensor, "batch"]:
        check_sounds(prediction, target)
        return (prediction - target).square().mean(dim=1)


class SpectralWasserstein(ItemMetric):
    """Wasserstein distance of spectra along frequency, to the power ``p``, where 1 is from 0 Hz to Nyquist.

    The mean over frames with a sound in the prediction, as published: a model that falls silent is not told
    here. A silent target counts as one of Nyquist alone. The number of an item without any sound is nan.

    Args:
        p: Exponent of the distance.
        n_fft: Points of the FFT, under a Hann window; frames go on past the end.
        hop_length: Samples from frame to frame.

    Examples:
        >>> t = 2 * torch.pi * torch.arange(4096) / 16000
        >>> low, high = torch.sin(1000 * t)[None], torch.sin(3000 * t)[None]
        >>> metric = SpectralWasserstein()
        >>> metric.update(torch.cat([high, 0 * low]), torch.cat([low, low]))
        >>> round(metric.compute().item(), 2)  # of 8 kHz
        0.25
    """

    def __init__(self, p: float = 1.0, n_fft: int = 512, hop_length: int = 128) -> None:
        super().__init__()
        if not p >= 1 or min(n_fft, hop_length) < 1:
            raise ValueError(f"Need p of at least 1 and sizes above 0, got {p=}, {n_fft=}, {hop_length=}.")
        self.p, self.n_fft, self.hop_length = p, n_fft, hop_length

    def per_item(self, prediction: Audio, target: Audio) -> Float[Tensor, "batch"]:
        distance, heard = self._frames(prediction, target)
        return (distance * heard).sum(dim=1) / heard.sum(dim=1)

    def update(self, prediction: Audio, target: Audio) -> None:
        distance, heard = self._frames(prediction, target)
        self.items = (distance * heard).sum(dim=1) / heard.sum(dim=1)
        self._add(distance[heard])

    def _frames(self, prediction: Audio, target: Audio) -> tuple[Tensor, Tensor]:
        check_sounds(prediction, target)
        window = placed(hann_window(self.n_fft, target.dtype), target)
        y, x = (
            short_time_magnitudes(audio, self.n_fft, self.hop_length, window, "padded")
            for audio in (prediction, target)
        )
        positions = torch.linspace(0, 1, y.shape[-1], device=y.device, dtype=y.dtype)
        distance = spectral_transport(y.flatten(0, 1), x.flatten(0, 1), positions, p=self.p)
        mass, known = y.sum(dim=2), x.sum(dim=2)
        from_end = (y @ (1 - positions) ** self.p) / mass.clamp(min=FLOOR)
        return torch.where(known > FLOOR, distance.view_as(mass), from_end), mass > FLOOR


def cents_apart(prediction: Tensor, target: Tensor) -> tuple[Tensor, Tensor]:
    """How far the prediction is above the target, in cents, and where both have a pitch; float64."""
    known = (prediction > 0) & (target > 0)
    wide = torch.float32 if target.device.type == "mps" else torch.float64
    pair = (torch.where(known, pitch, 1.0).to(wide) for pitch in (prediction, target))
    above, below = pair
    return 1200 * (above / below).log2(), known
