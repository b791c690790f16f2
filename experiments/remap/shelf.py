"""Make the mappings of studies checkpoints that ship, all as one family:
``python -m experiments.remap.shelf STUDY... --about ABOUT.yaml``.

STUDY is the output of ``experiments.remap.study`` with ``checkpoints=true``. For each of its runs that beats
all of its baselines on hits left out, this writes ``checkpoints/remap/NAME.ckpt`` and a row of
``checkpoints/remap/index.yaml``; then ``figures.csv`` with all that was measured, also of those that stay
behind, a sound for each snare and mapping, and the card ``checkpoints/remap.md``.
"""

import argparse
import copy
import sys
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from drumblender.atomic import sha256_of
from drumblender.checkpoint_file import read_checkpoint, save_checkpoint
from drumblender.checkpoints import Loaded, drawn_buffers, load_checkpoint, load_weights
from drumblender.console import exit_status
from drumblender.data import RemapDataModule
from drumblender.inference.model import Model
from drumblender.inference.probe import probed
from drumblender.sound_files import natural_order
from drumblender.tasks import RemapTask
from experiments.remap.family import (
    FAMILY,
    Found,
    Numbers,
    table,
    write_card,
    write_figures,
    write_index,
    write_sounds,
)
from experiments.ship import FOLDER, About, read_about, stripped

_HIT_S, _FADE_S = 0.3, 0.05
_SHORT = {"808_noisy_snare": "noisy", "808_open_snare": "open"}


class Shelf:
    """Reads the runs of one algorithm; they differ in numbers only, so that one task plays all of them.

    Args:
        folder: Of checkpoints, named after the algorithm.
        hits: Of the snares, by path; filled as they are needed.
    """

    def __init__(self, folder: Path, hits: dict[str, RemapDataModule]) -> None:
        self.algorithm = folder.name
        self.paths = sorted(folder.glob("*.ckpt"), key=natural_order)
        if not self.paths:
            raise FileNotFoundError(f"No checkpoints in {folder}: run the study with checkpoints=true.")
        first = load_checkpoint(self.paths[0])
        if not isinstance(first.task, RemapTask) or not isinstance(first.data, RemapDataModule):
            raise ValueError(f"{self.paths[0]} is no mapping.")
        self.task, self.any_data = first.task, first.data
        record = read_checkpoint(self.paths[0])["drumblender"]
        self.drawn = drawn_buffers(record["config"], record["config"]["seed_everything"], source="the study")
        self.hits = hits

    def hits_of(self, path: str) -> RemapDataModule:
        """The hits of a snare, described once."""
        if path not in self.hits:
            self.hits[path] = copy.copy(self.any_data)
            self.hits[path].path = Path(path)
            self.hits[path].setup("test")
        return self.hits[path]

    def measured(self, path: Path) -> tuple[Found, dict[str, Any], Model]:
        """What a run is worth, its checkpoint as it would ship, and how it is played."""
        content = read_checkpoint(path)
        load_weights(self.task, content["state_dict"], source=str(path))
        data = self.hits_of(content["drumblender"]["config"]["data"]["init_args"]["path"])
        batch = data.batch_of(data.test_ids)
        compared = self.task.compare(batch)
        del compared["untrained"]  # of the first run, not of this
        figures = {
            kind: {name: float(values.mean()) for name, values in measures.items()}
            for kind, measures in compared.items()
        }
        snare, preset, _ = path.stem.split("-")
        snare = snare.removeprefix("frank_")
        preset = _SHORT.get(preset, preset.removeprefix("808_"))
        name = f"{FAMILY}_{snare}_{preset}_{self.algorithm}"
        sounds = self._sounds(data)
        found = Found(name, snare, preset, self.algorithm, len(data.hits.full), figures, sounds)
        return found, content, Model(Loaded(self.task, data, self.task.sample_rate))

    @torch.no_grad()
    def _sounds(self, data: RemapDataModule) -> Tensor:
        ordered = data.test_ids[data.hits.full[data.test_ids, 0].argsort()]
        three = ordered[[0, len(ordered) // 2, -1]]
        rate = self.task.sample_rate
        with self.task.repeatable(0):
            sound = self.task(data.batch_of(three))[:, : round(_HIT_S * rate)]
        sound[:, -round(_FADE_S * rate) :] *= torch.linspace(1, 0, round(_FADE_S * rate))
        return sound.flatten()


def put(found: Found, content: dict[str, Any], model: Model, drawn: dict[str, Tensor]) -> dict[str, Any]:
    """Write a checkpoint; returns its row, less what all rows share."""
    path = FOLDER / FAMILY / f"{found.name}.ckpt"
    save_checkpoint(stripped(content, found.name, drawn), path)
    check, speed = probed(model)
    return {
        "file": path.name,
        "sha256": sha256_of(path),
        "size": path.stat().st_size,
        "data": f"{found.hits} hits of a snare ({found.snare})",
        "metrics": {"loss": round(found.loss, 4)},
        "baselines": {
            kind: {"loss": round(known["loss"], 4)}
            for kind, known in found.figures.items()
            if kind != "model"
        },
        "render": round(speed),
        "check": {name: round(value, 4) for name, value in check.items()},
    }


def ship_all(studies: list[Path], about: About) -> list[Found]:
    """Measure all runs of some studies, and ship those that win; returns all."""
    (FOLDER / FAMILY).mkdir(exist_ok=True)
    found, rows, hits, seed, rate = [], {}, {}, 0, 0
    for study in studies:
        for folder in sorted((study / "checkpoints").iterdir()):
            shelf = Shelf(folder, hits)
            for path in shelf.paths:
                run, content, model = shelf.measured(path)
                found.append(run)
                if run.wins:
                    rows[run.name] = put(run, content, model, shelf.drawn)
                    seed = content["drumblender"]["config"]["seed_everything"]
                    rate = model.sample_rate
    if not rows:
        raise ValueError("No run beats its baselines: nothing ships.")
    write_index({name: rows[name] for name in sorted(rows)}, about, seed, FOLDER)
    write_figures(found, FOLDER)
    write_sounds(found, rate, FOLDER)
    size, speed = (sum(row[name] for row in rows.values()) / len(rows) for name in ("size", "render"))
    write_card(found, about, Numbers(seed, size, speed), FOLDER)
    return found


def _main() -> int:
    parser = argparse.ArgumentParser(prog="python -m experiments.remap.shelf")
    parser.add_argument("study", type=Path, nargs="+", help="output of experiments.remap.study")
    parser.add_argument("--about", type=Path, required=True, help="YAML with what the card says")
    given = parser.parse_args()
    found = ship_all(given.study, read_about(given.about))
    print(table(found))
    print(f"{sum(run.wins for run in found)} of {len(found)} ship.")
    return 0


if __name__ == "__main__":
    sys.exit(exit_status(_main, program="experiments.remap.shelf"))
