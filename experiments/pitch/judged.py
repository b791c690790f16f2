"""How right pitches are, as the tables of the pitch studies tell it."""

import torch
from torch import Tensor

from drumblender.metrics import OctaveDifference, RawChromaAccuracy, RawPitchAccuracy
from drumblender.metrics.pitch_ratios import RatioHistogram


def accuracies(found: Tensor, truth: Tensor) -> dict[str, float]:
    """Of one seed, in per cent, and the mean error in octaves."""
    truth = truth.expand_as(found).contiguous()
    measures = {"rpa": RawPitchAccuracy(), "rca": RawChromaAccuracy()}
    row = {name: round(100 * measure(found, truth).item(), 2) for name, measure in measures.items()}
    return row | {"octaves": round(OctaveDifference()(found, truth).item(), 4)}


def ratios(found: Tensor, truth: Tensor) -> str:
    """The commonest ratios of a pitch to the true one."""
    histogram = RatioHistogram()
    histogram.update(found, truth.expand_as(found).contiguous())
    return ", ".join(f"{name} {100 * share:.1f} %" for name, share in list(histogram.compute().items())[:5])


def fields_of(loader: torch.utils.data.DataLoader, device: torch.device) -> dict[str, Tensor]:
    """All tones of a split at once."""
    items = loader.dataset
    if not hasattr(items, "collate"):
        raise ValueError("An ensemble needs tones that are made once: --data.fresh false.")
    return {name: value.to(device) for name, value in items.collate(list(range(len(items)))).items()}
