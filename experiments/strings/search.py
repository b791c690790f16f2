"""Fit single notes by search, real and synthetic: ``python -m experiments.strings.search``.

For each method and excitation: ``real/{target,pred}`` and ``synth/{target,pred}``, a row for each note and a
summary; then one table of all. Every number is of the best candidate: its sound, its loss, its coefficients.
A note that is done is not searched again, so a study that was stopped goes on where it was.
"""

import json
import logging
import math
from dataclasses import dataclass
from pathlib import Path

import hydra
import torch
from omegaconf import DictConfig, OmegaConf
from torch import Tensor, nn

from drumblender.audio_io import write_wav
from drumblender.data import NSynthDataModule, random_strings
from drumblender.dsp.units import midi_to_hz
from drumblender.losses import ControlLoss
from drumblender.matching.genetic import GeneticSettings
from drumblender.matching.match import match
from drumblender.synths import StringSynth
from drumblender.types import Controls
from experiments.strings.inference import load_part
from experiments.strings.report import mean_and_deviation, write_rows, write_summary, write_table

logger = logging.getLogger(__name__)
COLUMNS = {"MR-STFT": "stft", "MR-STFT, synthetic": "synth_stft", "parameter L1": "param"}
ERRORS = ("stft", "synth_stft", "param")
COLUMNS |= {"renders": "total_renders", "s": "method_total_time"}


@dataclass(frozen=True)
class Note:
    """A sound to imitate, ``(samples,)``, its pitch, and its coefficients at the frames where known."""

    kind: str  # real or synth
    name: str
    audio: Tensor
    f0_hz: float
    coefficients: Controls | None = None


