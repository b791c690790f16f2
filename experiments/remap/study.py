"""Train all drums, presets and seeds of an algorithm at once.

``python -m experiments.remap.study drums=FOLDER algorithm=linear``

Writes ``metrics_<algorithm>.csv``, a row for each run, and the tables of all algorithms that have one. An
algorithm that has its metrics is not trained again.
"""

import copy
import csv
import logging
import math
import sys
import time
from pathlib import Path
from typing import Any

import hydra
import lightning as L
import torch
import yaml
from jsonargparse import ArgumentParser, Namespace
from omegaconf import DictConfig
from torch import Tensor

from drumblender.atomic import atomic_write
from drumblender.console import exit_status
from drumblender.originals.imported import Imported, check_imported, write_imported
from drumblender.shipped import find_shipped, shipped_dir
from drumblender.sound_files import natural_order
from drumblender.tasks import SynthesisTask
from experiments.remap.direct import DirectSchedule, optimise_directly
from experiments.remap.ensemble import Ensemble, History, Schedule, train
from experiments.remap.members import Drum, Start, drum_of, members_of, start_from
from experiments.remap.table import row_name, write_tables

logger = logging.getLogger(__name__)


def run(config: DictConfig) -> Path:
    """Train and test one algorithm.

    Args:
        config: As in ``config/study.yaml``.

    Returns:
        The file of the metrics.

    Raises:
        FileNotFoundError: No drums in the folder.
        ValueError: An unknown algorithm, an empty list, or a number without sense.
    """
    if config.algorithm not in config.configs:
        raise ValueError(f"algorithm is one of {', '.join(config.configs)}, got {config.algorithm!r}.")
    for key in ("presets", "seeds"):
        if not config[key]:
            raise ValueError(f"{key} is empty: name one at least.")
    counts = {
        key: config[key] for key in ("epochs", "iterations", "chunk", "frame_size") if config[key] is not None
    }
    if wrong := {key: value for key, value in counts.items() if not (isinstance(value, int) and value > 0)}:
        raise ValueError(f"Whole numbers above 0 are needed, got {wrong}.")
    name = algorithm_name(config)
    output = Path(config.output)
    metrics = output / f"metrics_{name}.csv"
    if metrics.is_file() and not config.again:
        logger.info("%s is there already; again=true trains once more.", metrics)
        return metrics
    settings = Settings(config)
    ensemble, starts = settings.ensemble()
    logger.info("%s: %d runs of %d hits to train with.", name, len(ensemble.members), ensemble.num_train)
    if config.algorithm == "direct":
        chosen = {"damped": config.damped, "best": config.best, "chunk": config.chunk}
        direct = DirectSchedule(iterations=config.iterations, **chosen)
        errors, trained = optimise_directly(ensemble, direct).errors, {"iterations": direct.iterations}
    else:
        schedule = settings.schedule()
        history = train(ensemble, schedule, Report(schedule.epochs, config.minutes))
        errors = ensemble.errors([member.drum.test_ids for member in ensemble.members], config.chunk)
        trained = {"epochs": len(history.val_loss)}
    output.mkdir(parents=True, exist_ok=True)
    if config.checkpoints and config.algorithm != "direct":
        settings.save_members(ensemble, starts, output / "checkpoints" / name)
    described = {"algorithm": name} | trained
    write_metrics(metrics, ensemble, starts, errors, described, config.preset_baseline)
    write_items(metrics, output / "metrics.csv")
    write_tables(output)
    return metrics


def algorithm_name(config: DictConfig) -> str:
    """As the tables call it: ``mlp``, or ``mlp2048`` for another size of the onset features."""
    size = "" if config.algorithm == "direct" or config.frame_size == 256 else str(config.frame_size)
    return config.algorithm + size


