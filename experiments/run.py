"""Train and test every run of a study: ``python -m experiments.run study=NAME``.

A study is a file in ``config/study/``: configs x overrides x seeds. Each run has a folder, with all that it
said in ``log.txt`` and its result in ``done.json``. A run that is done is not run again; one that was stopped
goes on from its last checkpoint; one that failed is tried again. The exit status is 1 where runs have failed.
"""

import csv
import logging
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import hydra
from omegaconf import DictConfig, OmegaConf

from drumblender.atomic import write_json
from drumblender.console import exit_status

logger = logging.getLogger(__name__)
Command = Callable[[Sequence[str], Path], int]


@dataclass(frozen=True)
class Planned:
    """One run of a study."""

    config: str
    row: str
    seed: int
    arguments: tuple[str, ...]
    folder: Path

    @property
    def name(self) -> str:
        return f"{self.row}, seed {self.seed}"

    @property
    def checkpoints(self) -> Path:
        return self.folder / "fit" / "version_0" / "checkpoints"

    @property
    def tested(self) -> Path:
        """The folder of the sounds and metrics that the test writes."""
        return self.folder / "test" / "version_0" / "test"

    @property
    def done(self) -> Path:
        return self.folder / "done.json"


def plan(config: DictConfig) -> list[Planned]:
    """All runs of a study, seed by seed, so that one that was stopped has whole tables of the first seeds.

    Raises:
        ValueError: A name that is no name of a folder.
    """
    study = config.study
    runs = []
    for seed in study.seeds:
        for name, given in study.configs.items():
            for override, more in study.overrides.items():
                row = f"{name}-{override}" if override else name
                if not re.fullmatch(r"[\w.-]+", row):
                    raise ValueError(f"{row!r} is no name of a folder: letters, digits, '-', '_', '.' only.")
                arguments = (*given, *more, *study.arguments, *config.arguments)
                folder = Path(config.output) / study.name / row / f"seed_{seed}"
                runs.append(Planned(name, row, seed, tuple(map(str, arguments)), folder))
    return runs


def share(config: DictConfig, runs: Sequence[Planned]) -> list[Planned]:
    """The runs of this job: of the chosen configs, every ``parts``-th.

    Raises:
        ValueError: A chosen config that is not there, or parts or jobs without sense.
    """
    part, parts, jobs = config.part, config.parts, config.jobs
    if not 0 <= part < parts or jobs < 1:
        raise ValueError(f"Needs 0 <= part < parts and 1 job or more, got {part=}, {parts=}, {jobs=}.")
    if unknown := sorted(set(config.only or []) - set(config.study.configs)):
        raise ValueError(f"No config {', '.join(unknown)}; there are {', '.join(config.study.configs)}.")
    return [run for run in runs if config.only is None or run.config in config.only][part::parts]


def carry_out(run: Planned, command: Command) -> str | None:
    """Train and test one run, unless it is done; returns why it failed, or None."""
    if run.done.is_file():
        return None
    run.folder.mkdir(parents=True, exist_ok=True)
    begin = time.monotonic()
    log = run.folder / "log.txt"
    logged = ["--trainer.logger=CSVLogger", "--trainer.logger.version=0"]
    logged.append(f"--trainer.logger.save_dir={run.folder}")
    if not (run.folder / "fitted").is_file():
        resume = ["--resume"] if (run.checkpoints / "last.ckpt").is_file() else []
        seed = f"--seed_everything={run.seed}"
        fit = ["fit", *run.arguments, seed, *logged, "--trainer.logger.name=fit", *resume]
        if status := command(fit, log):
            return f"fit ended with status {status}, see {log}"
        (run.folder / "fitted").touch()
    shutil.rmtree(run.folder / "test", ignore_errors=True)  # of a test that was stopped
    best = next(
        (path for path in (run.checkpoints / n for n in ("best.ckpt", "last.ckpt")) if path.is_file()), None
    )
    if best is None:
        return f"fit left no checkpoint in {run.checkpoints}"
    if status := command(["test", str(best), *logged, "--trainer.logger.name=test"], log):
        return f"test ended with status {status}, see {log}"
    table = run.tested / "metrics_mean.csv"
    if not table.is_file():
        return f"test left no {table}"
    with table.open(newline="", encoding="utf-8") as file:
        (means,) = csv.DictReader(file)
    metrics = {name: float(value) for name, value in means.items() if name != "items"}
    result = {"row": run.row, "seed": run.seed, "seconds": round(time.monotonic() - begin, 1)}
    write_json(run.done, result | {"items": int(means["items"]), "metrics": metrics})
    return None


def run_study(config: DictConfig, command: Command) -> dict[str, str]:
    """Carry out all runs of this job, several at a time.

    Returns:
        Why each run that failed did, by its name.
    """
    everything = plan(config)
    runs = share(config, everything)
    planned = [{"row": run.row, "seed": run.seed} for run in everything]
    write_json(Path(config.output) / config.study.name / "study.json", {"runs": planned})
    failures: dict[str, str] = {}
    with ThreadPoolExecutor(config.jobs) as pool:
        for run, why in zip(runs, pool.map(lambda run: carry_out(run, command), runs), strict=True):
            logger.info("%s: %s.", run.name, why or "done")
            if why:
                failures[run.name] = why
    return failures


def in_a_process(arguments: Sequence[str], log: Path) -> int:
    """Run one command line in a process of its own; what it says goes to the end of the log."""
    with log.open("a", encoding="utf-8") as file:
        file.write(f"$ drumblender {' '.join(arguments)}\n")
        file.flush()
        command = [sys.executable, "-m", "drumblender", *arguments]
        return subprocess.run(command, stdout=file, stderr=subprocess.STDOUT, check=False).returncode


def _report(config: DictConfig) -> int:
    OmegaConf.resolve(config)
    failures = run_study(config, in_a_process)
    folder = Path(config.output) / config.study.name
    for name, why in failures.items():
        print(f"failed: {name}: {why}", file=sys.stderr)
    print(f"{folder}: python -m experiments.table {folder} makes the table.")
    return 1 if failures else 0


@hydra.main(version_base="1.3", config_path="config", config_name="run")
def main(config: DictConfig) -> None:
    if status := exit_status(lambda: _report(config), program="experiments.run"):
        sys.exit(status)


if __name__ == "__main__":
    main()
