"""Render a test split and random strings with trained models: ``python -m experiments.strings.inference``.

For each method: ``nsynth/{target,pred}`` and ``synth/{target,pred}``, flat folders of equal names for KAD
tools, a row for each note, and a summary; then one table of all methods.
"""

import logging
import math
from collections.abc import Iterable, Iterator
from itertools import islice
from pathlib import Path
from typing import Any

import hydra
import torch
from jsonargparse import ArgumentParser
from omegaconf import DictConfig, OmegaConf
from torch import Tensor, nn

from drumblender.audio_io import write_wav
from drumblender.checkpoints import load_checkpoint
from drumblender.data import NSynthDataModule, random_strings
from drumblender.losses import ControlLoss
from drumblender.shipped import find_shipped
from drumblender.synths import StringSynth
from drumblender.tasks import StringTask
from experiments.strings.report import mean_and_deviation, write_rows, write_summary, write_table

logger = logging.getLogger(__name__)
NEPER_DB = 10 / math.log(10)  # of power; published models are given the natural logarithm of random strings
COLUMNS = {"MR-STFT": "stft", "MR-STFT of each note": "stft_item", "parameter L1": "param"}


def load_part(kind: type, path: str, overrides: dict[str, Any] | None = None) -> Any:
    """An object from a configuration file of one part, with some of its arguments overridden."""
    parser = ArgumentParser(exit_on_error=False)
    parser.add_subclass_arguments(kind, "part", required=True)
    changed = [f"--part.{name}={value}" for name, value in (overrides or {}).items()]
    return parser.instantiate(parser.parse_args([f"--part={find_shipped(path) or path}", *changed])).part


@torch.no_grad()
def render_notes(
    task: StringTask, batches: Iterable[dict[str, Any]], loss: nn.Module, folder: Path, sample_rate: int
) -> tuple[list[float], list[dict[str, object]]]:
    """Resynthesise batches; returns the loss of each batch, and a row for each note."""
    losses, rows = [], []
    for number, batch in enumerate(batches, start=1):
        prediction = task(_to(batch, task.device))
        target = batch["audio"].to(prediction)
        losses.append(loss(prediction, target).item())
        for item, name in enumerate(batch["name"]):
            file = f"{number:04}_{item}.wav"
            _write(folder, file, target[item], prediction[item], sample_rate)
            distance = loss(prediction[item : item + 1], target[item : item + 1]).item()
            rows.append({"file": file, "name": name, "stft": distance})
    return losses, rows


@torch.no_grad()
def render_synthetic(
    task: StringTask, batches: Iterable[dict[str, Any]], folder: Path, sample_rate: int
) -> tuple[list[float], list[dict[str, object]]]:
    """The same for random strings; what counts there is the distance of the coefficients."""
    distance, errors, rows = ControlLoss(), [], []
    for number, batch in enumerate(batches, start=1):
        moved = _to(batch, task.device)
        found = task.coefficients(task.voices["string"].controls(moved))
        known = {name: moved[name] for name in found}
        errors.append(distance(found, known).item())
        prediction = task(moved)
        for item in range(len(prediction)):
            file = f"{number:04}_{item}.wav"
            _write(folder, file, moved["audio"][item], prediction[item], sample_rate)
            one = slice(item, item + 1)
            parts = [{name: value[one] for name, value in side.items()} for side in (found, known)]
            pitch = moved["f0_hz"][item, 0].item()
            rows.append({"file": file, "f0_hz": pitch, "param": distance(*parts).item()})
    return errors, rows


def random_batches(config: DictConfig, count: int, loudness_unit_db: float = 1.0) -> Iterator[dict[str, Any]]:
    """Random strings as published: E2 to E6, rendered at 41 kHz; the same for every method.

    Args:
        config: Its ``seed`` and ``batch_size``.
        count: Batches.
        loudness_unit_db: What a model takes for 1 of loudness, where it does not normalise that itself.
    """
    synth = StringSynth(min_f0_hz=82.41, excitation="source")
    generator = torch.Generator().manual_seed(config.seed)
    for _ in range(count):
        batch = random_strings(synth, config.batch_size, generator=generator)
        yield batch | {"loudness_db": batch["loudness_db"] / loudness_unit_db}


def evaluate(config: DictConfig, method: str, checkpoint: str) -> dict[str, float | None]:
    """Render everything with one model; returns its summary."""
    loaded = load_checkpoint(checkpoint)
    if not isinstance(loaded.task, StringTask):
        raise ValueError(f"{checkpoint} holds a {type(loaded.task).__name__}, which plays no string.")
    task = loaded.task.to("cuda" if torch.cuda.is_available() else "cpu")
    settings: dict[str, Any] = {"batch_size": config.batch_size, "drop_last": config.drop_last}
    as_published = getattr(loaded.data, "statistics", None) == "split"  # its encoder normalises nothing
    settings |= ({"statistics": "split"} if as_published else {}) | dict(config.notes_overrides)
    notes: NSynthDataModule = load_part(NSynthDataModule, config.notes, settings)
    notes.prepare_data()
    notes.setup("test")
    loss = load_part(nn.Module, config.loss).to(task.device)
    folder, rate = Path(config.output) / method, loaded.sample_rate
    loader = notes.test_dataloader()
    stft, rows = render_notes(task, islice(loader, config.max_batches), loss, folder / "nsynth", rate)
    if not rows:
        raise ValueError(f"The test split has no batch of {config.batch_size}: set drop_last=false.")
    write_rows(folder / "nsynth.csv", rows)
    errors: list[float] = []
    if config.synthetic:
        count = len(stft)
        strings = random_batches(config, count, NEPER_DB if as_published else 1.0)
        errors, known_rows = render_synthetic(task, strings, folder / "synth", rate)
        write_rows(folder / "synth.csv", known_rows)
    summary = {}
    for name, values in (("stft", stft), ("stft_item", [row["stft"] for row in rows]), ("param", errors)):
        summary[f"{name}_mean"], summary[f"{name}_std"] = mean_and_deviation(values)
    write_summary(folder, summary)
    return summary


def _write(folder: Path, file: str, target: Tensor, prediction: Tensor, sample_rate: int) -> None:
    for kind, sound in (("target", target), ("pred", prediction)):
        write_wav(folder / kind / file, sound.cpu(), sample_rate)


def _to(batch: dict[str, Any], device: torch.device) -> dict[str, Any]:
    return {name: value.to(device) if torch.is_tensor(value) else value for name, value in batch.items()}


@hydra.main(version_base="1.3", config_path="config", config_name="inference")
def main(config: DictConfig) -> None:
    OmegaConf.resolve(config)
    if not config.checkpoints:
        raise ValueError("No model to evaluate: give +checkpoints.NAME=PATH.")
    summaries = {method: evaluate(config, method, path) for method, path in config.checkpoints.items()}
    write_table(Path(config.output), summaries, COLUMNS)
    logger.info("Wrote %s.", Path(config.output) / "table.csv")


if __name__ == "__main__":
    main()
