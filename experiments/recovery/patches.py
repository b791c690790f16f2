"""Synths whose patches are to be found again, and patches of them that are known."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import torch
from torch import Tensor

from drumblender.dsp.units import Range
from drumblender.matching.space import SearchSpace
from drumblender.synths import (
    DampedModalSynth,
    FMDrumSynth,
    HarmonicSynth,
    MixSynth,
    NoiseSynth,
    SimpleDrumSynth,
    Snare808,
    StftNoiseSynth,
    StringSynth,
    Synth,
)
from drumblender.types import Controls

RATE = 16000
REACH = 0.25
"""How far from the known controls a search may start, as a part of their range."""

_LEVEL_DB = Range(-60, 0)
_AUDIBLE = 0.05  # peak of a patch, at least


@dataclass(frozen=True)
class Kind:
    """A synth of which patches are drawn.

    Attributes:
        build: Makes it, at ``RATE``, with a seed of its noise.
        regions: Where controls in a unit lie.
        seconds: Length of its sounds.
    """

    build: Callable[[int], Synth]
    regions: Mapping[str, Range]
    seconds: float = 0.5


def _modal() -> Synth:
    freq_hz, t60_s = Range(60, 6000, log=True), Range(0.05, 1.5, log=True)
    return DampedModalSynth(4, RATE, freq_hz=freq_hz, t60_s=t60_s, level_db=_LEVEL_DB)


def _harmonic() -> HarmonicSynth:
    return HarmonicSynth(num_harmonics=8, sample_rate=RATE, level_db=_LEVEL_DB)


def _mix(seed: int) -> Synth:
    return MixSynth({"harmonic": _harmonic(), "noise": _stft_noise(seed, 8)})


def _stft_noise(seed: int, num_bands: int = 16) -> StftNoiseSynth:
    return StftNoiseSynth(RATE, num_bands=num_bands, seed=seed, range_db=_LEVEL_DB)


def _drum(kind: type[Synth]) -> Callable[[int], Synth]:
    """Makes a drum synth, whose second of noise is drawn once, when it is made."""

    def build(seed: int) -> Synth:
        with torch.random.fork_rng():
            torch.manual_seed(seed)
            return kind(RATE, noise_samples=RATE)

    return build


def _string(seed: int) -> Synth:
    return StringSynth(
        min_f0_hz=72.41,
        loop_frames=1,
        excitation_frames=1,
        onset_s=(0.0,),  # a second pluck would come after the end
        excitation="burst",
        loop_gain=Range(0.9, 1.0),
        seed=seed,
    )


_F0_HZ = Range(80, 1000, log=True)

KINDS: dict[str, Kind] = {
    "simple_drum": Kind(_drum(SimpleDrumSynth), {}),
    "fm_drum": Kind(_drum(FMDrumSynth), {}),
    "snare808": Kind(_drum(Snare808), {}),
    "modal": Kind(lambda seed: _modal(), {}),
    "noise": Kind(lambda seed: NoiseSynth(16, 256, seed=seed, level_db=_LEVEL_DB), {}),
    "stft_noise": Kind(_stft_noise, {}),
    "harmonic": Kind(lambda seed: _harmonic(), {"f0_hz": _F0_HZ}),
    "harmonic_noise": Kind(_mix, {"harmonic_f0_hz": _F0_HZ}),
    "string": Kind(_string, {"f0_hz": Range(82, 660, log=True)}),
}
"""All that play without a recording; a transient network, a room and an equaliser work on one."""


@dataclass(frozen=True)
class Patch:
    """A sound whose controls are known.

    Attributes:
        name: Of the synth and the number of the patch.
        synth: What plays it.
        space: What is searched.
        known: Its controls, ``(1, frames, size)`` in (0, 1).
        start: The same, each number moved by up to ``REACH``.
        audio: ``(samples,)``.
    """

    name: str
    synth: Synth
    space: SearchSpace
    known: Controls
    start: Controls
    audio: Tensor


def draw(kind: str, number: int, seed: int) -> Patch:
    """A patch anywhere in the range of its synth, and a start around it.

    All controls are held over their frames. What makes noise makes other noise than the search will.

    Raises:
        ValueError: No such synth.
    """
    if kind not in KINDS:
        raise ValueError(f"No synth {kind!r} to find patches of; there are {', '.join(KINDS)}.")
    made = KINDS[kind]
    synth, other = made.build(0).eval(), made.build(1 + seed).eval()
    space = SearchSpace(synth, 1, regions=made.regions)
    generator = torch.Generator().manual_seed(1000 * seed + number)
    audio = torch.zeros(1)
    while audio.abs().max() < _AUDIBLE:
        unit = {name: torch.rand(1, 1, size, generator=generator) for name, size in space.sizes.items()}
        known = _held({name: 0.1 + 0.8 * value for name, value in unit.items()}, space)
        with torch.no_grad():
            audio = other(space.controls(known), int(made.seconds * RATE))[0]
    shifts = {name: torch.rand(value.shape, generator=generator) for name, value in unit.items()}
    moved = {name: 0.1 + 0.8 * unit[name] + REACH * (2 * shift - 1) for name, shift in shifts.items()}
    start = _held({name: value.clamp(0.01, 0.99) for name, value in moved.items()}, space)
    return Patch(f"{kind}-{number}", synth, space, known, start, audio)


def _held(unit: Controls, space: SearchSpace) -> Controls:
    return {name: value.expand(1, space.frames[name], -1).clone() for name, value in unit.items()}


def error(found: Controls, known: Controls) -> float:
    """Mean distance of all controls, as parts of their range, in what they mean to the sound.

    Modes are compared from low to high, and taps as the shares that a synth makes of them: all of them twice
    as large sound the same.
    """
    found, known = _meant(found), _meant(known)
    apart = [(found[name] - known[name]).abs().mean(dim=1).flatten() for name in known]
    return torch.cat(apart).mean().item()


def _meant(unit: Controls) -> Controls:
    unit = {name: _shares(value) if name.endswith("taps") else value for name, value in unit.items()}
    if "freq" not in unit or unit["freq"].shape[2] < 2:
        return unit
    order = unit["freq"].mean(dim=1).argsort(dim=1)[:, None]
    return {name: value.gather(2, order.expand_as(value)) for name, value in unit.items()}


def _shares(taps: Tensor) -> Tensor:
    return taps / taps.sum(dim=2, keepdim=True)
