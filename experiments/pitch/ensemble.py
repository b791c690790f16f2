"""One configuration with many seeds as one training, each seed as it would be alone.

    python -m experiments.pitch.ensemble OUT --seeds 42 123 -c cfg/pitch.yaml -c cfg/pitch/cpu.yaml

What follows the seeds are arguments of ``drumblender fit``. The networks are one batched network
(``torch.func``), the losses of the seeds are added up, and gradients are cut to length for each seed, so that
nothing couples them; what is dropped and shuffled are other draws than those of a run alone. A last batch
that is not full is left out. On a GPU a step is recorded once as a CUDA graph and played from then on:
launching its kernels one by one takes longer than they do.

OUT gets a checkpoint for each seed, ``curves.csv`` (a row for every validation of every seed) and
``test.csv``: pitch accuracies on the tones that were left out, and the ratios at which wrong pitches lie.
"""

import argparse
import csv
import sys
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import torch
from torch import Tensor
from torch.func import functional_call, stack_module_state, vmap
from torch.utils.data import RandomSampler

from drumblender.console import exit_status
from drumblender.lightning_cli import TaskCLI, convolve_in_float32, name_shipped_parts, quieten
from drumblender.losses.calling import call_loss
from drumblender.metrics import OctaveDifference, RawChromaAccuracy, RawPitchAccuracy
from drumblender.metrics.pitch_ratios import RatioHistogram
from drumblender.process import settle
from drumblender.tasks import PitchTask

Batch = dict[str, Tensor]
_WARM_UP = 3  # steps before one is recorded, in which libraries choose how to compute


class Built(TaskCLI):
    """What ``fit`` would train, and not trained."""

    def _run_subcommand(self, subcommand: str) -> None:
        pass


class Ensemble:
    """The networks of all seeds, and what they play.

    Args:
        tasks: One a seed, on the device that is to train.
    """

    def __init__(self, tasks: list[PitchTask]) -> None:
        self.tasks, self.size = tasks, len(tasks)
        voices = [task.voices["tone"] for task in tasks]
        self.network, self.synth = voices[0].controls, voices[0].synth
        weights, self.buffers = stack_module_state([voice.controls for voice in voices])
        self.weights = {name: value.detach().requires_grad_() for name, value in weights.items()}

    def controls(self, batch: Batch) -> dict[str, Tensor]:
        """From fields ``(seeds, tones, ...)``, as one batch of all tones in turn."""

        def one(weights: Batch, buffers: Batch, fields: Batch) -> Batch:
            return functional_call(self.network, (weights, buffers), (fields,))

        made = vmap(one, randomness="different")(self.weights, self.buffers, batch)
        return {name: value.flatten(0, 1) for name, value in made.items()}

    def losses(self, batch: Batch, *, holds: bool) -> Tensor:
        """Of each seed, ``(seeds,)``."""
        controls = self.controls(batch)
        if holds:
            controls = {
                name: value if name.startswith("f0") else value.detach() for name, value in controls.items()
            }
        target = batch["audio"].flatten(0, 1)
        prediction = self.synth(controls, target.shape[-1])
        loss = self.tasks[0].hold_loss if holds else self.tasks[0].loss
        sounds = (sound.unflatten(0, (self.size, -1)) for sound in (prediction, target))
        return vmap(partial(call_loss, loss))(*sounds)

    def train(self, mode: bool) -> None:
        self.network.train(mode)

    @torch.no_grad()
    def pitches(self, fields: Batch) -> Tensor:
        """In Hz, of the same tones for every seed, ``(seeds, tones, frames)``."""
        self.train(False)
        heard = {name: value.expand(self.size, *value.shape) for name, value in fields.items()}
        f0_hz = self.synth.to_units(self.controls(heard))["f0_hz"][..., 0].unflatten(0, (self.size, -1))
        self.train(True)
        return f0_hz

    def give_back(self) -> None:
        """Put the weights of each seed into its task."""
        for number, task in enumerate(self.tasks):
            state = {name: value[number].detach() for name, value in self.weights.items()}
            task.voices["tone"].controls.load_state_dict(state, strict=False)


