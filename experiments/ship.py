"""Make a trained run one of the checkpoints that ship:
``python -m experiments.ship CKPT NAME --about ABOUT.yaml --test DIR --hear A.wav B.wav C.wav``.

It writes ``checkpoints/NAME.ckpt``, weights and configuration alone; the row of ``checkpoints/index.yaml``;
the card ``checkpoints/NAME.md``; and, of recordings that are given, what the model makes of them as
``checkpoints/sounds/NAME_1.flac`` and so on. A model that does not beat its baselines on what was left out of
training is refused. ABOUT.yaml tells what no file knows: the fields of :class:`About`.
"""

import argparse
import csv
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import soundfile
import torch
import yaml

from drumblender.atomic import atomic_write, sha256_of
from drumblender.checkpoint_file import own_record, read_checkpoint, save_checkpoint
from drumblender.checkpoints import drawn_buffers, load_checkpoint
from drumblender.cli import run
from drumblender.config_check import checked_config
from drumblender.console import exit_status
from drumblender.inference.model import Model
from drumblender.inference.probe import probed
from drumblender.inference.shelf_command import beside_baselines
from drumblender.shipped import INDEX, Shipped, read_index

FOLDER = Path(__file__).parent.parent / "checkpoints"
_WORTH_LEAVING_OUT = 4096  # numbers in a buffer
_LONGEST_S = 8.0
_OF_PLACE = ("name", "family")  # of a row: what the index tells by where it stands


@dataclass(frozen=True)
class About:
    """What the card and the row say that no file of the run does.

    Args:
        system: The word of its task, such as ``drums``.
        data: What it was trained with, in a few words.
        credit: The sets, their licences and whom they ask to name.
        licence: Of the weights.
        command: That trained it.
        hardware: That it was trained on.
        seconds: That it took.
        about: What it is, in a sentence or two.
        left_out: What was left out of training, on which the figures are.
        bad_at: What it is bad at.
        heard: What each sound is, in the order of the recordings.
    """

    system: str
    data: str
    credit: str
    licence: str
    command: str
    hardware: str
    seconds: int
    about: str
    left_out: str
    bad_at: str
    heard: list[str] = field(default_factory=list)


def stripped(
    content: dict[str, Any], source: str, drawn: dict[str, torch.Tensor] | None = None
) -> dict[str, Any]:
    """A checkpoint without what only a training needs, and without buffers that its seed draws again.

    Args:
        content: The checkpoint.
        source: Its name, for messages.
        drawn: The buffers of a task that is built with its seed, where they are known.

    Raises:
        ValueError: It is no checkpoint of a run of ours.
    """
    record = own_record(content, source)
    config = {name: record["config"][name] for name in ("model", "data")}
    config = portable(checked_config(config, source=source))
    kept = {name: record["config"][name] for name in ("seed_everything", "name") if name in record["config"]}
    weights = {name: value.detach().clone().contiguous() for name, value in content["state_dict"].items()}
    new = {"version": record["version"], "sample_rate": record["sample_rate"], "config": config | kept}
    seed = kept.get("seed_everything")
    if isinstance(seed, int):
        names = _redrawn(drawn_buffers(config, seed, source=source) if drawn is None else drawn, weights)
        if names:
            new["redrawn"] = {"seed": seed, "names": names}
            weights = {name: value for name, value in weights.items() if name not in names}
    progress = {name: content[name] for name in ("epoch", "global_step", "pytorch-lightning_version")}
    return progress | {"state_dict": weights, "drumblender": new}


def _redrawn(drawn: dict[str, torch.Tensor], weights: dict[str, torch.Tensor]) -> list[str]:
    """Large buffers that building the task with the seed of the run makes again, bit by bit."""
    return [
        name
        for name, value in drawn.items()
        if name in weights and value.numel() >= _WORTH_LEAVING_OUT and torch.equal(value, weights[name])
    ]


