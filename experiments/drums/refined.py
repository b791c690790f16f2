"""What refinement adds on drums of kits that never trained: one command.

    python -m experiments.drums.refined DRUMS_FOLDER --each 4

plays some drums of each class of the test kits (``config/kits.yaml``; a table ``SOURCES.csv`` with the
columns file, kit and label) as ``drumblender synth`` does, before and after ``--refine`` steps of descent on
the one recording, and writes MR-STFT / LSD / BLD of both, with noise that neither descent nor choice has
heard.
"""

import argparse
import csv
import sys
import time
from collections import defaultdict
from pathlib import Path
from typing import NamedTuple

import torch
import yaml
from torch.nn import functional

from drumblender.audio_io import read_audio
from drumblender.checkpoints import Loaded, load_checkpoint
from drumblender.console import exit_status
from drumblender.data.prepare.one_shot import first_non_silent_sample
from drumblender.inference.refined import refined_controls
from drumblender.inference.shelf import find_checkpoint
from drumblender.tasks.measures import measured
from experiments.drums.unseen import CLASSES, DATA, MEASURES

_OTHER_NOISE = 7


class Refinement(NamedTuple):
    """What one drum gave."""

    name: str
    before: dict[str, float]
    after: dict[str, float]
    cpu_s: float


def drums_of(folder: Path, each: int) -> dict[str, list[Path]]:
    """Drums of the test kits by class, ``each`` of a class, evenly through their order.

    Raises:
        ValueError: There is none, or none is asked for.
    """
    if each < 1:
        raise ValueError(f"--each starts at 1, got {each}.")
    kits = yaml.safe_load(DATA.read_text())["init_args"]["test_kits"]
    found: dict[str, list[Path]] = defaultdict(list)
    with (folder / "SOURCES.csv").open(newline="", encoding="utf-8") as file:
        for row in csv.DictReader(file):
            if row["kit"] in kits and row["label"] in CLASSES:
                found[row["label"]].append(folder / row["file"])
    if not found:
        raise ValueError(f"{folder} holds no drum of the test kits {', '.join(kits)}.")
    return {
        label: sorted(found[label])[:: max(1, len(found[label]) // each)][:each]
        for label in CLASSES
        if label in found
    }


def refined(loaded: Loaded, path: Path, steps: int) -> Refinement:
    """Play a drum before and after its refinement."""
    audio, _ = read_audio(path, loaded.sample_rate, dc="remove")
    heard = audio[first_non_silent_sample(audio) or 0 :]
    target = functional.pad(heard, (0, max(0, loaded.data.num_samples - len(heard))))[None]
    batch = {"audio": target, **loaded.data.analyse(target)}
    with torch.no_grad():
        start = loaded.task.voice_controls(batch)
    began = time.process_time()
    moved, _ = refined_controls(loaded.task, batch, steps)
    spent_s = time.process_time() - began
    figures = []
    for controls in (start, moved):
        with torch.no_grad(), torch.random.fork_rng():
            torch.manual_seed(_OTHER_NOISE)
            sound = loaded.task.render(batch, controls)[:, : len(heard)]
        told = measured(sound, target[:, : len(heard)], loaded.sample_rate)
        figures.append({name: float(told[name][0]) for name in MEASURES})
    return Refinement(path.stem, *figures, spent_s)


def table(found: dict[str, list[Refinement]]) -> str:
    """Means of each class, before and after, as Markdown; the change is that of each drum's MR-STFT."""
    lines = ["| | drums | before | after | MR-STFT | CPU s |", "|---|---|---|---|---|---|"]
    for label, rows in (found | {"all": [row for part in found.values() for row in part]}).items():
        cells = [
            " / ".join(
                f"{sum(figures[name] for figures in figures_of_all) / len(rows):.3g}" for name in MEASURES
            )
            for figures_of_all in ([row.before for row in rows], [row.after for row in rows])
        ]
        changes = [row.after["mrstft"] / row.before["mrstft"] - 1 for row in rows]
        cells += [
            f"{100 * sum(changes) / len(rows):+.1f} %",
            f"{sum(row.cpu_s for row in rows) / len(rows):.1f}",
        ]
        lines.append(f"| {label} | {len(rows)} | {' | '.join(cells)} |")
    return "\n".join(lines) + "\n"


def main(args: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m experiments.drums.refined", description=__doc__)
    parser.add_argument("raw_dir", type=Path, help="a folder of drums with SOURCES.csv")
    parser.add_argument(
        "--checkpoint", default="checkpoints/drums_small", help="a file, or a name on the shelf"
    )
    parser.add_argument("--steps", type=int, default=50)
    parser.add_argument("--each", type=int, default=4, help="drums of a class")
    parser.add_argument("--output", type=Path, default=Path(__file__).parent / "results", help="a folder")
    given = parser.parse_args(args)
    torch.set_num_threads(1)
    loaded = load_checkpoint(find_checkpoint(given.checkpoint))
    chosen = drums_of(given.raw_dir, given.each)
    found = {label: [refined(loaded, path, given.steps) for path in paths] for label, paths in chosen.items()}
    settings = f"--each {given.each} --steps {given.steps} --checkpoint {given.checkpoint}"
    said = f"`python -m experiments.drums.refined DRUMS {settings}` (MR-STFT / LSD / BLD)"
    text = f"{said}, {time.strftime('%Y-%m-%d')}\n\n{table(found)}"
    given.output.mkdir(parents=True, exist_ok=True)
    (given.output / f"refined_{Path(given.checkpoint).stem}.md").write_text(text, encoding="utf-8")
    print(text)
    return 0


if __name__ == "__main__":
    sys.exit(exit_status(main, program="experiments.drums.refined"))
