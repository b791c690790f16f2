"""Modal bank and filtered noise at the published sizes: ``python -m benchmarks.modal``."""

from functools import cache

import torch
from torch import Tensor

from benchmarks.measure import Floor, compare, cost, share
from drumblender.dsp.filtered_noise import filtered_noise
from drumblender.dsp.noise import white_noise
from drumblender.dsp.oscillators import damped_sines, modal_bank, modal_bank_plain

MODES, FRAMES, SAMPLES, RATE = 64, 376, 96_000, 48_000


def tracks(batch: int, active: float = 1.0) -> list[Tensor]:
    """Frequencies, amplitudes and phases of modes; each sounds for a share ``active`` of the frames."""
    generator = torch.Generator().manual_seed(0)
    base = 0.01 + 2.5 * torch.rand(batch, MODES, 1, generator=generator)
    freq = base * (1 + 0.02 * torch.randn(batch, MODES, FRAMES, generator=generator))
    amp = torch.rand(batch, MODES, FRAMES, generator=generator)
    last = 2 * active * FRAMES * torch.rand(batch, MODES, 1, generator=generator)
    amp = torch.where(torch.arange(FRAMES) < (last if active < 1 else FRAMES), amp, 0.0)
    return [freq, amp, torch.randn(batch, MODES, FRAMES, generator=generator)]


def fused(freq: Tensor, amp: Tensor, phase: Tensor) -> Tensor:
    return modal_bank(freq, amp, phase, num_samples=SAMPLES)


def plain(freq: Tensor, amp: Tensor, phase: Tensor) -> Tensor:
    return modal_bank_plain(freq, amp, phase[..., 0], num_samples=SAMPLES)


@cache
def gradient(shape: torch.Size) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(1))


def forward_backward(render, inputs: list[Tensor]) -> list[Tensor]:
    inputs = [value.detach().requires_grad_() for value in inputs]
    audio = render(*inputs)
    audio.backward(gradient(audio.shape).to(audio.dtype))
    return [audio.detach(), *(value.grad for value in inputs)]


def modal(batch: int, errors: list[float], active: float = 1.0) -> None:
    inputs = tracks(batch, active)
    costs = [cost(lambda render=render: forward_backward(render, inputs), 3) for render in (fused, plain)]
    share = "" if active == 1 else f", modes sounding {active:.0%} of the time"
    compare(
        f"modal bank, batch {batch}, {torch.get_num_threads()} threads, with gradients{share}",
        *costs,
        _floor(batch),
        errors,
    )


def _floor(batch: int) -> Floor:
    """A sine by recurrence, its amplitude, three gradients: two operations each."""
    return Floor(10 * batch * MODES * SAMPLES, 4 * 2 * batch * SAMPLES)


def errors() -> list[float]:
    """Largest error of each of our results against float64, as a share of its largest value."""
    inputs = tracks(batch=1)
    exact = forward_backward(plain, [value.double() for value in inputs])
    print("error against float64:     audio      freq       amp     phase")
    for name, render in (("ours", fused), ("plain", plain)):
        results = forward_backward(render, inputs)
        shares = [share(*pair) for pair in zip(results, exact, strict=True)]
        if name == "ours":
            ours = shares
        print(f"{name:22}" + "".join(f"{error:10.1e}" for error in shares))
    print()
    return ours


def plain_damped_sines(freq_hz: Tensor, t60_s: Tensor, amp: Tensor) -> Tensor:
    time_s = torch.arange(SAMPLES, dtype=torch.float64) / RATE
    turns = freq_hz[..., None] * time_s
    fade = 1000 ** (-time_s.float() / t60_s[..., None])
    return (amp[..., None] * fade * torch.sin(2 * torch.pi * (turns - turns.round()).float())).sum(dim=1)


def damped(batch: int) -> None:
    generator = torch.Generator().manual_seed(0)
    freq, t60, amp = torch.rand(3, batch, MODES, generator=generator)
    inputs = [40 + 12000 * freq, 0.1 + t60, amp]

    def ours(*controls: Tensor) -> Tensor:
        return damped_sines(*controls, num_samples=SAMPLES, sample_rate=RATE)

    costs = [
        cost(lambda render=render: forward_backward(render, inputs), 3)
        for render in (ours, plain_damped_sines)
    ]
    compare(
        f"damped sines, batch {batch}, {torch.get_num_threads()} threads, with gradients",
        *costs,
        _floor(batch),
    )


def noise(batch: int) -> None:
    magnitude = torch.rand(batch, 750, 128)
    drawn = white_noise((batch, 750, 256))
    spent = cost(lambda: forward_backward(lambda bands: filtered_noise(bands, drawn), [magnitude]), 3)
    print(
        f"filtered noise, batch {batch}, with gradients: {spent.cpu_s:.4f} CPU s, {spent.extra_mib:.1f} MiB"
    )


def main() -> None:
    found = errors()
    for threads in (2, 1):
        torch.set_num_threads(threads)
        modal(4, found)
        modal(4, found, active=0.2)
    torch.set_num_threads(2)
    modal(12, found)
    damped(batch=4)
    noise(batch=4)


if __name__ == "__main__":
    main()
