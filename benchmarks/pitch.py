"""A training step of the pitch network (SOT-2048), against plain modules: ``python -m benchmarks.pitch``.

64 tones, as published. ``plain`` is what a careful engineer writes: nnAudio's constant-Q transform,
convolutions of torch, harmonics of one summed phase, ``torch.stft``, and transport by sorting and searching.
In bfloat16 the gradients of the convolutions are right to 5 %, but pitches are too coarse: the gradient of a
step then has nothing to do with the exact one, so it is no way to train this.
"""

import argparse
from collections.abc import Callable

import torch
from nnAudio.features.cqt import CQT1992v2
from torch import Tensor, nn
from torch.nn import functional as F

from benchmarks.harmonic import careful_way
from benchmarks.measure import compare, interleaved
from benchmarks.transport import sort_and_search
from drumblender.controllers import HeardControls, PitchHead
from drumblender.dsp.short_time import named_window
from drumblender.encoders import PitchCNN
from drumblender.features import STFT
from drumblender.losses import SpectralTransportLoss
from drumblender.synths import HarmonicSynth

RATE, NUM_SAMPLES, PARTIALS, N_FFT, HOP = 16000, 4096, 20, 2048, 256
WAYS = {"f0_upsampling": "center", "amp_upsampling": "windows"}
Step = Callable[[Tensor], Tensor]


def network() -> HeardControls:
    """The published network, without dropout, so that two of them can be compared."""
    torch.manual_seed(0)
    controls = HeardControls(PitchCNN(dropout=0.0), PitchHead())
    controls.serve(HarmonicSynth(PARTIALS, RATE, fade=True, **WAYS))
    return controls


def our_step(controls: HeardControls, cached: Tensor | None) -> Step:
    """Loss of a batch, through the parts of the package."""
    synth = HarmonicSynth(PARTIALS, RATE, fade=True, **WAYS)
    loss = SpectralTransportLoss(STFT(N_FFT, HOP, window="flattop", frames="padded"))

    def step(audio: Tensor) -> Tensor:
        frames = controls.encoder.cqt(audio[:, :-1]) if cached is None else cached
        features = controls.encoder.net(frames.flatten(0, 1)).unflatten(0, frames.shape[:2])
        return loss(synth(controls.head(features), NUM_SAMPLES), audio)

    return step


def plain_step(controls: HeardControls) -> Step:
    """The same loss, by plain modules with the same weights."""
    transform = CQT1992v2(
        sr=RATE, hop_length=HOP, fmin=32.7, n_bins=285, bins_per_octave=36, pad_mode="constant", verbose=False
    )
    net, window = controls.encoder.net, named_window("flattop", N_FFT).float()

    def spectrum(audio: Tensor) -> Tensor:
        padded = F.pad(audio, (0, N_FFT - HOP))  # a frame for every hop: those at the end are filled up
        return torch.stft(padded, N_FFT, HOP, window=window, center=False, return_complex=True).abs().mT

    def step(audio: Tensor) -> Tensor:
        frames = transform(audio[:, :-1]).mT
        x = net.layernorm(frames.flatten(0, 1)[:, None])
        x = net.conv1(x)
        for layer in net.prefilt_list:
            x = layer(x) + x
        x = net.conv4(net.conv3(net.conv2(x)))
        made = controls.head(x.flatten(1).unflatten(0, frames.shape[:2]))
        sound = careful_way(
            made["f0_hz"][..., 0], made["amp"], num_samples=NUM_SAMPLES, sample_rate=RATE, **WAYS
        )
        return sort_and_search(spectrum(sound), spectrum(audio))

    return step


def with_gradient(step: Step, controls: nn.Module, audio: Tensor) -> tuple[Tensor, Tensor]:
    """The loss, and the gradient of all weights in one row."""
    controls.zero_grad()
    loss = step(audio)
    loss.backward()
    return loss.detach(), torch.cat([weight.grad.flatten() for weight in controls.parameters()])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--batch", type=int, default=64)
    parser.add_argument("--rounds", type=int, default=3)
    options = parser.parse_args()
    time_s = torch.arange(NUM_SAMPLES) / RATE
    f0_hz = 60 + 600 * torch.rand(options.batch, 1, 1, generator=torch.Generator().manual_seed(0))
    order = torch.arange(1, 9)[:, None]
    audio = (0.1 * torch.sin(2 * torch.pi * f0_hz * order * time_s)).sum(dim=1)
    controls = network()
    with torch.no_grad():
        cached = controls.encoder.cqt(audio[:, :-1])
    steps = {
        "transform made": our_step(controls, None),
        "transform cached": our_step(controls, cached),
        "plain": plain_step(controls),
    }
    found = {name: with_gradient(step, controls, audio) for name, step in steps.items()}
    loss, gradient = found["plain"]
    for name, (value, grad) in found.items():
        off = (grad - gradient).norm() / gradient.norm()
        print(f"{name:18} loss {value:.6f} ({(value / loss - 1).abs():.1e} off), gradient {off:.1e} off")
    calls = {name: lambda step=step: with_gradient(step, controls, audio) for name, step in steps.items()}
    costs = interleaved(calls, options.rounds)
    for name in list(steps)[:-1]:
        compare(f"SOT-2048 step, batch {options.batch}, {name}", costs[name], costs["plain"])


if __name__ == "__main__":
    main()
