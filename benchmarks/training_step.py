"""One training step of drums configuration 05 (two encoders, TCN, modes, noise, MR-STFT, Adam), batch 4, 2 s.

What the networks have to do, forward and backward, for 4 x 96 000 samples: the TCN 88 GFLOP forward
(8 layers of 32 x 32 x 14 products a sample), each encoder 61 GFLOP, three times that with both gradients:
630 GFLOP. A core with 512-bit vectors at 3.5 GHz reaches about 110 GFLOP/s in float32 and 220 in bfloat16,
so the floor is 5.7 CPU seconds, or 2.9. Memory: a layer reads and writes 49 MB a tensor (25 MB in an
encoder); kept for the way back are two a layer: 0.8 GB for the TCN and 0.6 GB for each encoder in float32.

Ours against the same modules with plain ``nn.Conv1d``, ``nn.BatchNorm1d`` and activations, in one run::

    python -m benchmarks.training_step [--batch 4] [--samples 96000] [--repeats 3]

``THP_MEM_ALLOC_ENABLE=1`` before the command makes torch ask Linux for huge pages: fewer page faults in both.
"""

import argparse
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from unittest.mock import patch

import torch

from benchmarks.measure import compare, cost
from drumblender.encoders import SoundStreamAttentionEncoder, SoundStreamEncoder
from drumblender.losses import MultiResolutionSTFTLoss
from drumblender.synths import ModalSynth, NoiseSynth, TransientTCN
from drumblender.tasks.drums import DrumTask
from drumblender.tasks.voices import Voice

MODES, MODE_FRAMES, SAMPLE_RATE = 64, 376, 48000


def published_task() -> DrumTask:
    """Configuration 05 with the sizes of the paper."""
    torch.manual_seed(0)
    strides = (2, 2, 4, 8)
    tcn = TransientTCN(dilation_blocks=8, film_conditioning=True, film_embedding_size=128)
    transient = Voice(tcn, SoundStreamAttentionEncoder(16, 128, strides=strides), head="split")
    noise = Voice(
        NoiseSynth(num_bands=128, window_size=256), SoundStreamEncoder(16, 128, strides=strides), head="split"
    )
    voices = {"modal": Voice(ModalSynth(num_modes=MODES)), "transient": transient, "noise": noise}
    return DrumTask(voices, MultiResolutionSTFTLoss(), SAMPLE_RATE)


def made_up_batch(batch: int, samples: int) -> dict[str, torch.Tensor]:
    shape = (batch, MODE_FRAMES, MODES)
    return {
        "audio": torch.randn(batch, samples) * torch.linspace(0, -8, samples).exp(),
        "freq_rad": torch.rand(shape) * 0.5,
        "amp": torch.rand(shape) * torch.linspace(0, -8, MODE_FRAMES).exp()[:, None] / MODES,
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


def networks_of(task: DrumTask, batch: dict[str, torch.Tensor], dtype: torch.dtype) -> Callable[[], None]:
    """The three networks alone, forward and backward."""
    transient, noise = task.voices["transient"], task.voices["noise"]
    audio = batch["audio"]

    def step() -> None:
        with torch.autocast("cpu", dtype=torch.bfloat16, enabled=dtype == torch.bfloat16):
            sound = transient.synth({"embedding": transient.encoder(audio)}, audio.shape[-1], source=audio)
            loss = sound.float().square().mean() + noise.encoder(audio).float().square().mean()
        loss.backward()

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


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--batch", type=int, default=4)
    parser.add_argument("--samples", type=int, default=96000)
    parser.add_argument("--repeats", type=int, default=3)
    args = parser.parse_args()
    task, batch = published_task(), made_up_batch(args.batch, args.samples)
    print(f"batch {args.batch}, {args.samples} samples, {torch.get_num_threads()} threads\n")
    for title, make in {"networks": networks_of, "training step": step_of}.items():
        with plain_convolutions():
            plain = cost(make(task, batch, torch.float32), args.repeats)
        for dtype in (torch.float32, torch.bfloat16):
            name = str(dtype).removeprefix("torch.")
            ours = cost(make(task, batch, dtype), args.repeats)
            compare(f"{title}, ours in {name} against plain nn.Conv1d in float32", ours, plain)


if __name__ == "__main__":
    main()
