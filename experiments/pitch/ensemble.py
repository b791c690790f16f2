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
from pathlib import Path

import torch
from torch import Tensor
from torch.utils.data import RandomSampler

from drumblender.console import exit_status
from drumblender.lightning_cli import TaskCLI, convolve_in_float32, name_shipped_parts, quieten
from drumblender.process import settle
from drumblender.tasks import PitchTask
from experiments.pitch.judged import accuracies, fields_of, ratios
from experiments.pitch.side_by_side import Batch, Ensemble, Training


class Built(TaskCLI):
    """What ``fit`` would train, and not trained."""

    def _run_subcommand(self, subcommand: str) -> None:
        pass


def rows_of_epoch(sizes: tuple[int, int], shuffles: list[torch.Generator] | None, seeds: int) -> Tensor:
    """Which tones each step of an epoch takes, ``(steps, seeds, tones)``."""
    count, batch_size = sizes
    steps = count // batch_size
    orders = [
        torch.arange(count) if shuffles is None else torch.randperm(count, generator=shuffles[number])
        for number in range(seeds)
    ]
    return torch.stack(orders)[:, : steps * batch_size].unflatten(1, (steps, batch_size)).movedim(0, 1)


def check(run: Built) -> None:
    """Refuse what an ensemble does not train."""
    if not isinstance(run.model, PitchTask):
        raise ValueError(
            f"An ensemble trains a PitchTask, not {type(run.model).__name__}: -c cfg/pitch.yaml."
        )
    if run.trainer.max_steps < 1:
        raise ValueError("An ensemble has to know its end: --trainer.max_steps 1000.")
    (optimizer,), _ = _pair(run.model.configure_optimizers())
    if "betas" not in optimizer.defaults:
        raise ValueError(f"An ensemble trains with Adam, not {type(optimizer).__name__}.")


def train(built: list[Built], seeds: list[int], device: torch.device, out: Path, minutes: float) -> Ensemble:
    """Train to the end that the configuration names, and write ``curves.csv`` on the way."""
    first, data = built[0], built[0].datamodule
    check(first)
    data.setup("fit")
    loader = data.train_dataloader()
    tones, heard = fields_of(loader, device), fields_of(data.val_dataloader(), device)
    if data.batch_size > len(tones["audio"]):
        raise ValueError(f"{len(tones['audio'])} tones fill no batch: --data.batch_size {data.batch_size}.")
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
    if not isinstance(made, tuple):
        raise ValueError("An ensemble follows a schedule by epochs, such as LinearLR, and no validation.")
    return made


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
