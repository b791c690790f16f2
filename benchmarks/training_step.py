"""One training step of drums configuration 05 (two encoders, TCN, modes, noise, MR-STFT, Adam), batch 4, 2 s.

What the networks have to do, forward and backward, for 4 x 96 000 samples: the TCN 88 GFLOP forward
(8 layers of 32 x 32 x 14 products a sample), each encoder 61 GFLOP, three times that with both gradients:
630 GFLOP. A core with 512-bit vectors at 3.5 GHz reaches about 110 GFLOP/s in float32 and 220 in bfloat16,
so the floor is 5.7 CPU seconds, or 2.9. Memory: a layer reads and writes 49 MB a tensor (25 MB in an
encoder); kept for the way back are two a layer: 0.8 GB for the TCN and 0.6 GB for each encoder in float32.

Ours against the same modules with plain ``nn.Conv1d``, ``nn.BatchNorm1d`` and activations, in turn::

    python -m benchmarks.training_step [--model quickstart] [--threads 2] [--rounds 3]

Memory is kept as the command line keeps it (``drumblender.process.settle``): glibc would hand tensors of 32
MB and more back to the system and take them again page by page, a quarter of our time in the TCN.
"""

import argparse
import copy
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import NamedTuple
from unittest.mock import patch

import torch
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from benchmarks.measure import Floor, compare, interleaved
from drumblender.controllers import HeardControls, SplitHead
from drumblender.encoders import Encoder, SoundStreamAttentionEncoder, SoundStreamEncoder
from drumblender.losses import MultiResolutionSTFTLoss
from drumblender.process import settle
from drumblender.synths import ModalSynth, NoiseSynth, TransientTCN
from drumblender.tasks.drums import DrumTask
from drumblender.tasks.voices import Voice

MODE_FRAMES = 376
DTYPES = {"float32": torch.float32, "bfloat16": torch.bfloat16}


class Sizes(NamedTuple):
    """What sets one model apart from another."""

    num_modes: int
    tcn: dict[str, int]
    hidden_channels: int  # of the encoders
    strides: tuple[int, ...]
    embedding_size: int
    num_bands: int
    batch: int
    num_samples: int


MODELS = {
    "published": Sizes(64, {"dilation_blocks": 8}, 16, (2, 2, 4, 8), 128, 128, 4, 96000),
    "quickstart": Sizes(
        24, {"hidden_channels": 8, "num_layers": 5, "kernel_size": 7}, 4, (4, 4, 8), 32, 64, 8, 16000
    ),
}


def task_of(sizes: Sizes) -> DrumTask:
    """Configuration 05."""
    torch.manual_seed(0)
    size, hidden, strides = sizes.embedding_size, sizes.hidden_channels, sizes.strides

    def heard(encoder: Encoder) -> HeardControls:
        return HeardControls(encoder, SplitHead())

    tcn = TransientTCN(**sizes.tcn, film_conditioning=True, film_embedding_size=size)
    transient = Voice(tcn, heard(SoundStreamAttentionEncoder(hidden, size, strides=strides)))
    synth = NoiseSynth(num_bands=sizes.num_bands, win_length=256)
    noise = Voice(synth, heard(SoundStreamEncoder(hidden, sizes.num_bands, strides=strides)))
    voices = {"modal": Voice(ModalSynth(num_modes=sizes.num_modes)), "transient": transient, "noise": noise}
    return DrumTask(voices, MultiResolutionSTFTLoss(), sample_rate=48000)


def made_up_batch(batch: int, samples: int, modes: int) -> dict[str, torch.Tensor]:
    shape = (batch, MODE_FRAMES, modes)
    return {
        "audio": torch.randn(batch, samples) * torch.linspace(0, -8, samples).exp(),
        "freq_rad": torch.rand(shape) * 0.5,
        "amp": torch.rand(shape) * torch.linspace(0, -8, MODE_FRAMES).exp()[:, None] / modes,
        "phase_rad": torch.zeros(shape),
    }