def write_metrics(
    path: Path,
    ensemble: Ensemble,
    starts: list[Start],
    errors: list[Tensor],
    described: dict[str, Any],
    preset_baseline: str,
) -> None:
    """Write a row for each run: what it was, its test error by feature, and that of its preset.

    Args:
        path: The CSV file.
        ensemble, starts: The runs.
        errors: Of the test hits of each.
        described: Columns that all rows share.
        preset_baseline: What an unchanged preset counts as: no difference (``unchanged``), or, as published,
            its own features (``original``).
    """
    labels = ensemble.features.labels
    still = ensemble.reference if preset_baseline == "original" else torch.zeros_like(ensemble.reference)
    rows = []
    for member, error, baseline in zip(ensemble.members, errors, still, strict=True):
        target = member.drum.difference[member.drum.test_ids]
        run = {"drum": member.drum.name, "preset": member.preset_name, "seed": starts[member.start].seed}
        loss = (error * member.drum.weight).mean().item()
        row = run | described | {"test_hits": len(target), "test/loss": loss}
        for prefix, part in (("test/", error), ("test/preset_", (baseline - target).abs())):
            row |= {
                prefix + label: value for label, value in zip(labels, part.mean(dim=0).tolist(), strict=True)
            }
        rows.append(row)
    with atomic_write(path) as aside, aside.open("w", newline="") as file:
        writer = csv.DictWriter(file, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)


def write_items(metrics: Path, output: Path) -> None:
    """The errors of each run of the algorithm, as ``experiments.table`` compares algorithms by them."""
    with metrics.open(newline="") as file:
        runs = list(csv.DictReader(file))
    keys = [key for key in runs[0] if key.startswith("test/") and not key.startswith("test/preset_")]
    names = {key: row_name(key.removeprefix("test/")).strip("$") for key in keys if key != "test/loss"}
    rows = [
        {"name": f"{run['drum']}-{run['preset']}-{run['seed']}", "loss": run["test/loss"]}
        | {name: run[key] for key, name in names.items()}
        for run in runs
    ]
    with atomic_write(output) as aside, aside.open("w", newline="") as file:
        writer = csv.DictWriter(file, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)


