"""Features of a drum's hits: described, scaled, compared with a reference, and split."""

from dataclasses import dataclass

import torch
from jaxtyping import Float, Int
from torch import Tensor

from drumblender.features.base import Feature
from drumblender.types import Audio

_CHUNK = 64  # hits described at a time


@dataclass(frozen=True)
class HitFeatures:
    """What is known of each hit of a drum, in the order of the files."""

    full: Float[Tensor, "hits features"]
    raw_onset: Float[Tensor, "hits onset_features"]

    @property
    def by_loudness(self) -> Int[Tensor, "hits"]:
        """The hits from the loudest to the softest, by the first feature."""
        return self.full[:, 0].argsort(descending=True)

    @property
    def reference(self) -> int:
        """The hit of median loudness."""
        return int(self.by_loudness[len(self.full) // 2])

    @property
    def difference(self) -> Float[Tensor, "hits features"]:
        """The features less those of the reference."""
        return self.full - self.full[self.reference]

    @property
    def weight(self) -> Float[Tensor, "features"]:
        """One over the span of each feature; 0 for one that never changes."""
        span = self.difference.amax(dim=0) - self.difference.amin(dim=0)
        return torch.where(span > 0, 1 / span, 0.0)

    @property
    def onset_low(self) -> Float[Tensor, "onset_features"]:
        return self.raw_onset.amin(dim=0)

    @property
    def onset_span(self) -> Float[Tensor, "onset_features"]:
        """The span of each onset feature, that scales it to 1; 1 for one that never changes."""
        span = (self.raw_onset - self.onset_low).amax(dim=0)
        return torch.where(span > 0, span, 1.0)

    @property
    def onset(self) -> Float[Tensor, "hits onset_features"]:
        """The onset features, each from 0 to 1 over the drum; 0 for one that never changes."""
        return (self.raw_onset - self.onset_low) / self.onset_span


@torch.no_grad()
def describe(hits: Audio, features: Feature, onset_features: Feature) -> HitFeatures:
    """Compute the features of every hit."""
    return HitFeatures(
        *(torch.cat([part(chunk) for chunk in hits.split(_CHUNK)]) for part in (features, onset_features))
    )


def split_evenly(
    ids: Int[Tensor, "hits"], reference: int, share: float, seed: int
) -> tuple[Int[Tensor, "kept"], Int[Tensor, "held"]]:
    """Hold out hits from all along the order of ``ids``: one drawn from each of equal stretches.

    Args:
        ids: Hits, in the order of loudness.
        reference: Never held out; the next in its stretch is.
        share: Of the hits, rounded down, and one more; 0 holds out none.
        seed: Of the draws.
    """
    if share == 0:
        return ids, ids[:0]
    generator = torch.Generator().manual_seed(seed)
    held = []
    for stretch in ids.chunk(int(len(ids) * share) + 1):
        at = int(torch.randint(len(stretch), (1,), generator=generator))
        if stretch[at] == reference:
            at = (at + 1) % len(stretch)
        if stretch[at] != reference:
            held.append(stretch[at])
    out = torch.stack(held) if held else ids[:0]
    return ids[~torch.isin(ids, out)], out
