"""Known patches found again: ``python -m experiments.recovery.search method=newton``.

Patches of every synth that plays without a recording are drawn, and searched from starts whose numbers are up
to a quarter of their range off; what makes noise makes other noise in the search. Errors are mean distances
of all numbers as parts of their range: of the start, of what was found, and of what the same search makes of
the known controls themselves (the floor: what the loss and the noise take away). Sounds are compared, too,
by one loss for all searches: of the start, of what was found, and of the known controls with the noise of the
search. ``metrics.csv`` has a row for each patch; a patch that is done is not searched again.
"""

import csv
import json
import logging
import sys
import time
from pathlib import Path
from typing import Any

import hydra
import torch
from omegaconf import DictConfig
from torch import nn

from drumblender.atomic import atomic_write, write_json
from drumblender.console import exit_status
from drumblender.matching.genetic import GeneticSettings
from drumblender.matching.objective import Objective
from drumblender.matching.search import Search
from drumblender.types import Controls
from experiments.recovery.patches import KINDS, RATE, Patch, draw, error
from experiments.strings.inference import load_part

logger = logging.getLogger(__name__)


def find(patch: Patch, start: Controls, loss: nn.Module, config: DictConfig) -> tuple[float, Objective]:
    """Search a patch; the error of what has the lowest loss, and the search."""
    genetic = GeneticSettings(config.population, config.parents)
    settings = (config.renders, 1, config.lr, genetic, config.patience, config.min_delta, config.seed)
    objective = Objective(patch.audio, patch.synth, loss, patch.space)
    Search(config.method, *settings).run(objective, start, RATE)
    return error(objective.best_unit, patch.known), objective


def heard(patch: Patch, unit: Controls, ear: nn.Module) -> float:
    """How far controls in (0, 1) sound from the patch."""
    with torch.no_grad():
        audio = patch.synth(patch.space.controls(unit), len(patch.audio))
        return float(ear(audio, patch.audio[None]))


def recover(kind: str, number: int, loss: nn.Module, ear: nn.Module, config: DictConfig) -> dict[str, Any]:
    """One patch: what the table says of it, under its own name and under that of its synth."""
    patch = draw(kind, number, config.seed)
    begin = time.process_time()
    end, search = find(patch, patch.start, loss, config)
    seconds = time.process_time() - begin
    row = {"start": error(patch.start, patch.known), "end": end, "renders": search.renders, "cpu_s": seconds}
    if config.floor:
        row["floor"], _ = find(patch, patch.known, loss, config)
    for name, unit in (("start", patch.start), ("end", search.best_unit), ("known", patch.known)):
        row[f"{name}_sound"] = heard(patch, unit, ear)
    return {"name": patch.name} | row | {f"{kind}/{name}": row[name] for name in row if name != "renders"}


def run(config: DictConfig) -> int:
    """All patches; the exit status."""
    if unknown := sorted(set(config.kinds or []) - set(KINDS)):
        raise ValueError(f"No synth {', '.join(unknown)}; there are {', '.join(KINDS)}.")
    if config.patches < 1:
        raise ValueError(f"Needs a patch of each synth or more, got patches={config.patches}.")
    loss, ear = load_part(nn.Module, config.loss), load_part(nn.Module, config.ear)
    rows = []
    for kind in config.kinds or KINDS:
        for number in range(config.patches):
            done = Path(config.output) / "done" / f"{kind}-{number}.json"
            if not done.is_file():
                write_json(done, recover(kind, number, loss, ear, config))
            rows.append(json.loads(done.read_text()))
            found = rows[-1]
            logger.info("%s: %.3f -> %.3f.", found["name"], found["start"], found["end"])
    columns = list(dict.fromkeys(name for row in rows for name in row))
    with atomic_write(Path(config.output) / "metrics.csv") as aside, aside.open("w", newline="") as file:
        writer = csv.DictWriter(file, columns, restval="nan")
        writer.writeheader()
        writer.writerows(rows)
    return 0


@hydra.main(version_base="1.3", config_path="config", config_name="search")
def main(config: DictConfig) -> None:
    if status := exit_status(lambda: run(config), program="experiments.recovery"):
        sys.exit(status)


if __name__ == "__main__":
    main()
