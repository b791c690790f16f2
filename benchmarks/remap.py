"""Snare808 and the seven published features, forward and backward, against the formulas as they are written.

Run with ``python -m benchmarks.remap``. Errors are those against float64 throughout: the formula in float32
is as far from that as ours is (8e-3 of the features, 8e-2 of the gradient), for a decay of a second
multiplies a rate that lies next to 1, and the gradient of a frequency adds up over all its turns.
"""

import copy
import math

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor
from torchaudio.functional import lfilter

from benchmarks.measure import Floor, compare, cost, fft_flop, share
from drumblender.dsp.loudness import k_weighting_coefficients
from drumblender.dsp.moments import analysis_window
from drumblender.features import (
    CascadingFrameExtractor,
    FeatureCollection,
    Loudness,
    SpectralCentroid,
    SpectralFlatness,
    TemporalCentroid,
)
from drumblender.synths import Snare808
from drumblender.types import Audio

RATE, BATCH = 44100, 16


def plain_decay(decay_ms: Float[Tensor, "batch"], num_samples: int) -> Audio:
    """A straight rise of 1 ms, then the running product of the rate."""
    attack = int(0.001 * RATE)
    rate = 1 - 6.91 / (decay_ms * RATE / 1000)
    rise = torch.ones(len(rate), attack).cumsum(dim=1) / attack
    steps = torch.cat([torch.ones(len(rate), 1), rate[:, None].expand(-1, num_samples - attack - 1)], dim=1)
    return torch.cat([rise, steps.cumprod(dim=1)], dim=1)


def plain_sine(freq_hz: Tensor, modulation: Audio, depth: Tensor) -> Audio:
    """A sine whose phase is the running sum of its frequencies."""
    steps = 2 * math.pi * freq_hz[:, None] / RATE * (1 + depth[:, None] * modulation)
    return torch.sin(torch.cumsum(F.pad(steps[:, :-1], (1, 0)), dim=1))


def plain_high_pass(audio: Audio, freq_hz: Tensor, q: Tensor) -> Audio:
    k = torch.tan(math.pi * freq_hz / RATE)
    c = 1 / (1 + k / q + k * k)
    a = torch.stack([torch.ones_like(c), 2 * (k * k - 1) * c, (1 - k / q + k * k) * c], dim=1)
    return lfilter(audio, a, torch.stack([c, -2 * c, c], dim=1), batching=True)


def plain_snare(params: Float[Tensor, "batch params"], synth: Snare808, num_samples: int) -> Audio:
    """What Snare808 renders, one tensor of samples after another."""
    knobs = {
        name: span.denormalize(value)
        for (name, span), value in zip(synth.ranges.items(), params.unbind(1), strict=True)
    }
    gain = {name: 10 ** (value[:, None] / 20) for name, value in knobs.items() if name.endswith("gain")}
    sweep = plain_decay(knobs["freq_env.decay"], num_samples)
    hiss = synth.noise[:, :num_samples] * plain_decay(knobs["noise_env.decay"], num_samples)
    mix = gain["noise_gain.gain"] * plain_high_pass(hiss, knobs["noise_filter.freq"], knobs["noise_filter.q"])
    for osc in ("osc1", "osc2"):
        sine = plain_sine(knobs[f"{osc}.freq"], sweep, knobs[f"{osc}.mod"])
        mix = mix + gain[f"{osc}_gain.gain"] * sine * plain_decay(knobs[f"{osc}_env.decay"], num_samples)
    return torch.tanh(gain["tanh.in_gain"] * mix)


def plain_features(audio: Audio) -> Float[Tensor, "batch features"]:
    """The seven features, each from frames of its own."""
    frames = audio.unfold(-1, 2048, 512)[:, :66]
    columns = []
    for values in (plain_loudness(frames), plain_centroid(frames), plain_flatness(frames)):
        columns += [values[:, :2].mean(dim=1), values[:, 2:].mean(dim=1)]
    return torch.stack([*columns, plain_temporal_centroid(audio[:, :5512])], dim=1)


def plain_loudness(frames: Float[Tensor, "batch frames samples"]) -> Float[Tensor, "batch frames"]:
    for b, a in zip(*k_weighting_coefficients(RATE), strict=True):
        frames = lfilter(frames, a.to(frames), b.to(frames))
    return -0.691 + 10 * torch.log10(frames.square().mean(dim=-1) + 1e-8)


