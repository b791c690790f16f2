"""Transport of spectra against sort and search and the authors' package: ``python -m benchmarks.transport``.

64 sounds of 17 frames and 1025 bins, forward and backward, power spectra, the prediction's level counts and
mass beyond the target's does not (the paper's loss). ``sort`` is the published formula: both distributions
sorted, their levels too, and two searches; ``sot-loss`` is the transport of version 0.1.5 without its first
sort, its fastest way.
"""

import sys
from collections.abc import Callable

import sot.losses
import torch

from benchmarks.measure import Floor, compare, interleaved
from drumblender.dsp.spectral_transport import spectral_transport
from drumblender.dsp.transport import quantile_function

BINS = 1025
POSITIONS = torch.linspace(0, 1, BINS)


def tones(batch: int, frames: int, seed: int) -> torch.Tensor:
    """Magnitudes of eight partials, a main lobe each, over a faint floor."""
    generator = torch.Generator().manual_seed(seed)
    f0 = 5 + 60 * torch.rand(batch, frames, 1, 1, generator=generator)
    amp = torch.rand(batch, frames, 8, 1, generator=generator)
    offset = torch.arange(BINS) - torch.arange(1, 9)[:, None] * f0
    floor = 1e-5 * torch.rand(batch, frames, BINS, generator=generator)
    return (amp * torch.exp(-((offset / 2) ** 2))).sum(dim=2) + floor


def noise(batch: int, frames: int, seed: int) -> torch.Tensor:
    return torch.rand(batch, frames, BINS, generator=torch.Generator().manual_seed(seed))


def one_pass(prediction: torch.Tensor, target: torch.Tensor) -> torch.Tensor:
    prediction, target = prediction.flatten(0, 1), target.flatten(0, 1)
    return spectral_transport(
        prediction, target, POSITIONS, squared=True, balanced=False, cutoff="clip"
    ).mean()


def sort_and_search(prediction: torch.Tensor, target: torch.Tensor) -> torch.Tensor:
    x, y = target.flatten(0, 1).square(), prediction.flatten(0, 1).square()
    whole = x.sum(dim=1, keepdim=True)
    positions = POSITIONS.to(x).expand_as(x)
    (u, order_x), (v, order_y) = positions.sort(dim=1), positions.sort(dim=1)
    a, b = (x / whole).gather(1, order_x).cumsum(dim=1), (y / whole).gather(1, order_y).cumsum(dim=1)
    levels = torch.cat([a, b], dim=1).sort(dim=1).values
    cost = (quantile_function(levels, a, u) - quantile_function(levels, b, v)).abs().square()
    widths = levels.diff(dim=1, prepend=torch.zeros_like(levels[:, :1]))
    return (widths * cost).where(levels <= 1, 0.0).sum(dim=1).mean()


def authors(prediction: torch.Tensor, target: torch.Tensor) -> torch.Tensor:
    x, y = target.flatten(0, 1).square(), prediction.flatten(0, 1).square()
    whole = x.sum(dim=1, keepdim=True)
    positions = POSITIONS.to(x).expand_as(x)
    settings = {"p": 2, "require_sort": False, "limit_quantile_range": True}
    return sot.losses.wasserstein_1d(positions, positions, x / whole, y / whole, **settings).mean()


def with_gradient(
    loss: Callable[..., torch.Tensor], prediction: torch.Tensor, target: torch.Tensor
) -> tuple[torch.Tensor, torch.Tensor]:
    prediction = prediction.detach().requires_grad_()
    value = loss(prediction, target)
    (grad,) = torch.autograd.grad(value, prediction)
    return value.detach(), grad


def main(batch: int = 64, frames: int = 17) -> None:
    print(f"{batch} x {frames} x {BINS}, float32, forward and backward, {torch.get_num_threads()} threads")
    losses = {"ours": one_pass, "sort": sort_and_search, "sot-loss": authors}
    for name, spectra in (("tones", tones), ("noise", noise)):
        pair = spectra(batch, frames, 0), spectra(batch, frames, 1)
        exact, exact_grad = with_gradient(one_pass, *(x.double() for x in pair))
        calls = {key: lambda loss=loss, pair=pair: with_gradient(loss, *pair) for key, loss in losses.items()}
        costs = interleaved(calls)
        print(f"\n{name:10}{'CPU s':>9}{'wall s':>9}{'MiB':>8}{'of ours':>12}{'value':>10}{'gradient':>10}")
        for key, spent in costs.items():
            value, grad = calls[key]()
            errors = abs(value.item() / exact.item() - 1), (grad - exact_grad).norm() / exact_grad.norm()
            if key == "ours":
                ours_errors = [error.item() if isinstance(error, torch.Tensor) else error for error in errors]
            print(
                f"{key:10}{spent.cpu_s:9.4f}{spent.wall_s:9.4f}{spent.extra_mib:8.1f}"
                f"{spent.cpu_s / costs['ours'].cpu_s:11.1f}x{errors[0]:10.1e}{errors[1]:10.1e}"
            )
        print()
        floor = Floor(0, 3 * pair[0].nbytes)  # both spectra are read, a gradient is written
        for key, peer in (("sort", "sorting and searching"), ("sot-loss", "sot-loss")):
            compare(f"transport, {name}, against {peer}", costs["ours"], costs[key], floor, ours_errors)
    print("value, gradient: relative error against float64")


if __name__ == "__main__":
    main(*(int(argument) for argument in sys.argv[1:]))
