"""The files that tell of a match: sounds, controls, how the loss fell, a picture."""

import csv
import json
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from jaxtyping import Float
from torch import Tensor

from drumblender.atomic import atomic_write, read_json
from drumblender.audio_io import write_wav
from drumblender.matching.match import Match
from drumblender.matching.objective import Progress
from drumblender.sound_files import check_apart
from drumblender.synths.base import Synth
from drumblender.synths.preset import listed_frames, load_controls, real_units
from drumblender.types import Controls

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_SOUNDS = ("match.wav", "target.wav", "a_target.wav", "b_match.wav")


def write_report(
    folder: Path,
    found: Match,
    target: Float[Tensor, "samples"],
    sample_rate: int,
    synth: Synth,
    settings: dict[str, Any],
) -> None:
    """Write ``match.wav``, ``target.wav``, ``controls.json``, ``loss.csv``, ``loss.png`` and ``match.png``.

    ``a_target.wav`` and ``b_match.wav`` are the same two at equal RMS, for comparing by ear.
    ``controls.json`` is a preset: it holds the controls in real units, and the synth that plays them.

    Args:
        folder: Made where it is not there; files in it are replaced.
        found: What the search found.
        target: What was to be imitated.
        sample_rate: Of both sounds.
        synth: What plays the controls.
        settings: Written after the controls, so that the file says what it belongs to.
    """
    folder.mkdir(parents=True, exist_ok=True)
    target, audio = target.float().cpu(), found.audio.float().cpu()
    for name, sound in zip(_SOUNDS, (audio, target, *_at_one_level(target, audio)), strict=True):
        write_wav(folder / name, sound, sample_rate)
    with atomic_write(folder / "controls.json") as aside:
        Path(aside).write_text(_controls_text(found, synth, settings))
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


def check_reports(sources: Iterable[Path], folders: Iterable[Path]) -> None:
    """Refuse folders in which a report would be written over a recording (ValueError)."""
    check_apart(sources, [folder / name for folder in folders for name in _SOUNDS])


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


def _at_one_level(*sounds: Float[Tensor, "samples"]) -> list[Float[Tensor, "samples"]]:
    """The sounds with the RMS of the first, or as much less as keeps the highest peak below full scale."""
    rms = [sound.square().mean().sqrt().clamp(min=1e-9) for sound in sounds]
    levelled = [sound * (rms[0] / own) for sound, own in zip(sounds, rms, strict=True)]
    peak = max(float(sound.abs().max()) for sound in levelled)
    return [sound / max(peak, 1.0) for sound in levelled]


def read_start(path: Path, synth: Synth) -> Controls:
    """The controls of a ``controls.json`` or any preset, ``(1, frames, size)`` as the synth takes them.

    Files of version 0.2 and before, which hold ``controls`` in (0, 1), are read as well.

    Raises:
        FileNotFoundError: No such file.
        ValueError: No JSON, or it holds no controls of this synth.
    """
    if not path.is_file():
        raise FileNotFoundError(f"No controls {path}.")
    try:
        content = read_json(path)
    except ValueError as error:
        raise ValueError(
            f'{path} holds no controls: expected {{"preset": {{...}}}} in JSON. {error}'
        ) from error
    if not isinstance(content, dict) or "preset" in content or "controls" not in content:
        return load_controls(path, synth)
    try:
        return {
            name: torch.tensor(value, dtype=torch.float32).reshape(1, -1, synth.control_sizes[name])
            for name, value in content["controls"].items()
        }
    except (KeyError, AttributeError, TypeError, ValueError, RuntimeError) as error:
        raise ValueError(f"{path} holds no controls of {type(synth).__name__}: {error}.") from error


def _controls_text(found: Match, synth: Synth, settings: dict[str, Any]) -> str:
    """JSON with one line a frame, so that people can read it, edit it and compare two."""
    values = {
        synth.unit_name(name): listed_frames(value)
        for name, value in real_units(synth, found.controls).items()
    }
    rows = (f"    {json.dumps(name)}: {_frames(value)}" for name, value in values.items())
    preset = '  "preset": {\n' + ",\n".join(rows) + "\n  }"
    parts = [f"  {json.dumps(key)}: {json.dumps(value)}" for key, value in settings.items()]
    return "{\n" + ",\n".join([preset, *parts]) + "\n}\n"


def _frames(value: float | list[float] | list[list[float]]) -> str:
    if not (isinstance(value, list) and value and isinstance(value[0], list)):
        return json.dumps(value)
    return "[\n      " + ",\n      ".join(json.dumps(row) for row in value) + "\n    ]"
