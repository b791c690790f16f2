"""Test drum models on all subsets of the data and make the tables: ``python -m experiments.drums.evaluate``.

A run that has its metrics is not tested again, so an evaluation that was stopped goes on where it was.
"""

import json
import logging
from collections.abc import Callable
from pathlib import Path

import hydra
from omegaconf import DictConfig, OmegaConf

from experiments.drums.tables import TABLES, metrics_file, write_tables

logger = logging.getLogger(__name__)


def command_line(config: DictConfig, model: str, subset: str) -> list[str]:
    """The command line after ``drumblender`` for one run."""
    return [
        "test",
        *config.models[model],
        "--data",
        config.data,
        *_filter(config.subsets[subset]),
        "--model.metrics",
        config.metrics,
        "--trainer.logger=CSVLogger",
        f"--trainer.logger.save_dir={config.logs}",
        f"--trainer.logger.name={model}_{subset}",
        "--trainer.logger.version=0",
        *config.arguments,
    ]


def _filter(subset: DictConfig) -> list[str]:
    """Arguments that leave a subset of the data, by the names that the data module has for them."""
    places = {
        "types": "--data.split.types",
        "instruments": "--data.split.instruments",
        "batch_size": "--data.batch_size",
    }
    if unknown := sorted(set(subset) - set(places)):
        raise ValueError(f"A subset has no {', '.join(unknown)}; it has {', '.join(places)}.")
    values = {name: list(value) if name != "batch_size" else value for name, value in subset.items()}
    return [f"{places[name]}={json.dumps(value)}" for name, value in values.items()]


def evaluate(config: DictConfig, run: Callable[[list[str]], int]) -> list[str]:
    """Test what has not been tested.

    Args:
        config: As in ``config/evaluate.yaml``.
        run: Runs one command line and returns its exit status.

    Returns:
        The names of the runs that were tested.

    Raises:
        ValueError: A model or subset that the configuration does not know.
        RuntimeError: A run failed or left no metrics; those before it are kept.
    """
    tested = []
    for model in _chosen(config.models, config.only_models, "model"):
        for subset in _chosen(config.subsets, config.only_subsets, "subset"):
            name = f"{model}_{subset}"
            file = metrics_file(Path(config.logs), name)
            if file.is_file() and not config.again:
                logger.info("%s is tested already.", name)
                continue
            status = run(command_line(config, model, subset))
            if status or not file.is_file():
                raise RuntimeError(f"The test of {name} ended with status {status} and left no {file}.")
            tested.append(name)
    return tested


def _chosen(known: DictConfig, only: list[str] | None, word: str) -> list[str]:
    if unknown := sorted(set(only or []) - set(known)):
        raise ValueError(f"No {word} {', '.join(unknown)}; there are {', '.join(known)}.")
    return [name for name in known if only is None or name in only]


@hydra.main(version_base="1.3", config_path="config", config_name="evaluate")
def main(config: DictConfig) -> None:
    from drumblender.cli import run

    OmegaConf.resolve(config)
    evaluate(config, run)
    wanted = {
        f"{model}_{ending}" for model in config.models for part in TABLES.values() for ending in part.values()
    }
    if missing := sorted(run for run in wanted if not metrics_file(Path(config.logs), run).is_file()):
        print(f"No tables yet: {len(missing)} of {len(wanted)} runs are missing.")
        return
    for file in write_tables(Path(config.logs), Path(config.tables), list(config.models)):
        print(file)


if __name__ == "__main__":
    main()
