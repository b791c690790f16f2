"""Carry out every run of a study: ``python -m experiments.run study=NAME``.

A study is a file in ``config/study/``: configs x overrides x seeds, each trained and tested by
``drumblender``, or carried out by a module of its own. Each run has a folder, with all that it
said in ``log.txt`` and its result in ``done.json``. A run that is done is not run again; one that was stopped
goes on from its last checkpoint; one that failed is tried again. The exit status is 1 where runs have failed.
"""

import csv
import logging
import math
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import hydra
from hydra.core.hydra_config import HydraConfig
from hydra.types import RunMode
from omegaconf import DictConfig

from drumblender.atomic import read_json, write_json
from drumblender.console import exit_status
from drumblender.evaluation.runs import read_metrics
from experiments.study import FIT, Planned, plan, record, share

logger = logging.getLogger(__name__)
Command = Callable[[Sequence[str], Path], int]


def carry_out(run: Planned, command: Command) -> str | None:
    """Carry out one run, unless it is done; returns why it failed, or None."""
    if run.done.is_file():
        return None
    run.folder.mkdir(parents=True, exist_ok=True)
    begin = time.monotonic()
    if why := train_and_test(run, command) if run.program == FIT else _program(run, command):
        return why
    try:
        metrics, items = results(run)
    except (ValueError, OSError) as error:
        return str(error)
    result = {"row": run.row, "seed": run.seed, "seconds": round(time.monotonic() - begin, 1)}
    tables = {test: str(path.relative_to(run.folder)) for test, path in run.tables().items()}
    write_json(run.done, result | {"items": items, "tables": tables, "metrics": metrics})
    return None


def train_and_test(run: Planned, command: Command) -> str | None:
    """Train, or go on with it, and make every test that has not been made; returns why it failed, or None."""
    fitted = run.folder / "fitted"
    if run.trains and not fitted.is_file():
        if status := command(run.fit_line(), run.log):
            return f"fit ended with status {status}, see {run.log}"
        fitted.touch()
    if run.trains and run.checkpoint is None:
        return f"fit left no checkpoint in {run.folder}"
    for test, table in run.tables().items():
        if table.is_file() and (table.parent / "metrics_mean.csv").is_file():
            continue
        shutil.rmtree(run.tested(test), ignore_errors=True)  # of one that was stopped
        if status := command(run.test_line(test), run.log):
            return f"test {test or 'of it'} ended with status {status}, see {run.log}"
    return None


def _program(run: Planned, command: Command) -> str | None:
    if status := command(run.program_line(), run.log):
        return f"{run.program} ended with status {status}, see {run.log}"
    return None


def results(run: Planned) -> tuple[dict[str, float], int]:
    """The means of all metrics of a run, by ``test/metric``, and how many items there are.

    Raises:
        ValueError: A table is not there, empty or damaged.
    """
    found, count = {}, 0
    for test, table in run.tables().items():
        if not (rows := read_metrics(table)):
            raise ValueError(f"{run.name} left no items in {table}.")
        means = table.parent / "metrics_mean.csv"
        values = _logged(means) if means.is_file() else _means(list(rows.values()))
        found |= {f"{test}/{name}" if test else name: value for name, value in values.items()}
        count = max(count, len(rows))
    return found, count


def _logged(table: Path) -> dict[str, float]:
    """What a test says of all its items; of some metrics it is no mean over items."""
    with table.open(newline="", encoding="utf-8") as file:
        (means,) = csv.DictReader(file)
    return {name: float(value) for name, value in means.items() if name != "items"}


def _means(rows: Sequence[dict[str, float]]) -> dict[str, float]:
    names = list(dict.fromkeys(name for row in rows for name in row))
    values = {name: [row[name] for row in rows if math.isfinite(row.get(name, math.nan))] for name in names}
    return {name: math.fsum(found) / len(found) for name, found in values.items() if found}


def run_study(config: DictConfig, command: Command) -> dict[str, str]:
    """Carry out all runs of this job, several at a time.

    Returns:
        Why each run that failed did, by its name.
    """
    everything = plan(config)
    runs = share(config, everything)
    told = Path(config.output) / config.study.name / "study.json"
    write_json(told, record(config, everything, read_json(told) if told.is_file() else {}))
    failures: dict[str, str] = {}
    with ThreadPoolExecutor(config.jobs) as pool:
        for run, why in zip(runs, pool.map(lambda run: carry_out(run, command), runs), strict=True):
            logger.info("%s: %s.", run.name, why or "done")
            if why:
                failures[run.name] = why
    return failures


def in_a_process(arguments: Sequence[str], log: Path) -> int:
    """Run one module with its arguments in a process of its own; what it says goes to the end of the log."""
    with log.open("a", encoding="utf-8") as file:
        file.write(f"$ python -m {' '.join(arguments)}\n")
        file.flush()
        command = [sys.executable, "-m", *arguments]
        return subprocess.run(command, stdout=file, stderr=subprocess.STDOUT, check=False).returncode


def _report(config: DictConfig) -> int:
    failures = run_study(config, in_a_process)
    folder = Path(config.output) / config.study.name
    for name, why in failures.items():
        print(f"failed: {name}: {why}", file=sys.stderr)
    print(f"{folder}: python -m experiments.table {folder} makes the table.")
    return 1 if failures else 0


@hydra.main(version_base="1.3", config_path="config", config_name="run")
def main(config: DictConfig) -> None:
    status = exit_status(lambda: _report(config), program="experiments.run")
    if status and HydraConfig.get().mode == RunMode.MULTIRUN:
        raise RuntimeError(f"Part {config.part} of {config.study.name} has failed.")  # after all other parts
    if status:
        sys.exit(status)


if __name__ == "__main__":
    main()
