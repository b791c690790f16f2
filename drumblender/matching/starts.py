"""Where a search begins: what an analysis of the target says of the controls."""

import math
from collections.abc import Mapping
from functools import singledispatch

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn import functional as F

from drumblender.dsp.bands import band_centers_hz, band_powers
from drumblender.dsp.oscillators import damped_sines
from drumblender.dsp.spectra import power, stft
from drumblender.dsp.units import Range, db_to_gain
from drumblender.synths.base import Synth
from drumblender.synths.harmonic import HarmonicSynth
from drumblender.synths.mix import MixSynth
from drumblender.synths.modal import DampedModalSynth
from drumblender.synths.noise import NoiseSynth
from drumblender.synths.stft_noise import StftNoiseSynth
from drumblender.types import Audio, Controls

_LEAST = 1e-12  # power; 120 dB under full scale
_TONAL = 4.0  # times the median around it: the spectrum of noise hardly rises so far by chance
_LEFT_DB = -20.0  # a residual is at least this, under the target: what is silent has no gradient


@singledispatch
def analysed_start(
    synth: Synth, target: Audio, frames: Mapping[str, int], known: Controls, sample_rate: int
) -> Controls:
    """Controls, as the synth takes them, that an analysis of the target suggests; those that it knows of.

    Struck modes get the strongest partials, with their decays; harmonics their levels at ``f0_hz``; noise the
    band levels of what those leave over. Of other synths nothing is known.

    Args:
        synth: What will play them.
        target: ``(1, samples)``.
        frames: Of each control.
        known: Controls that are known already: the pitch of harmonics.
        sample_rate: Of the target.
    """
    del synth, target, frames, known, sample_rate
    return {}


@analysed_start.register
def _of_mix(
    synth: MixSynth, target: Audio, frames: Mapping[str, int], known: Controls, sample_rate: int
) -> Controls:
    noisy = {name for name, part in synth.synths.items() if isinstance(part, NoiseSynth | StftNoiseSynth)}
    found: Controls = {}
    left = target
    for name in sorted(synth.synths, key=lambda name: name in noisy):
        part = synth.synths[name]
        own = [_under(name, group) for group in (frames, known)]
        if name in noisy:
            controls = _noise_levels(part, target, left, own[0], sample_rate)
        else:
            controls = analysed_start(part, target, *own, sample_rate)
            if set(controls | own[1]) == set(part.control_sizes):
                with torch.no_grad():
                    left = left - part(controls | own[1], target.shape[-1])
        found |= {f"{name}_{control}": value for control, value in controls.items()}
    return found


def _under(name: str, group: Mapping[str, int] | Controls) -> dict:
    return {key.removeprefix(f"{name}_"): value for key, value in group.items() if key.startswith(f"{name}_")}


@analysed_start.register(NoiseSynth)
@analysed_start.register(StftNoiseSynth)
def _of_noise(
    synth: NoiseSynth | StftNoiseSynth,
    target: Audio,
    frames: Mapping[str, int],
    known: Controls,
    sample_rate: int,
) -> Controls:
    del known
    return _noise_levels(synth, target, target, frames, sample_rate)


def _noise_levels(
    synth: NoiseSynth | StftNoiseSynth,
    target: Audio,
    left: Audio,
    frames: Mapping[str, int],
    sample_rate: int,
) -> Controls:
    """Levels of what is left of the target, in the bands and frames of the synth."""
    name = next(iter(synth.control_sizes))
    powers = [_powers(synth, audio, sample_rate) for audio in (target, left)]
    # Modes that miss the waveform add to the residual instead of leaving less.
    power_left = torch.minimum(powers[1], powers[0]).clamp(min=_LEAST)
    power_left = torch.maximum(power_left, powers[0] * 10 ** (_LEFT_DB / 10))
    level_db = _resampled(10 * torch.log10(power_left), frames.get(name, power_left.shape[1]))
    span = synth.ranges.get(name)
    if span is not None:
        return {name: span.normalize(level_db).clamp(0, 1)}
    return {name: level_db if name.endswith("_db") else db_to_gain(level_db)}


