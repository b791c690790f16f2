"""Metrics on how a sound begins and how its level goes on."""

import torch
from jaxtyping import Float
from torch import Tensor

from drumblender.dsp.checks import check_sounds
from drumblender.dsp.energy import amplitude_envelope
from drumblender.dsp.roots import safe_root
from drumblender.dsp.spectra import power, stft
from drumblender.metrics.base import ItemMetric
from drumblender.types import Audio

_TINY = 1e-12


class AttackTimeError(ItemMetric):
    """How many milliseconds longer or shorter the attack of the prediction is than that of the target.

    An attack lasts from where the RMS envelope first reaches ``start`` of its peak to where it first reaches
    ``stop`` (as the log-attack-time of MPEG-7, without the logarithm). Deaf to level and to when it begins; 0
    between silences.

    Args:
        sample_rate: Samples per second.
        window_s: Seconds over which the envelope is averaged, by a Hann window.
        start: Fraction of the peak.
        stop: Fraction of the peak, above ``start``.

    Raises:
        ValueError: A rate, window or fraction out of range.

    Examples:
        >>> fast, slow = ((torch.arange(9600) / n).clamp(max=1)[None] for n in (480, 4800))  # 10 and 100 ms
        >>> round(AttackTimeError(48000).per_item(fast, slow).item())  # 8 and 80 ms
        72
    """

    def __init__(
        self, sample_rate: int, window_s: float = 0.002, start: float = 0.1, stop: float = 0.9
    ) -> None:
        super().__init__()
        if sample_rate < 1 or not window_s > 0 or not 0 < start < stop <= 1:
            raise ValueError(
                "Needs a rate, a window and 0 < start < stop <= 1, "
                f"got {sample_rate=}, {window_s=}, {start=}, {stop=}."
            )
        self.sample_rate, self.window_s, self.start, self.stop = sample_rate, window_s, start, stop

    def per_item(self, prediction: Audio, target: Audio) -> Float[Tensor, "batch"]:
        check_sounds(prediction, target)
        times = [self._attack_ms(audio) for audio in (prediction, target)]
        return (times[0] - times[1]).abs()

    def _attack_ms(self, audio: Audio) -> Float[Tensor, "batch"]:
        window = max(1, round(self.window_s * self.sample_rate))
        level = amplitude_envelope(audio, window).clamp(min=0).sqrt()
        peak = level.amax(dim=1, keepdim=True)
        places = [(level >= part * peak).to(torch.uint8).argmax(dim=1) for part in (self.start, self.stop)]
        return (places[1] - places[0]) * (1000 / self.sample_rate)


class EnvelopeDistance(ItemMetric):
    """How unlike the RMS envelopes run: 1 less their cosine, from 0 (one is a multiple of the other) to 1.

    Deaf to level and to timbre. Two silences are alike; silence and sound are 1 apart.

    Args:
        frame_size: Samples that are averaged by a Hann window.
        hop_length: Samples between points of the envelope.

    Examples:
        >>> sound, silence = torch.randn(1, 8000), torch.zeros(1, 8000)
        >>> metric = EnvelopeDistance()
        >>> round(metric.per_item(sound / 10, sound).item(), 3), metric.per_item(silence, sound).item()
        (0.0, 1.0)
    """

    def __init__(self, frame_size: int = 1024, hop_length: int = 256) -> None:
        super().__init__()
        if min(frame_size, hop_length) < 1:
            raise ValueError(f"Sizes start at 1, got {frame_size=}, {hop_length=}.")
        self.frame_size, self.hop_length = frame_size, hop_length

    def per_item(self, prediction: Audio, target: Audio) -> Float[Tensor, "batch"]:
        check_sounds(prediction, target)
        envelopes = [
            safe_root(amplitude_envelope(audio, self.frame_size)[:, :: self.hop_length])
            for audio in (prediction, target)
        ]
        return _cosine_distance(*envelopes)


class OnsetStrengthDistance(ItemMetric):
    """How unlike the onset strengths run: 1 less their cosine, from 0 to 1.

    The onset strength of a frame is the mean over bins of what the level in decibels has risen by since the
    frame before, within 80 dB of the loudest bin. Deaf to level; two silences are alike.

    Args:
        n_fft: Points of the FFT and of its periodic Hann window.
        hop_length: Samples between frames, which reach into silence at both ends.

    Examples:
        >>> sound, silence = torch.randn(1, 8000), torch.zeros(1, 8000)
        >>> metric = OnsetStrengthDistance()
        >>> round(metric.per_item(sound / 10, sound).item(), 3), metric.per_item(silence, sound).item()
        (0.0, 1.0)
    """

    def __init__(self, n_fft: int = 1024, hop_length: int = 256) -> None:
        super().__init__()
        if min(n_fft, hop_length) < 1:
            raise ValueError(f"Sizes start at 1, got {n_fft=}, {hop_length=}.")
        self.n_fft, self.hop_length = n_fft, hop_length

    def per_item(self, prediction: Audio, target: Audio) -> Float[Tensor, "batch"]:
        check_sounds(prediction, target)
        return _cosine_distance(*(self._strength(audio) for audio in (prediction, target)))

    def _strength(self, audio: Audio) -> Float[Tensor, "batch frames"]:
        # A hit on the first sample rises from the silence before it.
        before = torch.nn.functional.pad(audio, (self.n_fft, 0))
        spectrum = power(stft(before, self.n_fft, self.hop_length, pad_mode="constant"))
        loudest = spectrum.amax(dim=(1, 2), keepdim=True)
        levels_db = 10 * torch.log10((spectrum / loudest.clamp(min=_TINY)).clamp(min=1e-8))
        return levels_db.diff(dim=1).clamp(min=0).mean(dim=2)


def _cosine_distance(
    a: Float[Tensor, "batch frames"], b: Float[Tensor, "batch frames"]
) -> Float[Tensor, "batch"]:
    lengths = [curve.norm(dim=1) for curve in (a, b)]
    silent = [length < _TINY for length in lengths]
    cosine = (a * b).sum(dim=1) / (lengths[0] * lengths[1]).clamp(min=_TINY**2)
    return torch.where(silent[0] & silent[1], 0.0, (1 - cosine).clamp(0, 1))