def step_of(task: DrumTask, batch: dict[str, torch.Tensor], dtype: torch.dtype) -> Callable[[], None]:
    """One training step, as Lightning takes it in ``32-true`` or ``bf16-mixed``."""
    optimizer = torch.optim.Adam(task.parameters(), lr=1e-4)

    def step() -> None:
        optimizer.zero_grad()
        with torch.autocast("cpu", dtype=torch.bfloat16, enabled=dtype == torch.bfloat16):
            loss = task.loss(task(batch), batch["audio"])
        loss.backward()
        optimizer.step()

    return step


def encoder_of(task: DrumTask, batch: dict[str, torch.Tensor], dtype: torch.dtype) -> Callable[[], None]:
    """One encoder alone, forward and backward."""
    return there_and_back(task.voices["noise"].controls.encoder, dtype, batch["audio"])


def tcn_of(task: DrumTask, batch: dict[str, torch.Tensor], dtype: torch.dtype) -> Callable[[], None]:
    """The TCN alone, forward and backward."""
    audio, synth = batch["audio"], task.voices["transient"].synth
    generator = torch.Generator().manual_seed(0)
    embedding = torch.randn(len(audio), 1, synth.control_sizes["embedding"], generator=generator).to(audio)
    return there_and_back(synth, dtype, {"embedding": embedding}, audio.shape[-1], audio)


def there_and_back(module: nn.Module, dtype: torch.dtype, *args: object) -> Callable[[], None]:
    def step() -> None:
        with torch.autocast("cpu", dtype=torch.bfloat16, enabled=dtype == torch.bfloat16):
            y = module(*args)
        y.float().square().mean().backward()

    return step


@contextmanager
def plain_convolutions() -> Iterator[None]:
    """The networks as torch has them: ``nn.Conv1d`` with padded copies, batch norm, activations."""
    homes = ("conv", "tcn", "soundstream")
    patches = [patch(f"drumblender.nets.{home}.tiled", lambda x: False) for home in homes]
    for each in patches:
        each.start()
    try:
        yield
    finally:
        for each in patches:
            each.stop()


def plainly(call: Callable[[], None]) -> Callable[[], None]:
    def step() -> None:
        with plain_convolutions():
            call()

    return step


def floor_of(plain: Callable[[], None]) -> Floor:
    """Products and sums of matrices and convolutions, both ways; what goes in and out is little beside."""
    with FlopCounterMode(display=False) as counted:
        plain()
    return Floor(counted.get_total_flops(), 0)


def error_of(make: Callable, task: DrumTask, batch: dict[str, torch.Tensor], dtype: torch.dtype) -> float:
    """Of the gradient of all weights, against plain float64, as a share of its length."""
    exact_task = copy.deepcopy(task).double()
    exact_batch = {name: value.double() for name, value in batch.items()}
    exact = _gradient(plainly(make(exact_task, exact_batch, torch.float64)), exact_task)
    found = _gradient(make(task, batch, dtype), task)
    return ((found - exact).norm() / exact.norm()).item()


def _gradient(call: Callable[[], None], task: DrumTask) -> torch.Tensor:
    task.zero_grad()
    call()
    return torch.cat([p.grad.double().flatten() for p in task.parameters() if p.grad is not None])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--model", choices=MODELS, default="published")
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    parser.add_argument("--rounds", type=int, default=3)
    args = parser.parse_args()
    settle()
    torch.set_num_threads(args.threads)
    sizes = MODELS[args.model]
    task, batch = task_of(sizes), made_up_batch(sizes.batch, sizes.num_samples, sizes.num_modes)
    print(f"{args.model}: batch {sizes.batch}, {sizes.num_samples} samples, {args.threads} threads\n")
    for title, make in {"encoder": encoder_of, "TCN": tcn_of, "training step": step_of}.items():
        calls = {name: make(task, batch, dtype) for name, dtype in DTYPES.items()}
        plain = plainly(make(task, batch, torch.float32))
        floor = floor_of(plain)
        costs = interleaved({"plain": plain, **calls}, args.rounds)
        for name, dtype in DTYPES.items():
            title_line = f"{title}, ours in {name} against plain nn.Conv1d in float32"
            # A whole step draws noise, which is another one in float64.
            errors = [] if make is step_of else [error_of(make, task, batch, dtype)]
            compare(title_line, costs[name], costs["plain"], floor, errors)


if __name__ == "__main__":
    main()
