"""Resampling against one product of matrices, torchaudio and soxr: ``python -m benchmarks.resample``.

The floor are the products that count: two zero crossings' width of them for each output.
"""

from collections.abc import Callable

import soxr
import torch
import torchaudio
from torch import Tensor

from benchmarks.measure import Floor, compare, interleaved, share
from drumblender.dsp.resample import KAISER, kaiser_resample, resample_plain, windowed_sinc

PAIRS = (44100, 48000), (48000, 44100), (16000, 41000), (41000, 16000), (44100, 16000)
ITEMS, SECONDS = 4, 2


def forward_backward(resample: Callable[[Tensor], Tensor], x: Tensor) -> tuple[Tensor, Tensor]:
    x = x.detach().requires_grad_()
    y = resample(x)
    y.square().sum().backward()
    return y.detach(), x.grad


def main() -> None:
    torch.set_num_threads(1)
    for pair in PAIRS:
        x = torch.randn(ITEMS, SECONDS * pair[0], generator=torch.Generator().manual_seed(0))
        sinc = windowed_sinc(*pair, **KAISER)
        count = SECONDS * pair[1]
        peer = torchaudio.transforms.Resample(
            *pair,
            resampling_method="sinc_interp_kaiser",
            lowpass_filter_width=KAISER["width"],
            rolloff=KAISER["rolloff"],
            beta=KAISER["beta"],
        )
        columns = x.numpy().T.copy()  # as soxr wants them
        ways = {
            "ours": lambda x, pair=pair: kaiser_resample(x, *pair),
            "plain": lambda x, sinc=sinc, count=count: resample_plain(x, sinc)[:, :count],
            "torchaudio": peer,
        }
        taps = 2 * KAISER["width"] * max(1, pair[0] / pair[1])
        floor = Floor(2 * ITEMS * count * taps, 4 * ITEMS * (x.shape[1] + count))
        twice = Floor(*(2 * part for part in floor))  # the gradient takes as much
        exact = forward_backward(ways["plain"], x.double())
        calls = {"soxr": lambda columns=columns, pair=pair: soxr.resample(columns, *pair)}
        for name, way in ways.items():
            found = forward_backward(way, x)
            errors = [share(*pair) for pair in zip(found, exact, strict=True)]
            if name == "ours":
                our_errors = errors
            print(f"{name}: error against float64 {errors[0]:.1e}, of the gradient {errors[1]:.1e}")
            calls[name] = lambda way=way, x=x: way(x)
            calls[f"{name} with gradients"] = lambda way=way, x=x: forward_backward(way, x)
        costs = interleaved(calls, rounds=5)
        title = f"{pair[0]} to {pair[1]} Hz, {ITEMS} x {SECONDS} s"
        for peer_name in ("plain", "torchaudio", "soxr"):
            compare(f"{title}, against {peer_name}", costs["ours"], costs[peer_name], floor, our_errors[:1])
        for peer_name in ("plain", "torchaudio"):
            named = (costs[f"{name} with gradients"] for name in ("ours", peer_name))
            compare(f"{title}, with gradients, against {peer_name}", *named, twice, our_errors)


if __name__ == "__main__":
    main()