def portable(config: Any) -> Any:
    """A configuration without places on the machine that trained: whole paths become ``dataset/NAME``.

    >>> portable({"data_dir": "/home/me/kits", "num_samples": 4})
    {'data_dir': 'dataset/kits', 'num_samples': 4}
    """
    if isinstance(config, dict):
        return {key: portable(value) for key, value in config.items()}
    if isinstance(config, list):
        return [portable(value) for value in config]
    if isinstance(config, str) and Path(config).is_absolute():
        return f"dataset/{Path(config).name}"
    return config


def figures(test: Path) -> dict[str, dict[str, float]]:
    """The means of model and baselines that a test has written, by kind.

    Raises:
        FileNotFoundError: The test has left none.
        ValueError: The model beats not all of its baselines by the first measure.
    """
    path = test / "baselines.csv"
    if not path.is_file():
        raise FileNotFoundError(f"No {path}: drumblender test CKPT writes it.")
    with path.open(newline="", encoding="utf-8") as file:
        table = {
            row.pop("kind"): {key: float(value) for key, value in row.items()} for row in csv.DictReader(file)
        }
    measure = next(iter(table["model"]))
    better = [kind for kind in table if kind != "model" and table[kind][measure] <= table["model"][measure]]
    if better:
        raise ValueError(f"The model does not beat {', '.join(better)} in {measure}: it is not shipped.")
    return table


def ship(checkpoint: Path, name: str, about: About, test: Path, hear: Sequence[Path] = ()) -> Shipped:
    """Write the file, the sounds, the row and the card; returns the row.

    Raises:
        ValueError: It does not beat its baselines, or sounds otherwise once it is stripped; or the card
            names another number of sounds than there are recordings.
    """
    if len(about.heard) != len(hear):
        raise ValueError(f"The card names {len(about.heard)} sounds, and {len(hear)} recordings are heard.")
    table = figures(test)
    path = FOLDER / f"{name}.ckpt"
    save_checkpoint(stripped(read_checkpoint(checkpoint), str(checkpoint)), path)
    check, speed = probed(Model(load_checkpoint(path)))
    if check != probed(Model(load_checkpoint(checkpoint)))[0]:
        path.unlink()
        raise ValueError(f"{checkpoint} sounds otherwise once what only a training needs is left out.")
    seed = read_checkpoint(path)["drumblender"]["config"].get("seed_everything")
    row = Shipped(
        name=name,
        system=about.system,
        file=path.name,
        sha256=sha256_of(path),
        size=path.stat().st_size,
        data=about.data,
        licence=about.licence,
        trained={
            "command": about.command,
            "hardware": about.hardware,
            "seconds": about.seconds,
            "seed": seed,
        },
        metrics=_rounded(table["model"]),
        baselines={kind: _rounded(values) for kind, values in table.items() if kind != "model"},
        render=round(speed, 1),
        check=_rounded(check, 4),
    )
    for number, recording in enumerate(hear, start=1):
        write_flac(path, recording, FOLDER / "sounds" / f"{name}_{number}.flac")
    write_row(row, FOLDER / INDEX)
    task = load_checkpoint(path).task
    line = f"{task.verb} {task.verb_takes.format(checkpoint=f'checkpoints/{name}')}"
    write_card(row, about, line, FOLDER / f"{name}.md")
    return row


def _rounded(values: dict[str, float], digits: int = 3) -> dict[str, float]:
    return {name: round(value, digits) for name, value in values.items()}


def write_flac(checkpoint: Path, recording: Path, path: Path) -> None:
    """What a checkpoint makes of a recording, as its verb plays it: the start of it, as 16-bit FLAC."""
    verb = load_checkpoint(checkpoint).task.verb
    with tempfile.TemporaryDirectory() as folder:
        played = Path(folder) / "played.wav"
        words = [str(checkpoint), str(recording), str(played)]
        if verb == "pitch":
            words = [str(recording), str(played.with_suffix(".csv")), "--tracker", str(checkpoint), "--sound"]
        if run([verb, *words]):
            raise ValueError(f"{checkpoint} could not play {recording}.")
        sound, rate = soundfile.read(played, dtype="float32")
    sound = sound[: int(_LONGEST_S * rate)]
    with atomic_write(path) as aside:
        soundfile.write(
            aside, sound / max(1.0, abs(sound).max() / 0.99), rate, format="FLAC", subtype="PCM_16"
        )


