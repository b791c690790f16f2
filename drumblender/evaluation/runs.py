"""What tested runs have left on the disk: sounds, metrics of each item, curves of the training."""

import csv
import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from drumblender.atomic import read_json
from drumblender.sound_files import READABLE

Curve = list[tuple[float, float]]


@dataclass(frozen=True)
class Run:
    """One run.

    Attributes:
        name: What tells it from the others.
        sounds: For each item the file of each of its sounds: ``target`` where there is one, ``pred``, then
            the voices of ``voices/<voice>/`` where there are some.
        metrics: For each item the number of each metric.
        controls: For each item the file of what its voices were played with, where there is one.
        curves: What was logged in training, over steps.
    """

    name: str
    sounds: dict[str, dict[str, Path]]
    metrics: dict[str, dict[str, float]]
    curves: dict[str, Curve]
    controls: dict[str, Path]

    def means(self) -> dict[str, float]:
        """The mean of each metric over the items that have a finite one."""
        columns: dict[str, list[float]] = {}
        for row in self.metrics.values():
            for name, value in row.items():
                columns.setdefault(name, []).append(value)
        finite = {name: [v for v in values if math.isfinite(v)] for name, values in columns.items()}
        return {name: math.fsum(v) / len(v) if v else math.nan for name, v in finite.items()}


def read_runs(folders: Sequence[Path]) -> list[Run]:
    """Read runs, named by what their paths do not share.

    Raises:
        ValueError: No folder, one without sounds, or a table that cannot be read.
    """
    return [read_run(folder, name) for folder, name in zip(folders, _names(folders), strict=True)]


def read_run(folder: Path, name: str) -> Run:
    """Read the folder of a run, whose ``test/`` or ``predict/`` has the sounds, or such a folder itself.

    Of a training that was tested in a folder of its own, as ``drumblender test CKPT`` does, those sounds and
    the curves of the training.

    Raises:
        ValueError: As :func:`read_runs`.
    """
    if not folder.is_dir():
        raise ValueError(f"{folder} is no folder of a run.")
    places = (folder, folder / "test", folder / "predict", *tests_of(folder))
    where = next((place for place in places if _has(place)), None)
    if where is None:
        checkpoint = next((path for path in (folder / "checkpoints").glob("best*.ckpt")), "CKPT")
        raise ValueError(
            f"{folder} has no pred/ with sounds, nor has its test/, and no test of its checkpoints is beside "
            f"it: run `drumblender test {checkpoint}` first, and report the folder that it names."
        )
    kinds = {kind: where / kind for kind in ("target", "pred") if (where / kind).is_dir()}
    kinds |= {path.name: path for path in sorted((where / "voices").glob("*")) if path.is_dir()}
    sounds: dict[str, dict[str, Path]] = {}
    for kind, place in kinds.items():
        for path in _audio(place):
            sounds.setdefault(path.stem, {})[kind] = path
    metrics, curves = read_metrics(where / "metrics.csv"), read_curves(folder)
    controls = {path.stem: path for path in (where / "controls").glob("*.npz")}
    return Run(name, dict(sorted(sounds.items())), metrics, curves, controls)


def tests_of(folder: Path) -> list[Path]:
    """Where the checkpoints of a training were tested, the newest first: ``../NAME-test/version_0/test``."""
    own, here = folder.resolve(), Path.cwd()
    if len(own.parts) < 3:  # would search the whole disk
        return []
    runs = own.parent.parent
    runs = runs.relative_to(here) if runs.is_relative_to(here) and not folder.is_absolute() else runs
    records = sorted(runs.glob("*/*/test/tested.json"), key=lambda path: path.stat().st_mtime, reverse=True)
    return [path.parent for path in records if own in _checkpoint(path).parents]


def _checkpoint(record: Path) -> Path:
    """What a test says that it tested; an empty path where the file is not what a test writes."""
    try:
        return Path(read_json(record)["checkpoint"])
    except (ValueError, KeyError, TypeError):
        return Path()


def read_metrics(path: Path) -> dict[str, dict[str, float]]:
    """The table that a test writes, by item; empty where there is none.

    Raises:
        ValueError: No column of names, or a cell that is no number.
    """
    if not path.is_file():
        return {}
    with path.open(newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    if rows and "name" not in rows[0]:
        raise ValueError(f"{path} has no column 'name'; it is not what `drumblender test` writes.")
    try:
        return {row.pop("name"): {key: float(cell) for key, cell in row.items()} for row in rows}
    except (TypeError, ValueError) as error:
        raise ValueError(f"{path} has a cell that is no number: {error}.") from error


def read_curves(folder: Path) -> dict[str, Curve]:
    """The losses that Lightning's CSV or TensorBoard logger wrote; empty where neither did."""
    table = folder / "metrics.csv"
    if table.is_file():
        return _csv_curves(table)
    if not any(folder.glob("events.out.tfevents.*")):
        return {}
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    events = EventAccumulator(str(folder), size_guidance={"scalars": 1000})
    events.Reload()
    names = [name for name in events.Tags()["scalars"] if _is_loss(name)]
    return {name: [(event.step, event.value) for event in events.Scalars(name)] for name in names}


def _csv_curves(table: Path) -> dict[str, Curve]:
    curves: dict[str, Curve] = {}
    with table.open(newline="", encoding="utf-8") as file:
        for row in csv.DictReader(file):
            for name, cell in row.items():
                if name and _is_loss(name) and cell and row.get("step"):
                    curves.setdefault(name, []).append((float(row["step"]), float(cell)))
    return curves


def _is_loss(name: str) -> bool:
    return name in ("train/loss", "validation/loss")


def _audio(folder: Path) -> list[Path]:
    return sorted(path for path in folder.iterdir() if path.suffix.lower() in READABLE)


def _has(folder: Path) -> bool:
    return (folder / "pred").is_dir() and bool(_audio(folder / "pred"))


def _names(folders: Sequence[Path]) -> list[str]:
    """The last parts of the paths, as few as tell them apart; without an end that all share."""
    parts = [folder.resolve().parts for folder in folders]
    while len(parts) > 1 and len({part[-1:] for part in parts}) == 1 and all(len(part) > 1 for part in parts):
        parts = [part[:-1] for part in parts]
    for count in range(1, max(map(len, parts), default=1) + 1):
        names = ["/".join(part[-count:]) for part in parts]
        if len(set(names)) == len(names):
            return names
    raise ValueError("A run is named twice.")
