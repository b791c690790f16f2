"""Spectral losses and metrics against auraloss and torch.stft: ``python -m benchmarks.losses [batch]``."""

import sys

import torch
from auraloss.freq import MultiResolutionSTFTLoss as AuralossMRSTFT

from benchmarks.measure import Floor, compare, cost, fft_flop
from drumblender.dsp.spectra import hann_window, power, stft_plain
from drumblender.losses import MultiResolutionSTFTLoss
from drumblender.metrics import LogSpectralDistance

NUM_SAMPLES = 96000  # 2 s at 48 kHz


def drums(batch: int, seed: int) -> torch.Tensor:
    generator = torch.Generator().manual_seed(seed)
    noise = torch.randn(batch, NUM_SAMPLES, generator=generator)
    return 0.5 * noise * torch.exp(-torch.arange(NUM_SAMPLES) / 9600)


def train(loss: torch.nn.Module, prediction: torch.Tensor, target: torch.Tensor) -> None:
    loss(prediction.requires_grad_(), target).backward()
    prediction.grad = None


def plain_log_spectral_distance(prediction: torch.Tensor, target: torch.Tensor) -> torch.Tensor:
    logs = [
        torch.log(power(stft_plain(audio, 8092, 64, hann_window(8092))) + 1e-8)
        for audio in (prediction, target)
    ]
    return (logs[0] - logs[1]).square().mean(dim=-1).sqrt().mean(dim=-1)


def main(batch: int = 8) -> None:
    prediction, target = drums(batch, 0), drums(batch, 1)
    print(f"{torch.get_num_threads()} threads, batch {batch}, {NUM_SAMPLES} samples\n")
    ours, theirs = MultiResolutionSTFTLoss(), AuralossMRSTFT()
    exact = ours(prediction.double(), target.double()).item()
    for name, value in (
        ("ours", ours(prediction, target)),
        ("auraloss", theirs(prediction[:, None], target[:, None])),
    ):
        print(f"error of {name:9} against float64: {abs(value.item() / exact - 1):.1e}")
    compare(
        "\nMulti-resolution STFT loss, forward and backward (plain: auraloss 0.4)",
        cost(lambda: train(ours, prediction, target)),
        cost(lambda: train(theirs, prediction.detach()[:, None], target[:, None])),
        Floor(
            sum(3 * batch * (1 + NUM_SAMPLES // hop) * fft_flop(n) for n, hop, _ in ours.resolutions),
            3 * prediction.nbytes,
        ),
        [abs(ours(prediction, target).item() / exact - 1)],
    )
    with torch.no_grad():
        pair = prediction[:1], target[:1]
        metric = LogSpectralDistance()
        compare(
            "Log spectral distance, 8092 points, hop 64, one item (plain: torch.stft)",
            cost(lambda: metric.per_item(*pair)),
            cost(lambda: plain_log_spectral_distance(*pair)),
            Floor(2 * (1 + NUM_SAMPLES // 64) * fft_flop(8092), 2 * pair[0].nbytes),
        )


if __name__ == "__main__":
    main(*(int(argument) for argument in sys.argv[1:]))
