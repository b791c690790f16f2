"""A sound that is always the same, and what a checkpoint makes of it: what must not change unnoticed."""

import time

import torch
from jaxtyping import Float
from torch import Tensor

from drumblender.data.fake import percussion
from drumblender.inference.model import Model
from drumblender.losses.spectral import MultiResolutionSTFTLoss
from drumblender.tasks import GuitarVoices, RemapVoices, StringVoices

_TONE_S, _TONE_HZ, _PARTIALS = 2.0, 146.83, 20
_HIT_S, _LEVELS = 0.5, (0.2, 0.5, 1.0)
_QUIETEST = 1e-9


def probe(task: torch.nn.Module, sample_rate: int) -> Float[Tensor, "samples"]:
    """A fixed sound that a task can answer to: a note that fades, three hits, or a drum.

    >>> from drumblender.tasks import DrumTask
    >>> probe(DrumTask.__new__(DrumTask), 16000).shape
    torch.Size([16000])
    """
    if isinstance(task, StringVoices | GuitarVoices):
        return fading_note(sample_rate)
    if isinstance(task, RemapVoices):
        hits = [level * _drum("snare", _HIT_S, sample_rate) for level in _LEVELS]
        return torch.cat(hits)
    return _drum("tom", 1.0, sample_rate)


def fading_note(sample_rate: int) -> Float[Tensor, "samples"]:
    """A D below middle C of two seconds; the higher a partial, the weaker and the shorter."""
    time_s = torch.arange(int(_TONE_S * sample_rate), dtype=torch.float64) / sample_rate
    order = torch.arange(1, _PARTIALS + 1, dtype=torch.float64)[:, None]
    order = order[order * _TONE_HZ < sample_rate / 2][:, None]
    partials = (2 * torch.pi * _TONE_HZ * order * time_s).sin() / order
    sound = (partials * torch.exp(-time_s * (1.5 + 0.5 * order))).sum(dim=0)
    return (0.5 * sound / sound.abs().max()).float()


def _drum(kind: str, seconds: float, sample_rate: int) -> Tensor:
    generator = torch.Generator().manual_seed(0)
    return percussion(kind, generator, num_samples=int(seconds * sample_rate), sample_rate=sample_rate)


@torch.no_grad()
def probed(model: Model) -> tuple[dict[str, float], float]:
    """What a model makes of its probe, as numbers that a later version has to repeat.

    Returns:
        ``samples``, ``level_db`` (of the mean power) and ``distance`` (the multi-resolution STFT loss from
        the probe, over what both have); and the seconds of sound that it made in one of the processor.

    Raises:
        ValueError: The sound is not finite.
    """
    rate = model.sample_rate
    heard = probe(model.task, rate)
    model(heard, rate)  # what is compiled is compiled here
    began = time.process_time()
    sound = model(heard, rate)
    speed = len(sound) / rate / max(time.process_time() - began, 1e-6)
    if not sound.isfinite().all():
        raise ValueError("The model makes samples that are no finite numbers.")
    length = min(len(sound), len(heard))
    distance = MultiResolutionSTFTLoss()(sound[None, :length], heard[None, :length])
    level_db = 10 * sound.square().mean().clamp(min=_QUIETEST).log10()
    found = {"samples": float(len(sound)), "level_db": float(level_db), "distance": float(distance)}
    return found, speed
