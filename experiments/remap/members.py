"""The runs of a study: one drum, one preset and one seed each, with what they share computed once."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import lightning as L
import torch
from jaxtyping import Float, Int
from torch import Tensor

from drumblender.controllers import Mapper
from drumblender.data import RemapDataModule
from drumblender.synths.drum_synth import DrumSynth
from drumblender.synths.preset import load_preset


@dataclass(frozen=True)
class Drum:
    """The hits of a drum, and which of them train, validate and test."""

    name: str
    onset: Float[Tensor, "hits onset_features"]
    difference: Float[Tensor, "hits features"]
    weight: Float[Tensor, "features"]
    train_ids: Int[Tensor, "train"]
    val_ids: Int[Tensor, "val"]
    test_ids: Int[Tensor, "test"]
    onset_scale: dict[str, Float[Tensor, "onset_features"]]


@dataclass(frozen=True)
class Start:
    """What one seed gives every run: weights, noise, and the state of the draws when the training starts."""

    seed: int
    mapper: Mapper
    synth: DrumSynth
    draws: Tensor


@dataclass(frozen=True)
class Member:
    """One run: a drum, and where its mapping starts from."""

    drum: Drum
    preset_name: str
    preset: Float[Tensor, "params"]
    damping: Float[Tensor, "params"]
    start: int  # its place among the starts


def drum_of(data: RemapDataModule, name: str) -> Drum:
    """Describe a drum; see ``RemapDataModule.setup`` for the errors."""
    data.setup("fit")
    hits = data.hits
    everything = data.batch_of(torch.arange(len(hits.full)))
    scale = {"low": hits.onset_low, "span": hits.onset_span, "center": data.onset_offset}
    return Drum(
        name,
        everything["onset"],
        everything["difference"],
        everything["weight"][0],
        data.train_ids,
        data.val_ids,
        data.test_ids,
        scale,
    )


def start_from(seed: int, make_parts: Callable[[], tuple[Mapper, DrumSynth]]) -> Start:
    """Seed everything, and build mapper and synth, in that order, as a run of the command line does."""
    L.seed_everything(seed, verbose=False)
    mapper, synth = make_parts()
    return Start(seed, mapper, synth, torch.random.get_rng_state())


def members_of(drums: list[Drum], presets: list[str], starts: list[Start]) -> list[Member]:
    """All combinations: drums outermost, then presets, then seeds."""
    kits = [(Path(path).stem, load_preset(path, starts[0].synth)) for path in presets]
    return [
        Member(drum, name, preset.values[0], preset.damping[0], place)
        for drum in drums
        for name, preset in kits
        for place in range(len(starts))
    ]
