"""What a family of shipped mappings tells of itself: its index, its figures, its sounds and its card."""

import csv
from collections import defaultdict
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import soundfile
import torch
import yaml
from torch import Tensor

from drumblender.atomic import atomic_write
from drumblender.shipped import INDEX
from drumblender.sound_files import natural_order
from experiments.ship import About

FAMILY = "remap"
HEAD = (
    "# Mappings of a snare to a preset, written by experiments/remap/shelf.py; ../remap.md describes them.\n"
)


@dataclass(frozen=True)
class Numbers:
    """Of a family: the seed of all, and the means of bytes and of seconds of sound in one of a core."""

    seed: int
    size: float
    speed: float


@dataclass(frozen=True)
class Found:
    """What a run of a study is, and what was measured of it and of its baselines."""

    name: str
    snare: str
    preset: str
    algorithm: str
    hits: int
    figures: dict[str, dict[str, float]]
    sounds: Tensor  # what it answers to three hits that were left out, soft to loud

    @property
    def wins(self) -> bool:
        """Whether its loss is below that of each baseline."""
        return all(self.loss < known["loss"] for kind, known in self.figures.items() if kind != "model")

    @property
    def loss(self) -> float:
        return self.figures["model"]["loss"]


def write_index(rows: dict[str, dict[str, Any]], about: About, seed: int, folder: Path) -> None:
    """The index of the family, a paragraph for each of its rows."""
    trained = {name: getattr(about, name) for name in ("command", "hardware", "seconds")} | {"seed": seed}
    shared = {"system": about.system, "licence": about.licence, "trained": trained}
    parts = [HEAD + yaml.safe_dump({"shared": shared}, sort_keys=False, width=110), "rows:\n"]
    for name, row in rows.items():
        flow = yaml.safe_dump({name: row}, sort_keys=False, width=110, default_flow_style=None)
        parts.append("".join(f"  {line}\n" for line in flow.splitlines()))
    with atomic_write(folder / FAMILY / INDEX) as aside:
        aside.write_text("".join(parts), encoding="utf-8")


def write_figures(found: list[Found], folder: Path) -> None:
    """All measures of all runs and baselines, those included that do not ship."""
    with atomic_write(folder / FAMILY / "figures.csv") as aside, aside.open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["name", "ships", "kind", *found[0].figures["model"]])
        for run in found:
            for kind, known in run.figures.items():
                writer.writerow([run.name, run.wins, kind, *(f"{value:.4g}" for value in known.values())])


def write_sounds(found: list[Found], rate: int, folder: Path) -> None:
    """For each snare and mapping, what its presets answer to three hits, one after another."""
    groups: dict[tuple[str, str], list[Tensor]] = defaultdict(list)
    for run in found:
        if run.wins:
            groups[run.snare, run.algorithm].append(run.sounds)
    for (snare, algorithm), sounds in groups.items():
        sound = torch.cat(sounds)
        sound = sound * 0.9 / max(float(sound.abs().max()), 0.9)
        with atomic_write(folder / "sounds" / f"{FAMILY}_{snare}_{algorithm}.flac") as aside:
            soundfile.write(aside, sound.numpy(), rate, format="FLAC", subtype="PCM_16")


def table(found: list[Found]) -> str:
    """A row for each snare: its static preset, then the mappings around each preset."""
    algorithms = list(dict.fromkeys(run.algorithm for run in found))
    presets = list(dict.fromkeys(run.preset for run in found))
    known = {(run.snare, run.preset, run.algorithm): run for run in found}
    lines = [f"| snare | hits | static preset | {' | '.join(presets)} |", "|---" * (3 + len(presets)) + "|"]
    for snare in dict.fromkeys(run.snare for run in found):
        runs = [[known.get((snare, preset, kind)) for kind in algorithms] for preset in presets]
        cells = [" / ".join(_cell(run) for run in each) for each in runs]
        first = next(run for each in runs for run in each if run)
        still = first.figures["preset"]["loss"]
        lines.append(f"| {snare} | {first.hits} | {still:.3f} | {' | '.join(cells)} |")
    return "\n".join(lines)


def _cell(run: Found | None) -> str:
    if run is None:
        return "-"
    return f"{run.loss:.3f}" if run.wins else f"({run.loss:.3f})"


def write_card(found: list[Found], about: About, numbers: Numbers, folder: Path) -> None:
    """One card for all."""
    algorithms = list(dict.fromkeys(run.algorithm for run in found))
    ships = [run for run in found if run.wins]
    sounds = sorted((folder / "sounds").glob(f"{FAMILY}_*_*.flac"), key=natural_order)
    named = [path for path in sounds if path.stem.rpartition("_")[2] in algorithms]
    paragraphs = [
        f"# {FAMILY}",
        about.about,
        f"    drumblender remap checkpoints/{ships[0].name} IN.wav OUT.wav",
        "## Data",
        f"{about.data}. {about.credit}",
        f"Licence of the weights: {about.licence}.",
        "## Training",
        "\n".join(f"    {line}" for line in about.command.strip().splitlines()),
        f"{about.hardware}, {about.seconds / 60:.0f} minutes for all, seed {numbers.seed}.",
        "## Beside what needs no training",
        about.left_out,
        f"{len(ships)} of {len(found)} beat all baselines and ship; in brackets those that do not. Loss of "
        f"{' / '.join(algorithms)}:",
        table(found),
        f"Each makes {numbers.speed:.0f} seconds of sound in one of a core; {numbers.size / 1000:.0f} kB.",
        "## What it is bad at",
        about.bad_at,
        "## Sounds",
        "\n".join([*about.heard, "", *(f"- [{path.name}](sounds/{path.name})" for path in named)]),
    ]
    with atomic_write(folder / f"{FAMILY}.md") as aside:
        aside.write_text("\n\n".join(paragraphs) + "\n", encoding="utf-8")