def plain_centroid(frames: Float[Tensor, "batch frames samples"]) -> Float[Tensor, "batch frames"]:
    spectrum = torch.fft.rfft(frames * analysis_window("flat_top", 2048)).abs()
    weight = torch.log1p(torch.where(spectrum < 1e-4, 1e-4, spectrum))
    bins = torch.arange(weight.shape[-1])
    centroid_hz = (weight * bins).sum(dim=-1) / weight.sum(dim=-1).clamp(min=1e-12) * RATE / 2048
    return -34.61 * centroid_hz**-0.1621 + 21.2985


def plain_flatness(frames: Float[Tensor, "batch frames samples"]) -> Float[Tensor, "batch frames"]:
    power = torch.fft.rfft(frames * analysis_window("hann", 2048)).abs() ** 2
    power = torch.where(power < 1e-10, 1e-10, power)
    return 20 * torch.log10(power.log().mean(dim=-1).exp() / power.mean(dim=-1) + 1e-8)


def plain_temporal_centroid(audio: Audio) -> Float[Tensor, "batch"]:
    window = analysis_window("hann", 2048)[None, None].to(audio)
    energy = F.conv1d(F.pad(audio.square()[:, None], (1023, 1024)), window)[:, 0]
    first = (torch.arange(energy.shape[-1]) * energy).sum(dim=-1)
    return 0.03 * (first / (energy.sum(dim=-1) + 1e-8) / RATE * 1000) ** 1.864


def published_features() -> FeatureCollection:
    centroid = SpectralCentroid(RATE, "flat_top", compress=True, floor=1e-4, scaling="kazazis")
    frames = CascadingFrameExtractor([Loudness(RATE), centroid, SpectralFlatness()], [2, 64], 2048, 512)
    hit = CascadingFrameExtractor([TemporalCentroid(RATE, scaling="schlauch")], [1], 5512, 5512)
    return FeatureCollection([frames, hit])


def floor_of(*, synth: bool, features: bool, ways: int) -> Floor:
    """Of a hit: 60 operations a sample (two sines, four decays, a filter, tanh); for each of 66 frames two
    spectra with ten operations a bin and two biquads over its samples. The way back costs twice as much."""
    flop = 60 * RATE if synth else 0
    flop += 66 * (2 * (fft_flop(2048) + 10 * 1025) + 2 * 9 * 2048) if features else 0
    return Floor(ways * BATCH * flop, 4 * BATCH * RATE)


def main() -> None:
    torch.manual_seed(0)
    synth, features = Snare808(RATE, noise_samples=RATE), published_features()
    params = (0.2 + 0.6 * torch.rand(BATCH, synth.num_params)).requires_grad_()

    def ours() -> Tensor:
        params.grad = None
        columns = features(synth.play(params, features.receptive_field))
        columns.sum().backward()
        return columns

    def plain() -> Tensor:
        params.grad = None
        columns = plain_features(plain_snare(params, synth, RATE))
        columns.sum().backward()
        return columns

    found, exact_params = (ours().detach(), params.grad), params.detach().double().requires_grad_()
    exact_synth = copy.deepcopy(synth).double()
    exact_audio = plain_snare(exact_params, exact_synth, RATE)
    exact = plain_features(exact_audio)
    exact.sum().backward()
    errors = [share(found[0], exact), share(found[1], exact_params.grad)]
    compare(
        f"Snare808 + features, forward + backward, batch {BATCH}",
        cost(ours),
        cost(plain),
        floor_of(synth=True, features=True, ways=3),
        errors,
    )

    with torch.no_grad():
        audio = synth.play(params, RATE)
        compare(
            "Snare808, forward",
            cost(lambda: synth.play(params, RATE)),
            cost(lambda: plain_snare(params, synth, RATE)),
            floor_of(synth=True, features=False, ways=1),
            [share(audio, exact_audio)],
        )
        compare(
            "features, forward",
            cost(lambda: features(audio)),
            cost(lambda: plain_features(audio)),
            floor_of(synth=False, features=True, ways=1),
            [share(features(audio), plain_features(audio.double()))],
        )


if __name__ == "__main__":
    main()
