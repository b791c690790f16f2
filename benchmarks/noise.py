"""Filtered noise against its formulas, with gradients: ``python -m benchmarks.noise``."""

from collections.abc import Callable
from functools import partial

import torch
from torch import Tensor

from benchmarks.measure import Floor, compare, fft_flop, interleaved, share
from drumblender.dsp.band_filter import filter_bands, filter_bands_plain
from drumblender.dsp.bands import bin_blends
from drumblender.dsp.filtered_noise import filtered_noise, filtered_noise_plain
from drumblender.dsp.noise import white_noise

RATE = 48_000
BANDS = {"low_hz": 40.0, "high_hz": 23_000.0}


def forward_backward(
    render: Callable[[Tensor], Tensor], levels: Tensor, weight: Tensor
) -> tuple[Tensor, Tensor]:
    levels = levels.detach().requires_grad_()
    audio = render(levels)
    audio.backward(weight)
    return audio.detach(), levels.grad


def measure(
    title: str, ours: Callable, plain: Callable, noise: Tensor, levels: Tensor, transforms: float
) -> None:
    """Errors against the formula in float64, then costs."""
    weight = torch.randn(ours(noise, levels).shape, generator=torch.Generator().manual_seed(1))
    exact = forward_backward(partial(plain, noise.double()), levels.double(), weight.double())
    found = forward_backward(partial(ours, noise), levels, weight)
    errors = [share(*pair) for pair in zip(found, exact, strict=True)]
    print(f"{title}: error against float64 {errors[0]:.1e}, of the gradient {errors[1]:.1e}")
    calls = {
        name: lambda op=op: forward_backward(partial(op, noise), levels, weight)
        for name, op in (("ours", ours), ("plain", plain))
    }
    costs = interleaved(calls, 7)
    floor = Floor(transforms, 2 * (noise.nbytes + levels.nbytes))
    compare(f"{title}, with gradients", costs["ours"], costs["plain"], floor, errors)


def main() -> None:
    torch.set_num_threads(1)
    generator = torch.Generator().manual_seed(0)
    magnitude = torch.randn(4, 750, 128, generator=generator)
    frames = white_noise((4, 750, 256), generator=generator)
    for filter in ("published", "linear"):
        measure(
            f"{filter} filter, 4 x 2 s, 128 bands",
            lambda noise, levels, filter=filter: filtered_noise(levels, noise, filter),
            lambda noise, levels, filter=filter: filtered_noise_plain(levels, noise, filter),
            frames,
            magnitude,
            3 * 4 * 750 * fft_flop(512 if filter == "published" else 768),  # noise, sound and gradient
        )
    blends = bin_blends(1024, RATE, 64, *BANDS.values())
    measure(
        "short-time spectra, 4 x 2 s, 64 bands",
        lambda noise, levels: filter_bands(
            noise, levels, n_fft=1024, hop_length=256, sample_rate=RATE, **BANDS
        ),
        lambda noise, levels: filter_bands_plain(noise, levels, blends, 1024, 256),
        torch.randn(4, 96_000, generator=generator),
        20 * torch.randn(4, 376, 64, generator=generator),
        3 * 4 * 376 * fft_flop(1024),
    )


if __name__ == "__main__":
    main()
