"""Work that can be timed in a checkout of any version: the child process of ``benchmarks.against``.

Everything comes from the checkout on the path, its own ``benchmarks`` included: each spells its parts as they
were called then. Only what is the same in all versions stands here.
"""

import os
import sys
import time
from collections.abc import Callable
from pathlib import Path

import torch
from torch import Tensor

Work = Callable[[], Tensor]
"""One call; returns what it computed, flat."""


def training_step(model: str) -> Work:
    """The weights after a step of drums configuration 05."""
    from benchmarks import training_step as home

    sizes = home.MODELS[model]
    task = home.task_of(sizes)
    batch = home.made_up_batch(sizes.batch, sizes.num_samples, sizes.num_modes)
    step = home.step_of(task, batch, torch.float32)

    def work() -> Tensor:
        step()
        return torch.cat([weights.detach().flatten() for weights in task.parameters()])

    return work


def modal() -> Work:
    """Sound and gradients of the modal bank at the published size."""
    from benchmarks.modal import forward_backward, fused, tracks

    inputs = tracks(batch=4)
    return lambda: torch.cat([value.flatten() for value in forward_backward(fused, inputs)])


def strings() -> Work:
    """Sound and gradients of the resynthesis of 4 s."""
    from drumblender.synths import StringSynth

    generator = torch.Generator().manual_seed(0)
    synth = StringSynth()
    num_samples = 4 * synth.sample_rate
    controls = {
        name: torch.rand(2, synth.control_frames.get(name, 250), size, generator=generator)
        for name, size in synth.control_sizes.items()
    }
    controls["f0_hz"] = 200 + 3 * controls["f0_hz"]
    controls["loop_gain"] = 0.9 + 0.09 * controls["loop_gain"]
    source = torch.randn(2, num_samples, generator=generator)

    def work() -> Tensor:
        leaves = {name: value.clone().requires_grad_() for name, value in controls.items()}
        audio = synth(leaves, num_samples, source)
        audio.square().sum().backward()
        return torch.cat([audio.detach().flatten(), *(leaf.grad.flatten() for leaf in leaves.values())])

    return work


def remap() -> Work:
    """The seven published features of sixteen snares, and the gradient by their parameters."""
    from benchmarks.remap import BATCH, RATE, published_features
    from drumblender.synths import Snare808

    torch.manual_seed(0)
    synth, features = Snare808(RATE, noise_samples=RATE), published_features()
    params = 0.2 + 0.6 * torch.rand(BATCH, synth.num_params)

    def work() -> Tensor:
        leaf = params.clone().requires_grad_()
        columns = features(synth.play(leaf, RATE))
        columns.sum().backward()
        return torch.cat([columns.detach().flatten(), leaf.grad.flatten()])

    return work


def search(gradients: bool) -> Work:
    """The losses of 40 candidates of a search, by batches as `match` asks: two seconds of a drum.

    Twenty at a time as the genetic search does, or four with their gradients. Versions without
    ``item_losses`` compared each candidate with the target by itself, as here.
    """
    from drumblender.losses import MultiResolutionSTFTLoss

    generator = torch.Generator().manual_seed(0)
    fade = torch.exp(-torch.arange(96000) / 8000)
    target, *candidates = fade * torch.randn(41, 96000, generator=generator)
    loss = MultiResolutionSTFTLoss()
    try:
        from drumblender.matching.item_losses import item_losses
    except ModuleNotFoundError:

        def compare(batch: Tensor) -> Tensor:
            return torch.stack([loss(sound[None], target[None]) for sound in batch])
    else:
        compare = item_losses(loss, target)

    def work() -> Tensor:
        found = []
        for batch in torch.stack(candidates).split(4 if gradients else 20):
            losses = compare(batch.requires_grad_(gradients))
            found.append(losses.detach())
            if gradients:
                losses.sum().backward()
                found.append(batch.grad.flatten())
        return torch.cat(found)

    return work


WORKLOADS: dict[str, Callable[[], Work]] = {
    "training step, quickstart": lambda: training_step("quickstart"),
    "training step, published": lambda: training_step("published"),
    "modal": modal,
    "strings": strings,
    "remap": remap,
    "search": lambda: search(gradients=False),
    "search, with gradients": lambda: search(gradients=True),
}


def main(name: str, result: Path) -> None:
    """Work once and keep what it computed; then once more for every line: seconds of CPU and of the clock."""
    torch.set_num_threads(int(os.environ["OMP_NUM_THREADS"]))
    work = WORKLOADS[name]()
    torch.save(work(), result)
    sys.stdout.write("ready\n")
    sys.stdout.flush()
    for _ in sys.stdin:
        before, began = time.process_time(), time.perf_counter()
        work()
        sys.stdout.write(f"{time.process_time() - before} {time.perf_counter() - began}\n")
        sys.stdout.flush()


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]))