class Training:
    """Steps of an ensemble on one set of tones.

    Args:
        ensemble: What is trained.
        tones: The fields of all tones, on the device.
        optimizer: One as a single run has it; its kind and settings are taken over.
        batch_size: Tones of a seed in a step.
        clip: Longest gradient of a seed, or None.
    """

    def __init__(
        self,
        ensemble: Ensemble,
        tones: Batch,
        optimizer: torch.optim.Optimizer,
        batch_size: int,
        clip: float | None,
    ) -> None:
        self.ensemble, self.tones, self.clip = ensemble, tones, clip
        device = tones["audio"].device
        self.recorded = device.type == "cuda"
        settings = {name: optimizer.defaults[name] for name in ("lr", "betas", "eps", "weight_decay")}
        if self.recorded:
            settings |= {"capturable": True, "lr": torch.tensor(settings["lr"], device=device)}
        self.weights = list(ensemble.weights.values())
        self.optimizer = type(optimizer)(self.weights, **settings)
        self.grads = [torch.zeros_like(weight) for weight in self.weights]
        self.rows = torch.zeros(ensemble.size, batch_size, dtype=torch.long, device=device)
        self.loss = torch.zeros(ensemble.size, device=device)
        self._steps: dict[bool, Callable[[], None]] = {}

    def set_rate(self, lr: float) -> None:
        for group in self.optimizer.param_groups:
            if self.recorded:
                group["lr"].fill_(lr)
            else:
                group["lr"] = lr

    def step(self, rows: Tensor, *, holds: bool) -> None:
        """Train with these tones, ``(seeds, tones)``."""
        self.rows.copy_(rows, non_blocking=True)
        if holds not in self._steps:
            self._steps[holds] = self._record(holds) if self.recorded else lambda: self._step(holds)
        self._steps[holds]()

    def _step(self, holds: bool) -> None:
        batch = {name: value[self.rows] for name, value in self.tones.items()}
        losses = self.ensemble.losses(batch, holds=holds)
        grads = torch.autograd.grad(losses.sum(), self.weights, allow_unused=True)
        share = torch.ones_like(losses)
        if self.clip is not None:
            squares = (grad.flatten(1).square().sum(dim=1) for grad in grads if grad is not None)
            share = (self.clip / (sum(squares).sqrt() + 1e-6)).clamp(max=1.0)
        for weight, grad, kept in zip(self.weights, grads, self.grads, strict=True):
            weight.grad = None if grad is None else kept  # the optimiser passes over what is held
            if grad is not None:
                kept.copy_(grad * share.view(-1, *[1] * (grad.ndim - 1)))
        self.optimizer.step()
        self.loss.copy_(losses.detach())

    def _record(self, holds: bool) -> Callable[[], None]:
        """The step as a graph; the weights and what the optimiser knows of them are as before."""
        before = {place: value.detach().clone() for place, value in self._state()}
        side = torch.cuda.Stream()
        side.wait_stream(torch.cuda.current_stream())
        with torch.cuda.stream(side):
            for _ in range(_WARM_UP):
                self._step(holds)
        torch.cuda.current_stream().wait_stream(side)
        graph = torch.cuda.CUDAGraph()
        with torch.cuda.graph(graph):
            self._step(holds)
        with torch.no_grad():
            for place, value in self._state():
                value.copy_(before[place]) if place in before else value.zero_()
        return graph.replay

    def _state(self) -> Iterator[tuple[tuple[int, str], Tensor]]:
        for number, weight in enumerate(self.weights):
            yield (number, "weight"), weight
            for name, value in self.optimizer.state[weight].items():
                yield (number, name), value


def rows_of_epoch(sizes: tuple[int, int], shuffles: list[torch.Generator] | None, seeds: int) -> Tensor:
    """Which tones each step of an epoch takes, ``(steps, seeds, tones)``."""
    count, batch_size = sizes
    steps = count // batch_size
    orders = [
        torch.arange(count) if shuffles is None else torch.randperm(count, generator=shuffles[number])
        for number in range(seeds)
    ]
    return torch.stack(orders)[:, : steps * batch_size].unflatten(1, (steps, batch_size)).movedim(0, 1)


def accuracies(found: Tensor, truth: Tensor) -> dict[str, float]:
    """Of one seed, in per cent, and the mean error in octaves."""
    truth = truth.expand_as(found).contiguous()
    measures = {"rpa": RawPitchAccuracy(), "rca": RawChromaAccuracy()}
    row = {name: round(100 * measure(found, truth).item(), 2) for name, measure in measures.items()}
    return row | {"octaves": round(OctaveDifference()(found, truth).item(), 4)}


def ratios(found: Tensor, truth: Tensor) -> str:
    """The commonest ratios of a pitch to the true one."""
    histogram = RatioHistogram()
    histogram.update(found, truth.expand_as(found).contiguous())
    return ", ".join(f"{name} {100 * share:.1f} %" for name, share in list(histogram.compute().items())[:5])


