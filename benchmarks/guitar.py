"""A training step of timbre transfer, 16 x 1 s, against the plain modules: ``python -m benchmarks.guitar``.

Plain is Neural Guitar as published: ``nn.GRU``, a phase for every harmonic, summed in float32, ``torch.stft``
for the noise and in the loss. ``tiny``: 512 units, three resolutions; ``deep``: three layers of 1024, four.
Of some rounds in turn the best counts, as load on the machine comes and goes.

What no implementation can do without: the GRU's products of matrices, 7.6 GFLOP for ``tiny`` and 151 for
``deep``, there and back. At the 75 to 85 GFLOP/s that a core with 256-bit vectors reaches in large products
that is 0.1 and 1.9 CPU seconds. Of ``deep``, 12 MB of weights pass through the cache for every frame.
"""

import argparse
from collections.abc import Callable
from unittest.mock import patch

import torch
from torch import Tensor, nn

from benchmarks.measure import compare, interleaved
from drumblender.controllers import HarmonicControls
from drumblender.dsp.envelopes import upsample_frames
from drumblender.dsp.spectra import stft_plain
from drumblender.dsp.stft_noise import stft_filter_plain
from drumblender.encoders import ControlGRU
from drumblender.losses import MultiResolutionSTFTLoss
from drumblender.process import settle
from drumblender.synths import FilteredNoiseSynth, HarmonicSynth, MixSynth
from drumblender.types import Audio

RATE, BATCH, FRAMES = 16000, 16, 100
MODELS = {"tiny": (512, 1, 65, 3), "deep": (1024, 3, 129, 4)}
FFT, HOPS, WINDOWS = (512, 1024, 2048, 4096), (120, 240, 480, 960), (240, 600, 1200, 2400)


class PlainLoss(nn.Module):
    """Spectral convergence and log magnitude at several resolutions, by ``torch.stft``."""

    def __init__(self, count: int) -> None:
        super().__init__()
        self.sizes = list(zip(FFT, HOPS, WINDOWS, strict=True))[:count]

    def forward(self, prediction: Audio, target: Audio) -> Tensor:
        parts = []
        for n_fft, hop, size in self.sizes:
            window = torch.hann_window(size)
            x, y = (stft_plain(audio, n_fft, hop, window).abs() for audio in (prediction, target))
            far = (y - x).norm() / (y.norm() + 1e-7)
            parts.append(far + ((y + 1e-7).log() - (x + 1e-7).log()).abs().mean())
        return torch.stack(parts).mean()


def steps(model: str) -> dict[str, Callable[[], None]]:
    """A step of ours and of the plain modules, each with weights of its own, alike at the start."""
    hidden, layers, bands, resolutions = MODELS[model]
    sizes = list(FFT[:resolutions]), list(HOPS[:resolutions]), list(WINDOWS[:resolutions])
    generator = torch.Generator().manual_seed(0)
    batch = {
        "f0_hz": 82 * 8 ** torch.rand(BATCH, FRAMES, generator=generator),
        "loudness_db": -50 + 30 * torch.rand(BATCH, FRAMES, generator=generator),
    }
    target = 0.1 * torch.randn(BATCH, RATE, generator=generator)
    ours = MultiResolutionSTFTLoss(*sizes, eps=1e-7, floor="magnitude")
    return {
        "ours": _step(_player(hidden, layers, bands), _render, ours, batch, target),
        "plain": _by_torch(
            _step(_player(hidden, layers, bands), _render_plainly, PlainLoss(resolutions), batch, target)
        ),
    }


def _player(hidden: int, layers: int, bands: int) -> tuple[HarmonicControls, MixSynth]:
    torch.manual_seed(0)
    synth = MixSynth({"harmonic": HarmonicSynth(101), "noise": FilteredNoiseSynth(bands)})
    controls = HarmonicControls(ControlGRU(hidden, layers), amplitude="sum", nyquist="mask")
    controls.serve(synth)
    return controls, synth


def _render(controls: dict[str, Tensor], synth: MixSynth) -> Audio:
    return synth(controls, RATE)


def _render_plainly(controls: dict[str, Tensor], synth: MixSynth) -> Audio:
    f0_hz, amp = controls["harmonic_f0_hz"][..., 0], controls["harmonic_amp"]
    order = torch.arange(1, amp.shape[-1] + 1.0)[:, None]
    freq_hz = order * upsample_frames(f0_hz, RATE, "ends")[:, None]
    level = upsample_frames(amp.mT, RATE, "ends") * (freq_hz < RATE / 2)
    tone = (level * torch.sin((2 * torch.pi * freq_hz / RATE).cumsum(dim=-1))).sum(dim=1)
    magnitude = controls["noise_magnitude"]
    magnitude = torch.cat([magnitude, magnitude[:, -1:]], dim=1)
    noise = torch.randn(len(magnitude), RATE + 1024)
    return tone + stft_filter_plain(noise, magnitude, 1024, RATE // FRAMES)


def _by_torch(step: Callable[[], None]) -> Callable[[], None]:
    def plain() -> None:
        with patch("drumblender.nets.gru._compiles", lambda *given: False):
            step()

    return plain


def _step(
    parts: tuple[HarmonicControls, MixSynth],
    render: Callable[..., Audio],
    loss: nn.Module,
    batch: dict[str, Tensor],
    target: Audio,
) -> Callable[[], None]:
    controls, synth = parts
    optimizer = torch.optim.Adam(controls.parameters(), lr=1e-4)

    def step() -> None:
        optimizer.zero_grad()
        loss(render(controls(batch), synth), target).backward()
        nn.utils.clip_grad_norm_(controls.parameters(), 1.0)
        optimizer.step()

    return step


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=3)
    given = parser.parse_args()
    settle()
    torch.set_num_threads(1)
    for model in MODELS:
        found = interleaved(steps(model), given.rounds)
        compare(f"training step, {model}, {BATCH} x 1 s", found["ours"], found["plain"])


if __name__ == "__main__":
    main()
