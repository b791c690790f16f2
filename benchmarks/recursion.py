"""The time-varying all-pole filter against torchlpc: ``python -m benchmarks.recursion``.

Of order 20 and 4, in float32, where torchlpc adds up in float32 and ours in float64.
"""

from collections.abc import Callable
from functools import partial

import torch
from torch import Tensor
from torchlpc import sample_wise_lpc

from benchmarks.measure import Floor, compare, interleaved, share
from drumblender.dsp.all_pole import all_pole

BATCH, NUM_SAMPLES = 8, 16_000


def by_torchlpc(signal: Tensor, coefficients: Tensor) -> Tensor:
    return sample_wise_lpc(signal, coefficients, signal.new_zeros(len(signal), coefficients.shape[2]))


def forward_backward(filter: Callable[[Tensor, Tensor], Tensor], *inputs: Tensor) -> list[Tensor]:
    """The sound, and the gradients of signal and coefficients."""
    leaves = [value.detach().requires_grad_() for value in inputs]
    sound = filter(*leaves)
    sound.square().sum().backward()
    return [sound.detach(), *(leaf.grad for leaf in leaves)]


def measure(order: int) -> None:
    """Errors against float64, then costs."""
    generator = torch.Generator().manual_seed(0)
    signal = torch.randn(BATCH, NUM_SAMPLES, generator=generator)
    rows = torch.rand(BATCH, NUM_SAMPLES, order, generator=generator) / (2 * order)
    exact = forward_backward(by_torchlpc, signal.double(), rows.double())
    filters = {"ours": all_pole, "torchlpc": by_torchlpc}
    for name, filter in filters.items():
        found = forward_backward(filter, signal, rows)
        shares = [share(*pair) for pair in zip(found, exact, strict=True)]
        if name == "ours":
            errors = shares
        print(f"{name:9}: error against float64" + "".join(f"{share:10.1e}" for share in shares))
    products, title = BATCH * NUM_SAMPLES * order, f"all-pole filter of order {order}"
    with torch.no_grad():
        found = interleaved({name: partial(filter, signal, rows) for name, filter in filters.items()}, 15)
    compare(f"{title}, against torchlpc", *found.values(), Floor(2 * products, 4 * products), errors[:1])
    found = interleaved(
        {name: partial(forward_backward, filter, signal, rows) for name, filter in filters.items()}, 15
    )
    floor = Floor(6 * products, 12 * products)  # coefficients are read twice, their gradient is written
    compare(f"{title}, with gradients, against torchlpc", *found.values(), floor, errors)


def main() -> None:
    torch.set_num_threads(1)
    for order in (20, 4):
        measure(order)


if __name__ == "__main__":
    main()