def fields_of(loader: torch.utils.data.DataLoader, device: torch.device) -> Batch:
    """All tones of a split at once."""
    items = loader.dataset
    if not hasattr(items, "collate"):
        raise ValueError("An ensemble needs tones that are made once: --data.fresh false.")
    return {name: value.to(device) for name, value in items.collate(list(range(len(items)))).items()}


def train(built: list[Built], seeds: list[int], device: torch.device, out: Path, minutes: float) -> Ensemble:
    """Train to the end that the configuration names, and write ``curves.csv`` on the way."""
    first, data = built[0], built[0].datamodule
    data.setup("fit")
    loader = data.train_dataloader()
    tones, heard = fields_of(loader, device), fields_of(data.val_dataloader(), device)
    ensemble = Ensemble([one.model.to(device) for one in built])
    ensemble.train(True)
    (optimizer,), schedules = _pair(first.model.configure_optimizers())
    trainer, model = first.trainer, first.model
    training = Training(ensemble, _but_truth(tones), optimizer, data.batch_size, trainer.gradient_clip_val)
    shuffles = None
    if isinstance(loader.sampler, RandomSampler):
        shuffles = [torch.Generator().manual_seed(seed) for seed in seeds]
    done, epoch, began = 0, 0, time.perf_counter()
    with (out / "curves.csv").open("w", newline="") as file:
        curves = csv.DictWriter(file, ("seed", "step", "seconds", "loss", "rpa", "rca", "octaves"))
        curves.writeheader()
        while done < trainer.max_steps and time.perf_counter() - began < 60 * minutes:
            training.set_rate(optimizer.param_groups[0]["lr"])
            for rows in rows_of_epoch((len(tones["audio"]), data.batch_size), shuffles, len(seeds)):
                if done < trainer.max_steps:
                    training.step(rows.to(device), holds=done < model.hold_steps)
                    done += 1
            epoch += 1
            optimizer.step()  # of no gradients: a schedule asks for it
            for schedule in schedules:
                schedule.step()
            if epoch % trainer.check_val_every_n_epoch == 0 or done >= trainer.max_steps:
                training.loss.tolist()  # waits for what was launched
                found = ensemble.pitches(_but_truth(heard)).cpu()
                spent = round(time.perf_counter() - began, 1)
                for seed, loss, pitch in zip(seeds, training.loss.tolist(), found, strict=True):
                    row = {"seed": seed, "step": done, "seconds": spent, "loss": round(loss, 5)}
                    curves.writerow(row | accuracies(pitch, heard["f0_hz"].cpu()))
                file.flush()
    ensemble.give_back()
    return ensemble


def _pair(made: object) -> tuple[list[torch.optim.Optimizer], list]:
    """What ``configure_optimizers`` returns with and without a schedule."""
    if isinstance(made, torch.optim.Optimizer):
        return [made], []
    optimizers, schedules = made
    return optimizers, schedules


def _but_truth(fields: Batch) -> Batch:
    return {name: value for name, value in fields.items() if name not in ("f0_hz", "amp")}


def main(arguments: list[str]) -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("out", type=Path)
    parser.add_argument("--seeds", type=int, nargs="+", required=True)
    parser.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu")
    parser.add_argument("--minutes", type=float, default=float("inf"), help="of training, at most")
    given, rest = parser.parse_known_args(arguments)
    settle()
    quieten()
    name_shipped_parts()
    convolve_in_float32()
    given.out.mkdir(parents=True, exist_ok=True)
    device = torch.device(given.device)
    built = [Built(["fit", *rest, "--seed_everything", str(seed)]) for seed in given.seeds]
    ensemble = train(built, given.seeds, device, given.out, given.minutes)
    tested = fields_of(built[0].datamodule.test_dataloader(), device)
    truth, found = tested["f0_hz"].cpu(), ensemble.pitches(_but_truth(tested)).cpu()
    rows = []
    for seed, one, pitch in zip(given.seeds, built, found, strict=True):
        one.trainer.strategy.connect(one.model.cpu())
        one.trainer.save_checkpoint(given.out / f"seed_{seed}.ckpt", weights_only=True)
        rows.append({"seed": seed} | accuracies(pitch, truth) | {"ratios": ratios(pitch, truth)})
    with (given.out / "test.csv").open("w", newline="") as file:
        table = csv.DictWriter(file, rows[0])
        table.writeheader()
        table.writerows(rows)
    for row in rows:
        sys.stdout.write(", ".join(f"{name} {value}" for name, value in row.items()) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(exit_status(lambda: main(sys.argv[1:]), program="experiments.pitch.ensemble"))
