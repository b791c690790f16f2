"""The harmonic bank at the sizes of both systems that use it: ``python -m benchmarks.harmonic``."""

from functools import cache

import torch
from torch import Tensor

from benchmarks.measure import Floor, compare, cost, share
from drumblender.dsp.envelopes import upsample_frames
from drumblender.dsp.harmonics import harmonic_bank, harmonic_bank_plain

RATE = 16_000


def voice(batch: int, frames: int, harmonics: int) -> list[Tensor]:
    """A fundamental of 80 to 400 Hz that wavers, and falling amplitudes that move."""
    generator = torch.Generator().manual_seed(0)
    base = 80 * 5 ** torch.rand(batch, 1, generator=generator)
    f0_hz = base * (1 + 0.01 * torch.randn(batch, frames, generator=generator))
    amp = torch.rand(batch, frames, harmonics, generator=generator) / torch.arange(1, harmonics + 1)
    return [f0_hz, amp]


@cache
def gradient(shape: torch.Size) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(1))


def forward_backward(render, inputs: list[Tensor], **settings) -> list[Tensor]:
    inputs = [value.detach().requires_grad_() for value in inputs]
    audio = render(*inputs, sample_rate=RATE, **settings)
    audio.backward(gradient(audio.shape).to(audio.dtype))
    return [audio.detach(), *(value.grad for value in inputs)]


def careful_way(f0_hz: Tensor, amp: Tensor, *, num_samples: int, sample_rate: int, **settings: str) -> Tensor:
    """The formula in float32 as a careful engineer writes it: one phase, which all harmonics share."""
    order = torch.arange(1, amp.shape[-1] + 1.0)[:, None]
    f0_hz = upsample_frames(f0_hz, num_samples, settings["f0_upsampling"])[:, None]
    level = upsample_frames(amp.mT, num_samples, settings["amp_upsampling"])
    level = level * (order * f0_hz < sample_rate / 2)
    return (level * torch.sin(order * (2 * torch.pi * f0_hz / sample_rate).cumsum(dim=-1))).sum(dim=1)


def measure(title: str, inputs: list[Tensor], **settings) -> None:
    exact = forward_backward(harmonic_bank_plain, [value.double() for value in inputs], **settings)
    print(f"{title}, {torch.get_num_threads()} threads")
    print("error against float64:     audio     f0_hz       amp")
    errors = []
    for name, render in (("ours", harmonic_bank), ("plain, float32", careful_way)):
        found = forward_backward(render, inputs, **settings)
        shares = [share(*pair) for pair in zip(found, exact, strict=True)]
        errors.append(shares)
        print(f"{name:22}" + "".join(f"{share:10.1e}" for share in shares))
    costs = [
        cost(lambda render=render: forward_backward(render, inputs, **settings), 3)
        for render in (harmonic_bank, careful_way)
    ]
    f0_hz, amp = inputs
    samples = len(f0_hz) * settings["num_samples"]
    # A sine by recurrence, its level, and both gradients: two operations each, forward and once more back.
    floor = Floor(10 * samples * amp.shape[-1], 4 * 2 * samples)
    compare(f"{title}, {torch.get_num_threads()} threads, with gradients", *costs, floor, errors[0])


def main() -> None:
    for threads in (2, 1):
        torch.set_num_threads(threads)
        guitar = voice(batch=4, frames=400, harmonics=101)
        lines = {"f0_upsampling": "ends", "amp_upsampling": "ends"}
        measure("guitar: 4 x 4 s, 101 harmonics", guitar, num_samples=64_000, **lines)
        pitch = voice(batch=16, frames=16, harmonics=20)
        windows = {"f0_upsampling": "center", "amp_upsampling": "windows"}
        measure("pitch: 16 x 4096 samples, 20 harmonics", pitch, num_samples=4096, **windows)


if __name__ == "__main__":
    main()
