"""Each op that has a kernel for CUDA against its plain formula, with gradients, on any device:

    python -m benchmarks.kernels --device cuda [--only biquad] [--batch 64]

At the sizes of the systems that use them, for as many sounds as are asked for; with ``--device cpu``, the
kernels that the CPU has. Convolutions are in full float32, so that errors are those of the op.
"""

import argparse
from collections.abc import Callable
from functools import cache, partial

import torch
from torch import Tensor
from torch.nn import functional as F

from benchmarks.measure import compare, cost, share
from drumblender.dsp.all_pole import Kernel, sparse_all_pole
from drumblender.dsp.decays import _decay_plain, _phase, decay_rate, decaying_sweep
from drumblender.dsp.filters import biquad, biquad_plain, lowpass_coefficients
from drumblender.dsp.harmonics import harmonic_bank, harmonic_bank_plain
from drumblender.dsp.oscillators import modal_bank, modal_bank_plain
from drumblender.dsp.spectral_distance import spectral_sums, spectral_sums_plain
from drumblender.nets.tcn import TCNBlock

Op = Callable[..., Tensor]
Case = tuple[Op, Op, list[Tensor]]
"""Ours, the plain formula, and what both are given."""


def draw(*shape: int, low: float = 0.0, high: float = 1.0, seed: int = 0) -> Tensor:
    return low + (high - low) * torch.rand(shape, generator=torch.Generator().manual_seed(seed))


def modal(batch: int) -> Case:
    inputs = [draw(batch, 64, 376, low=0.01, high=2.5), draw(batch, 64, 376, seed=1)]
    return *(partial(op, num_samples=96_000) for op in (modal_bank, modal_bank_plain)), inputs


def harmonic(batch: int) -> Case:
    inputs = [draw(batch, 400, low=80, high=400), draw(batch, 400, 101, seed=1) / 101]
    settings = {"num_samples": 64_000, "sample_rate": 16_000}
    return *(partial(op, **settings) for op in (harmonic_bank, harmonic_bank_plain)), inputs


def filters(batch: int) -> Case:
    coefficients = lowpass_coefficients(draw(batch, low=200, high=8000), draw(batch, low=0.5, high=5), 48_000)
    return biquad, biquad_plain, [draw(batch, 96_000, low=-1), *coefficients]


def sweep(batch: int) -> Case:
    rows = (50, 400), (0, 2), (20, 200), (50, 500), (0, 1)
    inputs = [draw(batch, low=low, high=high, seed=seed) for seed, (low, high) in enumerate(rows)]
    sizes = {"num_samples": 96_000, "sample_rate": 48_000}

    def plain(freq_hz: Tensor, depth: Tensor, sweep_ms: Tensor, decay_ms: Tensor, amp: Tensor) -> Tensor:
        """Of the rates in the type of the controls, as the op has them."""
        rates = (decay_rate(ms.float(), 48_000).double() for ms in (sweep_ms, decay_ms))
        swept, fade = (_decay_plain(rate, 48, 96_000) for rate in rates)
        step = (2 * torch.pi * freq_hz.float() / 48_000).double()
        return (amp[:, None] * fade * _phase(step, depth.double()[:, None] * swept).sin()).to(amp.dtype)

    return partial(decaying_sweep, **sizes), plain, inputs


def string(batch: int) -> Case:
    lags = torch.linspace(90, 400, batch)[:, None].expand(batch, 164_000).long().contiguous()
    inputs = [draw(batch, 164_000, low=-1), -draw(batch, 164_000, 4, seed=1) / 4.1]

    @cache
    def lag(device: torch.device) -> Tensor:
        return lags.to(device)

    def filter(x: Tensor, taps: Tensor, kernel: Kernel = "auto") -> Tensor:
        return sparse_all_pole(x, lag(x.device), taps, kernel=kernel)

    return filter, partial(filter, kernel="plain"), inputs


def sums(batch: int) -> Case:
    targets = torch.complex(draw(batch, 376, 1025), draw(batch, 376, 1025, seed=1))

    @cache
    def target(device: torch.device, dtype: torch.dtype) -> Tensor:
        return targets.to(device, dtype)

    def distances(op: Op, spectrum: Tensor) -> Tensor:
        spectrum = torch.view_as_complex(spectrum)
        heard = target(spectrum.device, spectrum.dtype)
        return torch.stack(op(spectrum, heard, floor=1e-8, match_gain=True), dim=1)

    ours, plain = (partial(distances, op) for op in (spectral_sums, spectral_sums_plain))
    return ours, plain, [draw(batch, 376, 1025, 2, seed=2)]


def film(batch: int) -> Case:
    torch.manual_seed(0)
    settings = {"causal": True, "norm": None, "activation": "GELU", "tfilm_block_size": None}
    block = TCNBlock(32, 13, 9, film=(64, True), **settings)

    def plain(x: Tensor, embedding: Tensor) -> Tensor:
        _, conv = block.to(x).net
        h = F.conv1d(F.pad(x, (108, 0)), conv.weight, conv.bias, dilation=9)
        skip = F.conv1d(x, block.residual.weight, block.residual.bias)
        return F.gelu(block.film(h, embedding)) + skip

    return (
        lambda x, embedding: block.to(x)(x, embedding),
        plain,
        [
            draw(batch, 32, 96_000, low=-1),
            draw(batch, 64),
        ],
    )


CASES: dict[str, Callable[[int], Case]] = {
    "modal_bank": modal,
    "harmonic_bank": harmonic,
    "biquad": filters,
    "decaying_sweep": sweep,
    "sparse_all_pole": string,
    "spectral_sums": sums,
    "film": film,
}


def forward_backward(op: Op, inputs: list[Tensor]) -> list[Tensor]:
    """The result and the gradients, for a weight of each value that is always the same."""
    leaves = [value.detach().requires_grad_() for value in inputs]
    out = op(*leaves)
    return [out.detach(), *torch.autograd.grad(out, leaves, _weights(out.shape, out.device).to(out))]


@cache
def _weights(shape: torch.Size, device: torch.device) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(3)).to(device)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--device", default="cuda")
    parser.add_argument("--only", nargs="+", choices=CASES, default=list(CASES))
    parser.add_argument("--batch", type=int, default=8)
    given = parser.parse_args()
    torch.backends.cudnn.allow_tf32 = False
    for name in given.only:
        ours, plain, inputs = CASES[name](given.batch)
        inputs = [value.to(given.device) for value in inputs]
        exact = forward_backward(plain, [value.double() for value in inputs])
        for label, op in (("ours", ours), ("plain", plain)):
            found = forward_backward(op, inputs)
            shares = (share(*pair) for pair in zip(found, exact, strict=True))
            print(f"{name}, {label:5}: error against float64" + "".join(f"{share:10.1e}" for share in shares))
        costs = [cost(lambda op=op, given=inputs: forward_backward(op, given), 9) for op in (ours, plain)]
        compare(f"{name} on {given.device}, batch {given.batch}, with gradients", *costs)


if __name__ == "__main__":
    main()