def write_row(row: Shipped, path: Path) -> None:
    """Put a row into an index, in place of an older one of its name; the comment on top stays."""
    rows = read_index(path) | {row.name: row}
    head = [line for line in path.read_text(encoding="utf-8").splitlines() if line.startswith("#")]
    told = {}
    for name in sorted(rows):
        fields = asdict(rows[name])
        told[name] = {
            key: value for key, value in fields.items() if key not in _OF_PLACE and value is not None
        }
    text = yaml.safe_dump(told, sort_keys=False, width=110, allow_unicode=True)
    with atomic_write(path) as aside:
        aside.write_text("\n".join([*head, text]), encoding="utf-8")


def write_card(row: Shipped, about: About, line: str, path: Path) -> None:
    """The card of a checkpoint: the line that plays it, what it was trained with and how, figures beside
    baselines, limits."""
    measures = list(row.metrics)
    kinds = {"**this checkpoint**": row.metrics} | row.baselines
    rows = [f"| {kind} | {' | '.join(f'{known[m]:g}' for m in measures)} |" for kind, known in kinds.items()]
    sounds = sorted((path.parent / "sounds").glob(f"{row.name}_*.flac"))
    heard = [
        f"- [{sound.name}](sounds/{sound.name}): {what}"
        for sound, what in zip(sounds, about.heard, strict=False)
    ]
    paragraphs = [
        f"# {row.name}",
        about.about,
        f"    drumblender {line}",
        "## Data",
        f"{row.data}. {about.credit}",
        f"Licence of the weights: {row.licence}.",
        "## Training",
        "\n".join(f"    {line}" for line in about.command.strip().splitlines()),
        f"{about.hardware}, {about.seconds / 60:.0f} minutes, seed {row.trained['seed']}.",
        "## Beside what needs no training",
        about.left_out,
        "\n".join([f"| | {' | '.join(measures)} |", f"|---|{'---|' * len(measures)}", *rows]),
        f"It makes {row.render:g} seconds of sound in a second of one core. {row.size / 1000:.0f} kB.",
        "## What it is bad at",
        about.bad_at,
        *(["## Sounds", "\n".join(heard)] if heard else []),
    ]
    with atomic_write(path) as aside:
        aside.write_text("\n\n".join(paragraphs) + "\n", encoding="utf-8")


def read_about(path: Path) -> About:
    """The fields of :class:`About` from a YAML file.

    Raises:
        ValueError: One is missing, or not known.
    """
    try:
        return About(**yaml.safe_load(path.read_text(encoding="utf-8")))
    except TypeError as error:
        raise ValueError(f"{path}: {str(error).removeprefix('About.__init__() ')}.") from error


def parser() -> argparse.ArgumentParser:
    """The command line."""
    own = argparse.ArgumentParser(prog="python -m experiments.ship")
    own.add_argument("checkpoint", type=Path, help="of a finished run")
    own.add_argument("name", help="what users will call it")
    own.add_argument("--about", type=Path, required=True, help="YAML with what the card says")
    own.add_argument("--test", type=Path, required=True, help="the folder in which a test left baselines.csv")
    own.add_argument("--hear", type=Path, nargs="*", default=[], help="recordings that it plays for the card")
    return own


def _main() -> int:
    given = parser().parse_args()
    row = ship(given.checkpoint, given.name, read_about(given.about), given.test, given.hear)
    print(f"{row.path}: {row.size / 1000:.0f} kB, {beside_baselines(row)}")
    return 0


if __name__ == "__main__":
    sys.exit(exit_status(_main, program="experiments.ship", debug="--debug" in sys.argv))
