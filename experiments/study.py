"""What a study is: its runs, and the command lines of each."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from omegaconf import DictConfig, OmegaConf

FIT = "fit"
"""The program of a study that trains with ``drumblender fit``; any other is a module that is run."""


@dataclass(frozen=True)
class Planned:
    """One run of a study.

    Attributes:
        config: The key of its config.
        row: The row of the table that it counts to.
        seed: Of all its draws.
        program: ``fit``, or a module that leaves ``metrics.csv`` in the folder given as ``output=``.
        arguments: Of the program.
        tests: Arguments of each test of a model that was trained, by what its metrics are told by.
        trains: Whether there is anything to train.
        folder: Where all of it goes.
        trusted: Packages beside ``drumblender`` whose classes its checkpoint may name.
    """

    config: str
    row: str
    seed: int
    program: str
    arguments: tuple[str, ...]
    tests: Mapping[str, tuple[str, ...]]
    trains: bool
    folder: Path
    trusted: tuple[str, ...] = ()

    @property
    def name(self) -> str:
        return f"{self.row}, seed {self.seed}"

    @property
    def done(self) -> Path:
        return self.folder / "done.json"

    @property
    def log(self) -> Path:
        return self.folder / "log.txt"

    @property
    def checkpoint(self) -> Path | None:
        """What is tested: the best of the training, else the last; None where there is none."""
        folder = self.folder / "fit" / "version_0" / "checkpoints"
        names = ("best-lsd.ckpt", "best.ckpt", "last.ckpt")
        return next((folder / name for name in names if (folder / name).is_file()), None)

    def tables(self) -> dict[str, Path]:
        """The metrics of each item, by what those of this table are told by."""
        if self.program != FIT:
            return {"": self.folder / "metrics.csv"}
        return {name: self.tested(name) / "metrics.csv" for name in self.tests}

    def tested(self, test: str) -> Path:
        """The folder of the sounds and metrics that a test writes."""
        return self.folder / (f"test-{test}" if test else "test") / "version_0" / "test"

    def fit_line(self) -> list[str]:
        """The command line that trains, or goes on with it."""
        last = self.folder / "fit" / "version_0" / "checkpoints" / "last.ckpt"
        resume = ["--resume"] if last.is_file() else []
        return ["drumblender", "fit", *self.arguments, *self._logged("fit"), *resume]

    def test_line(self, test: str) -> list[str]:
        """The command line of a test, of the checkpoint or of a model as it is built."""
        trust = [word for package in self.trusted for word in ("--trust", package)]
        model = [str(self.checkpoint), *trust] if self.trains else [*self.arguments]
        logged = self._logged(f"test-{test}" if test else "test")
        return ["drumblender", "test", *model, *self.tests[test], *logged]

    def program_line(self) -> list[str]:
        """The command line of a program that is no training."""
        return [self.program, *self.arguments, f"seed={self.seed}", f"output={self.folder}"]

    def _logged(self, name: str) -> list[str]:
        logger = ["--trainer.logger=CSVLogger", f"--trainer.logger.save_dir={self.folder}"]
        logger += [f"--trainer.logger.name={name}", "--trainer.logger.version=0"]
        seed = [] if name.startswith("test") and self.trains else [f"--seed_everything={self.seed}"]
        return [*seed, *logger]


def plan(config: DictConfig) -> list[Planned]:
    """All runs of a study, seed by seed, so that one that was stopped has whole tables of the first seeds.

    Raises:
        ValueError: A name that is no name of a folder, or a config or test that is not there.
    """
    study: dict[str, Any] = OmegaConf.to_container(config.study, resolve=True)
    untrained = study.get("untrained", [])
    if unknown := sorted(set(untrained) - study["configs"].keys()):
        raise ValueError(f"No config {', '.join(unknown)} to leave untrained in {study['name']}.")
    tests = _tests(study.get("tests", {"": []}), config.tests)
    runs = []
    for seed in study["seeds"]:
        for name, given in study["configs"].items():
            for override, more in study["overrides"].items():
                row = f"{name}-{override}" if override else name
                for part in (row, *filter(None, tests)):
                    if not re.fullmatch(r"[\w.-]+", part):
                        raise ValueError(
                            f"{part!r} is no name of a folder: letters, digits, '-', '_', '.' only."
                        )
                arguments = words((given, more, study["arguments"], list(config.arguments)))
                runs.append(
                    Planned(
                        name,
                        row,
                        seed,
                        study.get("program", FIT),
                        arguments,
                        tests,
                        name not in untrained,
                        Path(config.output) / study["name"] / row / f"seed_{seed}",
                        tuple(study.get("trust", ())),
                    )
                )
    return runs


def _tests(known: Mapping[str, Any], only: Sequence[str] | None) -> dict[str, tuple[str, ...]]:
    if unknown := sorted(set(only or []) - set(known)):
        raise ValueError(f"No test {', '.join(unknown)}; there are {', '.join(known)}.")
    return {name: words(more) for name, more in known.items() if only is None or name in only}


def words(given: Any) -> tuple[str, ...]:
    """A command line out of lists in lists, so that parts of it can be named once.

    >>> words([["-c", "cfg/drums.yaml"], [["--data.batch_size", 8]]])
    ('-c', 'cfg/drums.yaml', '--data.batch_size', '8')
    """
    if isinstance(given, list | tuple):
        return tuple(word for part in given for word in words(part))
    return (str(given),)


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


def record(config: DictConfig, runs: Sequence[Planned], earlier: Mapping[str, Any]) -> dict[str, Any]:
    """What the table must know of a study beside its results: the runs that are asked for or done.

    Those that another job was asked for, as ``earlier`` tells, are kept.
    """
    asked = {(run["row"], run["seed"]) for run in earlier.get("runs", ())}
    only = config.only
    runs = [
        run
        for run in runs
        if only is None or run.config in only or run.done.is_file() or (run.row, run.seed) in asked
    ]
    better = OmegaConf.to_container(config.study.get("better") or OmegaConf.create({}))
    return {"runs": [{"row": run.row, "seed": run.seed} for run in runs], "better": better}