def real_notes(config: DictConfig) -> list[Note]:
    """The named notes of the test split; where none of them is there, as many others, low to high."""
    data: NSynthDataModule = load_part(NSynthDataModule, config.notes, dict(config.notes_overrides))
    data.prepare_data()
    data.setup("test")
    items = data.test_dataloader().dataset
    midi = {key: items.manifest[key].tags["midi"] for key in items.keys}
    chosen = [key for key in config.named if key in midi]
    if not chosen:
        ordered = sorted(midi, key=lambda key: (midi[key], key))
        count = min(len(config.named), len(ordered))
        chosen = [ordered[index * len(ordered) // count] for index in range(count)]
        logger.info("None of the named notes is in the test split; taking %s.", ", ".join(chosen))
    return [
        Note("real", key, items.audio(key), midi_to_hz(torch.tensor(float(midi[key]))).item())
        for key in chosen
    ]


def synthetic_notes(config: DictConfig) -> list[Note]:
    """Random strings as published; the same for every method."""
    synth = StringSynth(min_f0_hz=82.41, excitation="source")
    batch = random_strings(synth, config.synthetic, generator=torch.Generator().manual_seed(config.seed))
    names = ("loop_coefficients", "excitation_coefficients")
    return [
        Note(
            "synth",
            f"synthetic-{item + 1}",
            batch["audio"][item],
            batch["f0_hz"][item, 0].item(),
            {name: batch[name][item : item + 1] for name in names},
        )
        for item in range(config.synthetic)
    ]


def fit(note: Note, method: str, excitation: str, loss: nn.Module, config: DictConfig) -> tuple[Tensor, dict]:
    """Search one note; returns the best sound and what is reported of it."""
    synth = StringSynth(min_f0_hz=82.41, excitation=excitation)
    found = match(
        note.audio,
        synth,
        loss,
        method,
        renders=config.renders,
        restarts=config.restarts,
        lr=config.lr,
        genetic=GeneticSettings(config.population, config.parents),
        patience=config.patience,
        min_delta=config.min_delta,
        seed=config.seed,
        analyse=False,  # the published search
        match_level=False,
        fixed={"f0_hz": torch.full((1, 1, 1), note.f0_hz)},
        source=note.audio if synth.needs_source else None,
    )
    row = {"name": note.name, "f0_hz": note.f0_hz, "stft": found.loss, "param": ""}
    if note.coefficients is not None:
        units = synth.coefficients(found.controls)
        best = {
            "loop_coefficients": units["loop_coefficients"] * units["loop_gain"],
            "excitation_coefficients": units["excitation_coefficients"],
        }
        row["param"] = ControlLoss()(best, note.coefficients).item()
    row |= {"renders": found.renders, "iterations": len(found.history), "seconds": found.seconds}
    return found.audio, row


def study(config: DictConfig, notes: list[Note], method: str, excitation: str) -> dict[str, float | None]:
    """Search every note with one method and one excitation; returns the summary."""
    folder = Path(config.output) / f"{method}_{excitation}"
    loss = load_part(nn.Module, config.loss)
    rows: dict[str, list[dict]] = {"real": [], "synth": []}
    for note in notes:
        number = len(rows[note.kind]) + 1
        place, done = folder / note.kind, folder / note.kind / "done" / f"{number:03}.json"
        if not done.is_file():
            audio, row = fit(note, method, excitation, loss, config)
            for kind, sound in (("target", note.audio), ("pred", audio)):
                write_wav(place / kind / f"{number:03}.wav", sound, 16000)
            done.parent.mkdir(parents=True, exist_ok=True)
            done.write_text(json.dumps(row))
            logger.info("%s, %s: %s reached %.4f.", method, excitation, note.name, row["stft"])
        rows[note.kind].append(json.loads(done.read_text()))
    everything = [row for kind in rows.values() for row in kind]
    for kind, part in rows.items():
        if part:
            write_rows(folder / f"{kind}.csv", part)
    summary = summarise(rows["real"], rows["synth"], everything)
    write_summary(folder, summary)
    return summary


def write_items(output: Path, searched: str) -> None:
    """The errors of each note of one search, as ``experiments.table`` compares searches by them."""
    rows = []
    for kind, columns in (("real", {"stft": "stft"}), ("synth", {"stft": "synth_stft", "param": "param"})):
        for path in sorted((output / searched / kind / "done").glob("*.json")):
            found = json.loads(path.read_text())
            errors = {column: found[key] for key, column in columns.items()}
            rows.append({"name": found["name"], **dict.fromkeys(ERRORS, math.nan), **errors})
    write_rows(output / "metrics.csv", rows)


def summarise(real: list[dict], synthetic: list[dict], everything: list[dict]) -> dict[str, float | None]:
    """The published numbers, and the renders, which compare methods as iterations cannot."""
    summary: dict[str, float | None] = {}
    for name, part, key in (
        ("stft", real, "stft"),
        ("synth_stft", synthetic, "stft"),
        ("param", synthetic, "param"),
    ):
        values = [row[key] for row in part]
        summary[f"{name}_mean"], summary[f"{name}_std"] = mean_and_deviation(values)
    seconds, iterations = (sum(row[key] for row in everything) for key in ("seconds", "iterations"))
    summary |= {"method_total_time": seconds, "total_iterations": iterations}
    summary["avg_iteration_time"] = seconds / iterations
    summary["total_renders"] = sum(row["renders"] for row in everything)
    return summary


@hydra.main(version_base="1.3", config_path="config", config_name="search")
def main(config: DictConfig) -> None:
    OmegaConf.resolve(config)
    if config.dataset not in ("real", "synthetic", "both"):
        raise ValueError(f"dataset is real, synthetic or both, got {config.dataset!r}.")
    notes = real_notes(config) if config.dataset != "synthetic" else []
    notes += synthetic_notes(config) if config.dataset != "real" else []
    summaries = {
        f"{method}_{excitation}": study(config, notes, method, excitation)
        for method in config.methods
        for excitation in config.excitations
    }
    write_table(Path(config.output), summaries, COLUMNS)
    if len(summaries) == 1:
        write_items(Path(config.output), next(iter(summaries)))
    logger.info("Wrote %s.", Path(config.output) / "table.csv")


if __name__ == "__main__":
    main()