def _powers(
    synth: NoiseSynth | StftNoiseSynth, audio: Audio, sample_rate: int
) -> Float[Tensor, "1 frames bands"]:
    if isinstance(synth, StftNoiseSynth):
        return band_powers(audio, num_bands=synth.num_bands, **synth.settings)
    # Uniform noise under half-overlapping Hann windows has a power of 1/3 x 3/4.
    size, bands = synth.win_length, synth.num_bands
    n_fft = max(size, 2 ** math.ceil(math.log2(4 * bands)))
    spectrum = power(stft(audio, n_fft, synth.hop_length, pad_mode="constant")) / (3 / 8 * n_fft)
    bins = torch.linspace(0, bands - 1, n_fft // 2 + 1)
    weights = (1 - (bins[:, None] - torch.arange(bands)).abs()).clamp(min=0)
    return spectrum @ (weights / weights.sum(dim=0)) * 4


def _resampled(level_db: Float[Tensor, "1 frames bands"], count: int) -> Float[Tensor, "1 count bands"]:
    """On evenly spread frames; powers are not averaged, so that the attack stays what it is."""
    if count == level_db.shape[1]:
        return level_db
    if count == 1:
        return level_db.amax(dim=1, keepdim=True)
    return F.interpolate(level_db.mT, count, mode="linear", align_corners=True).mT


@analysed_start.register
def _of_modes(
    synth: DampedModalSynth, target: Audio, frames: Mapping[str, int], known: Controls, sample_rate: int
) -> Controls:
    del frames, known
    freq, t60, level = (name for name in synth.control_sizes)
    hz, seconds, amp = _partials(target[0], sample_rate, synth.control_sizes[freq], synth.ranges[freq])
    amp = _no_louder(target, hz, seconds, amp, sample_rate)
    values = {freq: hz, t60: seconds}
    values[level] = amp if synth.level_db is None else 20 * torch.log10(amp.clamp(min=1e-8))
    return {
        name: synth.ranges[name].normalize(value).clamp(0, 1)[None, None] for name, value in values.items()
    }


def _partials(
    audio: Float[Tensor, "samples"], sample_rate: int, count: int, span: Range
) -> tuple[Tensor, Tensor, Tensor]:
    """Frequencies in Hz, decays in seconds and amplitudes at the start of the strongest partials.

    Peaks of the spectrum of the first third of a second; each one's decay is the slope of its level, from its
    loudest frame on, until it has fallen by 30 dB or meets its floor. Where there are fewer peaks than modes,
    the others are spread over the range, 60 dB under the loudest.
    """
    size = 2 ** round(math.log2(0.34 * sample_rate))
    part = F.pad(audio[:size], (0, max(0, size - len(audio))))
    fade = torch.hann_window(2 * size)[size:]  # all of the attack, nothing of the cut
    spectrum = torch.fft.rfft(part * fade, 2 * size).abs()
    bin_hz = sample_rate / (2 * size)
    inner = spectrum[1:-1]
    floor = _local_median(inner, 2 * round(120 / bin_hz) + 1)
    hz = torch.arange(1, len(spectrum) - 1) * bin_hz
    peak = (inner >= spectrum[:-2]) & (inner > spectrum[2:]) & (hz >= span.low) & (hz <= span.high)
    peak &= inner > _TONAL * floor
    salience = torch.where(peak, inner, 0.0)
    found = salience.argsort(descending=True)[:count]
    found = found[salience[found] > 1e-3 * salience.amax()]
    spread = torch.linspace(0.05, 0.95, max(count - len(found), 1))[: count - len(found)]
    freq_hz = torch.cat([hz[found], span.denormalize(spread)])
    t60_s, amp = _decays(audio, freq_hz, sample_rate)
    amp[len(found) :] = amp[: len(found)].amax() * 1e-3 if len(found) else 1e-3 * audio.abs().max()
    return freq_hz, t60_s, amp


def _no_louder(
    target: Audio, freq_hz: Tensor, t60_s: Tensor, amp: Tensor, sample_rate: int
) -> Float[Tensor, "modes"]:
    """Amplitudes lowered until the modes of a band have no more energy than the target has there."""
    size = target.shape[-1]
    bands = {"num_bands": 64, "low_hz": 40.0, "high_hz": 0.48 * sample_rate}
    n_fft = 2 ** round(math.log2(0.021 * sample_rate))
    settings = {"n_fft": n_fft, "hop_length": n_fft // 2, "sample_rate": sample_rate, **bands}
    centers_hz = band_centers_hz(**bands)
    nearest = (freq_hz[:, None] - centers_hz).abs().argmin(dim=1)
    wanted = band_powers(target, **settings).sum(dim=1)[0]
    for _ in range(3):
        rows = [values[None].float() for values in (freq_hz, t60_s, amp)]
        stem = damped_sines(*rows, num_samples=size, sample_rate=sample_rate)
        played = band_powers(stem, **settings).sum(dim=1)[0]
        amp = amp * (wanted / played.clamp(min=_LEAST)).clamp(max=1).sqrt()[nearest]
    return amp


def _local_median(values: Float[Tensor, "bins"], width: int) -> Float[Tensor, "bins"]:
    """The median of blocks of bins, on lines between their middles."""
    blocks = values[: len(values) // width * width].view(-1, width).median(dim=1).values
    if len(blocks) < 2:
        return torch.full_like(values, float(values.median()))
    return F.interpolate(blocks[None, None], len(values), mode="linear", align_corners=False)[0, 0]


def _decays(
    audio: Float[Tensor, "samples"], freq_hz: Float[Tensor, "modes"], sample_rate: int
) -> tuple[Tensor, Tensor]:
    """Seconds to fall by 60 dB, and the amplitude at the start of the sound."""
    n_fft = 2 ** round(math.log2(0.043 * sample_rate))
    hop = n_fft // 8
    padded = F.pad(audio, (0, max(0, 2 * n_fft - len(audio))))
    frames = padded.unfold(0, n_fft, hop)
    time_s = torch.arange(len(frames)) * hop / sample_rate
    window = torch.hann_window(n_fft)
    turns = torch.outer(torch.arange(n_fft) / sample_rate, freq_hz)
    rotation = torch.polar(window[:, None].expand_as(turns), -2 * math.pi * turns)
    level_db = 20 * torch.log10((frames.to(rotation) @ rotation).abs().clamp(min=1e-6) / (window.sum() / 2))
    t60_s, amp = torch.empty_like(freq_hz), torch.empty_like(freq_hz)
    for mode in range(len(freq_hz)):
        track = level_db[:, mode]
        first = int(track[: max(1, len(track) // 4)].argmax())
        quiet = (track[first:] < track[first] - 30).nonzero()
        last = first + max(3, int(quiet[0]) if len(quiet) else len(track))
        x, y = time_s[first:last], track[first:last]
        slope = ((x - x.mean()) * (y - y.mean())).sum() / (x - x.mean()).square().sum().clamp(min=1e-9)
        decay = -60 / float(slope.clamp(max=-1.0)) if len(x) > 1 else 0.05
        t60_s[mode] = decay
        # A window averages the decay beneath it: its middle says what the start was.
        start_db = float(track[first]) + 60 / decay * float(time_s[first] + 0.4 * n_fft / sample_rate)
        amp[mode] = 10 ** (min(start_db, float(track[first]) + 12) / 20)
    return t60_s, amp


@analysed_start.register
def _of_harmonics(
    synth: HarmonicSynth, target: Audio, frames: Mapping[str, int], known: Controls, sample_rate: int
) -> Controls:
    if "f0_hz" not in known or "level" not in synth.control_sizes:
        return {}
    count, size = frames["level"], synth.control_sizes["level"]
    f0_hz = float(known["f0_hz"].median())
    n_fft = 2 ** math.ceil(math.log2(4 * sample_rate / max(f0_hz, 20.0)))
    spectrum = power(stft(target, n_fft, n_fft // 4, pad_mode="constant"))[0].sqrt() / (n_fft / 4)
    bins = (f0_hz * torch.arange(1, size + 1) * n_fft / sample_rate).round().long()
    near = F.max_pool1d(spectrum[None], 5, 1, 2)[0]  # partials are never quite in tune
    level = near[:, bins.clamp(max=near.shape[1] - 1)] * (bins < near.shape[1])
    level_db = _resampled(20 * torch.log10(level.clamp(min=1e-6))[None], count)
    return {"level": synth.ranges["level"].normalize(level_db).clamp(0, 1)}