class Settings:
    """The configuration of the single runs, read as the command line reads it."""

    def __init__(self, config: DictConfig) -> None:
        self.config = config
        self.presets = [str(find_shipped(f"cfg/presets/{name}.json") or name) for name in config.presets]
        self.parser = ArgumentParser(exit_on_error=False)
        self.parser.add_argument("--config", action="config")
        self.parser.add_subclass_arguments(SynthesisTask, "model", required=True)
        self.parser.add_subclass_arguments(L.LightningDataModule, "data", required=True)
        self.parser.add_argument("--seed_everything", type=int)
        for other in ("trainer", "optimizer", "lr_scheduler"):
            self.parser.add_argument(f"--{other}", type=dict)

    def parsed(self, folder: Path) -> Namespace:
        """The configuration of a run on the hits of one folder."""
        files = [*self.config.configs[self.config.algorithm]]
        args = [arg for file in files for arg in ("--config", str(shipped_dir("cfg").parent / file))]
        size = f"--data.onset_features.frame_size={self.config.frame_size}"
        path = f"--data.path={folder.resolve()}"
        return self.parser.parse_args([*args, size, path, *self.config.overrides])

    def parts(self, folder: Path) -> tuple[Any, Any]:
        """Task and data of a run on the hits of one folder."""
        made = self.parser.instantiate(self.parsed(folder))
        return made.model, made.data

    def mapper_and_synth(self, folder: Path) -> tuple[Any, Any]:
        task, _ = self.parts(folder)
        return task.mapping.mapper, task.synth

    def ensemble(self) -> tuple[Ensemble, list[Start]]:
        """All runs, untrained.

        Raises:
            FileNotFoundError: No folders of hits.
        """
        folders = [path for path in Path(self.config.drums).glob("*") if path.is_dir()]
        if not folders:
            raise FileNotFoundError(f"No folders of hits in {self.config.drums}.")
        drums: list[Drum] = []
        for folder in sorted(folders, key=natural_order):
            task, data = self.parts(folder)
            drums.append(drum_of(data, folder.name))
        starts = [start_from(seed, lambda: self.mapper_and_synth(folders[0])) for seed in self.config.seeds]
        return Ensemble(members_of(drums, self.presets, starts), starts, task.features), starts

    def schedule(self) -> Schedule:
        """That of the single runs, but for the epochs where the study names them."""
        single = self.parsed(Path())
        plateau = single.lr_scheduler["init_args"]
        return Schedule(
            lr=single.optimizer["init_args"]["lr"],
            epochs=self.config.epochs or single.trainer["max_epochs"],
            batch_size=single.data.init_args.batch_size,
            factor=plateau["factor"],
            patience=plateau["patience"],
            chunk=self.config.chunk,
        )

    def save_members(self, ensemble: Ensemble, starts: list[Start], folder: Path) -> None:
        """Write each member as a checkpoint that the commands for single runs read."""
        parsed = self.parsed(Path(self.config.drums))
        sections = yaml.safe_load(self.parser.dump(parsed, skip_unset=False))
        for number, member in enumerate(ensemble.members):
            config = copy.deepcopy({key: sections[key] for key in ("model", "data")})
            config["data"]["init_args"]["path"] = str((Path(self.config.drums) / member.drum.name).resolve())
            path = next(path for path in self.presets if Path(path).stem == member.preset_name)
            shipped = f"cfg/presets/{Path(path).name}"
            path = shipped if find_shipped(shipped) == Path(path) else path
            config["model"]["init_args"]["controls"]["init_args"]["preset"] = path
            seed, rate = starts[member.start].seed, parsed.model.init_args.sample_rate
            imported = Imported(
                config | {"seed_everything": seed}, member_state(ensemble, starts, number), rate
            )
            if number == 0:  # the others differ in numbers only, and building takes a second
                check_imported(imported)
            write_imported(imported, folder / f"{member.drum.name}-{member.preset_name}-{seed}.ckpt")


def member_state(ensemble: Ensemble, starts: list[Start], number: int) -> dict[str, Tensor]:
    """The weights and buffers of a ``RemapTask`` that plays as one member does."""
    member, controls = ensemble.members[number], "voices.drum.controls"
    scale = member.drum.onset_scale | {"known": torch.tensor(True)}
    weights = {
        "controls.mapper": ensemble.mapper_state(number),
        "controls.onset_scale": scale,
        "synth": starts[member.start].synth.state_dict(),
    }
    state = {f"{controls}.preset": member.preset[None], f"{controls}.damping": member.damping[None]}
    state["reference"] = ensemble.reference[number : number + 1].float()
    for part, values in weights.items():
        for name, value in values.items():
            value = value.float() if value.is_floating_point() else value
            state[f"voices.drum.{part}.{name}"] = value
    return state


class Report:
    """Says how the training goes, ten times, and when its time is over."""

    def __init__(self, epochs: int, minutes: float | None = None) -> None:
        self.epochs, self.begin = epochs, time.monotonic()
        self.seconds = math.inf if minutes is None else 60 * minutes

    def __call__(self, epoch: int, history: History) -> bool:
        seconds = time.monotonic() - self.begin
        late = seconds >= self.seconds
        if late or (epoch + 1) % max(self.epochs // 10, 1) == 0:
            loss = history.val_loss[-1].mean()
            logger.info(
                "Epoch %d of %d, %.0f s: mean validation loss %.3f.", epoch + 1, self.epochs, seconds, loss
            )
        return late


@hydra.main(version_base="1.3", config_path="config", config_name="study")
def main(config: DictConfig) -> None:
    sys.exit(exit_status(lambda: print((run(config).parent / "table.md").read_text()), program="study"))


if __name__ == "__main__":
    main()
