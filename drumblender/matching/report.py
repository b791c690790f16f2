"""The files that tell of a match: sounds, controls, how the loss fell, a picture."""

import csv
import json
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from jaxtyping import Float
from torch import Tensor

from drumblender.atomic import atomic_write
from drumblender.audio_io import write_wav
from drumblender.matching.match import Match
from drumblender.matching.search import Progress
from drumblender.types import Controls

if TYPE_CHECKING:
    from matplotlib.axes import Axes


def write_report(
    folder: Path,
    found: Match,
    target: Float[Tensor, "samples"],
    sample_rate: int,
    settings: dict[str, Any],
) -> None:
    """Write ``match.wav``, ``target.wav``, ``controls.json``, ``loss.csv``, ``loss.png`` and ``match.png``.

    Args:
        folder: Made where it is not there; files in it are replaced.
        found: What the search found.
        target: What was to be imitated.
        sample_rate: Of both sounds.
        settings: Written in front of the controls, so that the file says what it belongs to.
    """
    folder.mkdir(parents=True, exist_ok=True)
    target, audio = target.float().cpu(), found.audio.float().cpu()
    write_wav(folder / "match.wav", audio, sample_rate)
    write_wav(folder / "target.wav", target, sample_rate)
    with atomic_write(folder / "controls.json") as aside:
        Path(aside).write_text(_controls_text(found, settings))
    with atomic_write(folder / "loss.csv") as aside, Path(aside).open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(Progress._fields)
        writer.writerows(
            (row.renders, f"{row.seconds:.4f}", f"{row.loss:.6g}", f"{row.best:.6g}") for row in found.history
        )
    draw_loss(found.history, folder / "loss.png")
    from drumblender.callbacks.picture import draw_pairs  # imports Lightning, which takes seconds
    from drumblender.callbacks.sounds import Pair

    figure = draw_pairs([Pair(target, audio)], sample_rate, [f"loss {found.loss:.4g}"])
    figure.set_size_inches(8, 7)
    figure.savefig(folder / "match.png", dpi=120)


def draw_loss(history: list[Progress], path: Path) -> None:
    """Draw the loss against renders and against seconds."""
    from matplotlib.figure import Figure  # slow to import

    from drumblender.callbacks.picture import PREDICTION_COLOUR, TARGET_COLOUR  # imports Lightning

    figure = Figure(figsize=(8, 3.2), layout="constrained", facecolor="white")
    left, right = figure.subplots(1, 2, sharey=True)
    colours = (TARGET_COLOUR, PREDICTION_COLOUR)
    _draw_curve(left, [row.renders for row in history], history, colours)
    _draw_curve(right, [row.seconds for row in history], history, colours)
    left.set_xlabel("renders", fontsize=9)
    right.set_xlabel("seconds", fontsize=9)
    left.set_ylabel("loss", fontsize=9)
    right.legend(frameon=False, fontsize=8)
    figure.savefig(path, dpi=120)


def _draw_curve(
    axes: "Axes", places: Sequence[float], history: list[Progress], colours: tuple[str, str]
) -> None:
    batch, best = colours
    light = {"linewidth": 0.8, "alpha": 0.45}
    axes.plot(places, [row.loss for row in history], color=batch, label="best of each batch", **light)
    axes.plot(places, [row.best for row in history], color=best, linewidth=1.6, label="best so far")
    if all(row.best > 0 for row in history):
        axes.set_yscale("log")
    axes.tick_params(which="both", labelsize=8, colors="#555555")
    for side in ("top", "right"):
        axes.spines[side].set_visible(False)


def read_controls(path: Path) -> Controls:
    """The controls of a ``controls.json``, ``(1, frames, size)`` as a synth takes them.

    A control may also be one number, or a list of numbers: one frame.

    Raises:
        FileNotFoundError: No such file.
        ValueError: No JSON, or a control is not numbers of equal rows.
    """
    if not path.is_file():
        raise FileNotFoundError(f"No controls {path}.")
    try:
        content = json.loads(path.read_text())
        listed = content.get("controls", content)
        return {name: as_control(value) for name, value in listed.items()}
    except (json.JSONDecodeError, UnicodeDecodeError, AttributeError, TypeError, ValueError) as error:
        raise ValueError(
            f'{path} holds no controls: expected {{"controls": {{name: [[...], ...]}}}} in JSON. {error}'
        ) from error


def as_control(value: float | list[float] | list[list[float]]) -> Float[Tensor, "1 frames size"]:
    """One number, numbers of one frame, or frames of numbers."""
    tensor = torch.tensor(value, dtype=torch.float32)
    if tensor.ndim > 2 or tensor.numel() == 0:
        raise ValueError(
            f"A control is a number, a list or a list of lists, got shape {tuple(tensor.shape)}."
        )
    return tensor.reshape(1, *((1,) * (2 - tensor.ndim)), *tensor.shape)


def _controls_text(found: Match, settings: dict[str, Any]) -> str:
    """JSON with one line a frame, so that people can read it and compare two."""
    parts = [*(f"  {json.dumps(key)}: {json.dumps(value)}" for key, value in settings.items())]
    # Two sections: units are for people; a string shares its taps out, and no unit leads back from there.
    parts += [f'  "{name}": {_named(group)}' for name, group in _groups(found)]
    return "{\n" + ",\n".join(parts) + "\n}\n"


def _groups(found: Match) -> Iterable[tuple[str, Controls]]:
    return ("units", found.units), ("controls", found.controls)


def _named(controls: Controls) -> str:
    rows = (f"    {json.dumps(name)}: {_frames(value[0])}" for name, value in controls.items())
    return "{\n" + ",\n".join(rows) + "\n  }"


def _frames(value: Float[Tensor, "frames size"]) -> str:
    lines = [json.dumps([float(f"{number:.9g}") for number in row]) for row in value.float().cpu().tolist()]
    return f"[{lines[0]}]" if len(lines) == 1 else "[\n      " + ",\n      ".join(lines) + "\n    ]"
